"""Makes batches of encoded conversations for SFT, reward and DPO training.

The order of the examples is a function of (seed, step) alone. Padding goes to the right, where a causal model cannot
see it, so that no attention mask is needed. Shapes: B sequences of a batch, T tokens of its longest sequence.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from llm.errors import InputError

# Batches that are sorted by length together: enough to halve the padding, few enough to keep the order random.
WINDOW = 16


@dataclass(frozen=True)
class Example:
    """One conversation: ids, and a mask that is 1 on the assistant's tokens and their [EOS]; `kind` groups metrics."""

    ids: np.ndarray
    mask: np.ndarray
    kind: str


@dataclass(frozen=True)
class Pair:
    """One prompt with the preferred answer and the rejected one."""

    chosen: Example
    rejected: Example
    kind: str


@dataclass(frozen=True)
class Batch:
    """A padded batch. tokens_BT int64; mask_BT bool, true on the tokens to learn; length_B int64, without padding."""

    tokens_BT: Tensor
    mask_BT: Tensor
    length_B: Tensor


def collate(examples: list[Example], pad: int, device: torch.device | str = "cpu") -> Batch:
    """Pad `examples` to the longest of them, on `device`."""
    lengths = [len(example.ids) for example in examples]
    tokens_BT = np.full((len(examples), max(lengths)), pad, dtype=np.int64)
    mask_BT = np.zeros(tokens_BT.shape, dtype=bool)
    for row, example in enumerate(examples):
        tokens_BT[row, : lengths[row]] = example.ids
        mask_BT[row, : lengths[row]] = example.mask
    tensors = (torch.from_numpy(tokens_BT), torch.from_numpy(mask_BT), torch.tensor(lengths))
    return Batch(*(tensor.to(device) for tensor in tensors))


def training_order(lengths: list[int], batch: int, seed: int, steps: int) -> Iterator[list[int]]:
    """Yield the indices of each step's examples, `batch` at a time, epoch after epoch; an epoch's incomplete batch is
    left out.

    Epoch e is shuffled by (seed, e); inside windows of WINDOW batches examples are grouped by length to save padding.
    """
    per_epoch = len(lengths) // batch
    if per_epoch < 1:
        raise InputError(f"{len(lengths)} examples do not fill one batch of {batch}: lower the batch or get more data")
    for step in range(steps):
        if step % per_epoch == 0:
            epoch = epoch_order(lengths, batch, seed, step // per_epoch)
        yield epoch[step % per_epoch]


def epoch_order(lengths: list[int], batch: int, seed: int, epoch: int) -> list[list[int]]:
    """Return the batches of one epoch."""
    random = np.random.Generator(np.random.PCG64([seed, epoch]))
    order = random.permutation(len(lengths))
    size = np.asarray(lengths)
    groups = []
    for start in range(0, len(order), WINDOW * batch):
        window = order[start : start + WINDOW * batch]
        window = window[np.argsort(size[window], kind="stable")]
        groups += [window[i : i + batch].tolist() for i in range(0, len(window) - batch + 1, batch)]
    return [groups[i] for i in random.permutation(len(groups))]


def evaluation_order(lengths: list[int], batch: int) -> list[list[int]]:
    """Return every index once, by length, `batch` at a time; the last batch may be smaller."""
    order = np.argsort(np.asarray(lengths), kind="stable").tolist()
    return [order[start : start + batch] for start in range(0, len(order), batch)]
