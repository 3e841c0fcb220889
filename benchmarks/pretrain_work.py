"""One contender of benchmarks/pretrain.py, in a process of its own: pretrain_work.py NAME SIZE TOKENS PLAN.

Trains on and on. For each line on stdin (a number of steps) it makes so many and prints their wall and CPU seconds as a
line of JSON; between its turns it waits. All see the same windows of the same tokens, by the project's TokenStream.
"""

import argparse
import json
import statistics
import sys
import time
from functools import partial
from itertools import pairwise
from pathlib import Path

import torch

from llm.model.config import ModelConfig
from llm.pretrain.data import TokenStream

RATE = 6e-4
# d=128 is the default config's, d=256 that of earlier measurements; (config, rows of a batch).
SIZES = {
    "d128": (ModelConfig(4096, 128, 4, 2, 1, 64, 384, 128), 16),
    "d256": (ModelConfig(8192, 256, 6, 4, 4, 64, 704, 256), 8),
}


class Turns:
    """Counts steps and waits for the next turn. `loading`: seconds that making batches took."""

    def __init__(self) -> None:
        self.wanted, self.loading = 0, 0.0

    def begin(self) -> None:
        line = sys.stdin.readline()
        if not line:
            sys.exit(0)
        self.wanted, self.loading = int(line), 0.0
        self.cpu, self.times = time.process_time(), [time.perf_counter()]

    def step_done(self) -> None:
        self.times.append(time.perf_counter())
        steps = len(self.times) - 1
        if steps < self.wanted:
            return
        cpu, wall = time.process_time() - self.cpu, self.times[-1] - self.times[0]
        middle = statistics.median(after - before for before, after in pairwise(self.times))
        print(
            json.dumps({"cpu": cpu / steps, "wall": wall / steps, "median": middle, "loading": self.loading / steps}),
            flush=True,
        )
        self.begin()


def ours(config: ModelConfig, batch: int, stream: TokenStream, turns: Turns, compiled: bool, optimizer: str) -> None:
    """The engine of one process in a bare loop: no guards, no telemetry, nothing written."""
    from llm.model.transformer import CausalLM, initialise
    from llm.pretrain.next_token import NextToken
    from llm.runtime.malloc import keep_freed_memory
    from llm.training.engines.single import SingleEngine, prepare_layers
    from llm.training.settings import OptimizerSettings

    keep_freed_memory()
    model = prepare_layers(initialise(CausalLM(config), 0), "none", compiled)
    engine = SingleEngine(NextToken(model, torch.bfloat16), OptimizerSettings(optimizer, RATE, 0.01, 0.1, 1.0))
    rows = stream.rows

    def timed(*arguments: int) -> torch.Tensor:
        begun = time.perf_counter()
        tokens = rows(*arguments)
        turns.loading += time.perf_counter() - begun
        return tokens

    stream.rows = timed
    turns.begin()
    for step in range(10**9):
        _, norm = engine.gradients(partial(stream.rows, step * batch), batch)
        engine.update(min(1.0, (step + 1) / 100), norm)
        turns.step_done()


def nanogpt(config: ModelConfig, batch: int, stream: TokenStream, turns: Turns, compiled: bool) -> None:
    from benchmarks.nanogpt import GPT, GPTSizes, adamw, update

    sizes = GPTSizes(config.vocab_size, config.d_model, config.n_layers, config.n_heads, config.context_length)
    model = GPT(sizes)
    optimizer = adamw(model, RATE)
    if compiled:
        model.compile()
    turns.begin()
    for step in range(10**9):
        update(model, optimizer, stream.rows(step * batch, 0, batch))
        turns.step_done()


