"""What the parts of benchmarks/gpu.py share: sizes, tokens from a seed, and how a figure is told.

A part is a generator of rows; each is told as a line of JSON as soon as it is known, so that a part which is ended
later has not been run for nothing.
"""

import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch

from llm.model.config import ModelConfig
from llm.training.settings import OptimizerSettings

# The default config's model; GPT-2 small; a Llama of 1.1 B parameters.
TINY = ModelConfig(4096, 128, 4, 2, 1, 64, 384, 128)
GPT2 = ModelConfig(
    50304,  # GPT-2's 50,257, padded to a multiple of 64 as nanoGPT does
    768,
    12,
    12,
    12,
    64,
    3072,
    1024,
    position="learned",
    norm="layernorm",
    activation="gelu_tanh",
    bias=True,
    init="scaled",
)
LLAMA = ModelConfig(32000, 2048, 22, 16, 16, 128, 5632, 2048)
NOMINAL = {"H100": 989e12, "H200": 989e12, "A100": 312e12}  # dense bf16 FLOP/s, NVIDIA's data sheets of the SXM cards


@dataclass(frozen=True)
class Bench:
    """device: "cuda" or "cpu"; small: the smallest form, which CI runs. until: when to begin nothing more (seconds of
    time.monotonic)."""

    device: str
    small: bool
    until: float

    @property
    def left(self) -> float:
        return self.until - time.monotonic()

    def synchronize(self) -> None:
        if self.device == "cuda":
            torch.cuda.synchronize()


@dataclass(frozen=True)
class Row:
    """One figure. holds: whether what must hold does, None where nothing must."""

    what: str
    value: float
    unit: str
    holds: bool | None = None
    note: str = ""


Part = Callable[[Bench], Iterator[Row]]


@dataclass(frozen=True)
class SeededStream:
    """As TokenStream (llm/pretrain/data.py), without files: windows of tokens whose frequencies follow Zipf's law, half
    of them a function of the token before, so that there is something to learn. Row r is a function of (seed, r)."""

    vocab_size: int
    context_length: int
    seed: int = 0

    def rows(self, begin: int, first: int, count: int) -> torch.Tensor:
        """int64 [count, T + 1]"""
        return torch.from_numpy(np.stack([self.row(begin + first + row) for row in range(count)]))

    def tokens_of(self, begin: int, count: int) -> int:
        return count * self.context_length

    def row(self, number: int) -> np.ndarray:
        generator = np.random.Generator(np.random.PCG64([self.seed, number]))
        uniform = generator.random(self.context_length + 1)
        tokens = (self.vocab_size**uniform - 1).astype(np.int64)  # log-uniform: Zipf's law with exponent 1
        follows = generator.random(self.context_length) < 0.5
        tokens[1:][follows] = (tokens[:-1][follows] * 7 + 3) % self.vocab_size
        return tokens


def settings(optimizer: str = "adamw", rate: float = 6e-4) -> OptimizerSettings:
    return OptimizerSettings(optimizer, rate, 0.01, 0.1, 1.0)


def measured(bench: Bench, work: Callable[[], object], seconds: float, least: int = 3) -> list[float]:
    """Seconds of each repetition of `work`, until so many seconds have passed and at least `least` times."""
    found: list[float] = []
    while len(found) < least or sum(found) < seconds:
        bench.synchronize()
        begun = time.perf_counter()
        work()
        bench.synchronize()
        found.append(time.perf_counter() - begun)
    return found


def median(values: list[float]) -> float:
    return statistics.median(values)


def nominal_peak(device: str) -> float | None:
    """bf16 FLOP/s that the data sheet of this card states; None if the card is not known here."""
    if device != "cuda":
        return None
    name = torch.cuda.get_device_name()
    return next((peak for card, peak in NOMINAL.items() if card in name), None)
