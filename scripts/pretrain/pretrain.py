"""Train the model from one checkpoint to the next. Does not choose the architecture, the data mix or the tokenizer."""

from pathlib import Path

import torch

from llm.command import command
from llm.errors import InputError
from llm.model.directory import load_config
from llm.model.transformer import CausalLM, initialise
from llm.parallel.single import SingleEngine
from llm.train.checkpoint import load_checkpoint, save_checkpoint
from llm.train.data import TokenStream, ValidationSet
from llm.train.evaluate import bits_per_byte
from llm.train.loop import timed, train
from llm.train.memory import keep_freed_memory
from llm.train.metrics import write_metrics
from llm.train.mfu import flops_per_token, matmul_peak
from llm.train.optimizer import OptimizerSettings
from llm.train.telemetry import Telemetry, Work

DTYPES = {"bfloat16": torch.bfloat16, "float32": torch.float32}


def main(
    config: Path,
    tokens: Path,
    plan: Path,
    checkpoint: Path,
    previous: Path | None = None,
    logs: Path | None = None,
    *,
    start: int,
    stop: int,
    batch_size: int,
    optimizer: str,
    learning_rate: float,
    matrix_learning_rate: float,
    weight_decay: float,
    clip_norm: float,
    schedule: dict,
    dtype: str,
    validation_tokens: int | None,
    seed: int,
) -> dict:
    """config: config.json. tokens: directory of token shards. plan: the mix. previous: the checkpoint of step `start`.
    checkpoint: empty directory to fill. logs: directory for live telemetry. validation_tokens: per source, null for
    all. Returns the metrics."""
    keep_freed_memory()
    architecture = load_config(config)
    settings = OptimizerSettings(optimizer, learning_rate, matrix_learning_rate, weight_decay, clip_norm)
    stream = TokenStream(tokens, plan, architecture.context_length, seed)
    engine = SingleEngine(initialise(CausalLM(architecture), seed), settings, DTYPES[dtype])
    state = load_checkpoint(previous, engine) if previous else {"step": 0, "tokens_seen": 0}
    if state["step"] != start:
        raise InputError(f"{previous} is of step {state['step']}, but this segment starts at step {start}")
    per_step = batch_size * architecture.context_length
    steps = train(engine, stream, start, stop, batch_size, schedule, learning_rate)
    telemetry = Telemetry(Work(per_step, flops_per_token(architecture), matmul_peak(DTYPES[dtype])), logs)
    history, seconds = timed(lambda: list(telemetry.watch(steps, start, stop)))
    validation, validation_seconds = timed(
        lambda: bits_per_byte(engine, architecture, ValidationSet(tokens), validation_tokens)
    )
    telemetry.validated(stop, validation)
    tokens_seen = state["tokens_seen"] + per_step * (stop - start)
    save_checkpoint(checkpoint, engine, stop, tokens_seen)
    write_metrics(checkpoint, history, validation)
    return {
        "step": stop,
        "loss": history[-1].loss,
        "val_bpb": validation["bpb"],
        "val_bpb_by_domain": validation["by_domain"],
        "validation_tokens": validation["tokens"],
        "tokens_seen": tokens_seen,
        "tokens_per_epoch": stream.tokens,
        "seconds": round(seconds, 1),
        "validation_seconds": round(validation_seconds, 1),
    } | telemetry.summary()


if __name__ == "__main__":
    command(main)