def trainer(config: ModelConfig, batch: int, stream: TokenStream, turns: Turns, compiled: bool) -> None:
    """transformers' Trainer on LlamaForCausalLM of the same config.json."""
    import tempfile

    from transformers import LlamaConfig, LlamaForCausalLM, Trainer, TrainerCallback, TrainingArguments

    class Windows(torch.utils.data.Dataset):
        def __len__(self) -> int:
            return stream.windows

        def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
            ids = torch.from_numpy(stream.window(index)[:-1].astype("int64"))
            return {"input_ids": ids, "labels": ids}  # the model shifts them itself

    class Told(TrainerCallback):
        def on_step_end(self, *_, **__) -> None:
            turns.step_done()

    arguments = TrainingArguments(
        tempfile.mkdtemp(), per_device_train_batch_size=batch, max_steps=10**6, learning_rate=RATE, warmup_steps=100,
        adam_beta2=0.95, weight_decay=0.1, max_grad_norm=1.0, bf16=True, use_cpu=True, report_to=[],
        save_strategy="no", logging_strategy="no", disable_tqdm=True, torch_compile=compiled,
        lr_scheduler_type="constant_with_warmup",
    )  # fmt: skip
    model = LlamaForCausalLM(LlamaConfig(**config.to_hf()))
    turns.begin()
    Trainer(model, arguments, train_dataset=Windows(), callbacks=[Told()]).train()


def litgpt(config: ModelConfig, batch: int, stream: TokenStream, turns: Turns, compiled: bool) -> None:
    """litgpt's GPT as a Llama, in the loop of its pretrain.py: Fabric, bf16-mixed, chunked cross-entropy."""
    from lightning.fabric import Fabric
    from litgpt import GPT, Config
    from litgpt.utils import chunked_cross_entropy

    fabric = Fabric(accelerator="cpu", devices=1, precision="bf16-mixed")
    model = GPT(
        Config(
            block_size=config.context_length, vocab_size=config.vocab_size, padded_vocab_size=config.vocab_size,
            n_layer=config.n_layers, n_head=config.n_heads, n_query_groups=config.n_kv_heads, n_embd=config.d_model,
            head_size=config.d_head, intermediate_size=config.d_ff, rotary_percentage=1.0, parallel_residual=False,
            bias=False, norm_class_name="RMSNorm", mlp_class_name="LLaMAMLP",
        )
    )  # fmt: skip
    model.lm_head.weight = model.transformer.wte.weight
    if compiled:
        model = torch.compile(model)
    model = fabric.setup(model)
    adam = torch.optim.AdamW(model.parameters(), RATE, (0.9, 0.95), weight_decay=0.1, fused=True)
    optimizer = fabric.setup_optimizers(adam)
    turns.begin()
    for step in range(10**9):
        tokens_BT = stream.rows(step * batch, 0, batch)
        loss = chunked_cross_entropy(model(tokens_BT[:, :-1]), tokens_BT[:, 1:])
        fabric.backward(loss)
        fabric.clip_gradients(model, optimizer, max_norm=1.0)
        optimizer.step()
        optimizer.zero_grad()
        loss.item()
        turns.step_done()


def peak(config: ModelConfig, batch: int, stream: TokenStream, turns: Turns, compiled: bool) -> None:
    """No contender: a step is one square product in bf16, the unit that MFU is measured in."""
    a, b = (torch.randn(1024, 1024).bfloat16() for _ in range(2))
    out = torch.empty_like(a)
    turns.begin()
    while True:
        torch.mm(a, b, out=out)
        turns.step_done()


CONTENDERS = {
    "ours": partial(ours, optimizer="adamw"),
    "ours, Muon": partial(ours, optimizer="muon"),
    "nanoGPT-style": nanogpt,
    "Trainer": trainer,
    "litgpt": litgpt,
    "peak": peak,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=CONTENDERS)
    parser.add_argument("size", choices=SIZES)
    parser.add_argument("tokens", type=Path)
    parser.add_argument("plan", type=Path)
    parser.add_argument("--compile", action="store_true")
    options = parser.parse_args()
    config, batch = SIZES[options.size]
    stream = TokenStream(options.tokens, options.plan, config.context_length, config.vocab_size)
    CONTENDERS[options.name](config, batch, stream, Turns(), options.compile)


if __name__ == "__main__":
    main()
