"""Train the model from one checkpoint to the next. Does not choose the architecture, the data mix or the tokenizer."""

from pathlib import Path

from llm.command import command
from llm.errors import InputError
from llm.model.directory import load_config
from llm.model.transformer import CausalLM, initialise
from llm.train.checkpoint import load_checkpoint, save_checkpoint
from llm.train.data import TokenStream, ValidationSet
from llm.train.evaluate import bits_per_byte
from llm.train.loop import DTYPES, shown, timed, train, write_metrics
from llm.train.memory import keep_freed_memory
from llm.train.optimizer import Optimizer, OptimizerSettings


def main(
    config: Path,
    tokens: Path,
    plan: Path,
    checkpoint: Path,
    previous: Path | None = None,
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
    checkpoint: empty directory to fill. validation_tokens: per source, null for all. Returns the metrics."""
    keep_freed_memory()
    architecture = load_config(config)
    settings = OptimizerSettings(optimizer, learning_rate, matrix_learning_rate, weight_decay, clip_norm)
    stream = TokenStream(tokens, plan, architecture.context_length, seed)
    model = CausalLM(architecture)
    if previous is None:
        state = {"step": 0, "tokens_seen": 0}
        moves = Optimizer(initialise(model, seed), settings)
    else:
        moves, state = load_checkpoint(previous, model, lambda filled: Optimizer(filled, settings))
    if state["step"] != start:
        raise InputError(f"{previous} is of step {state['step']}, but this segment starts at step {start}")
    per_step = batch_size * architecture.context_length
    steps = train(model, moves, stream, start, stop, batch_size, schedule, DTYPES[dtype])
    history, seconds = timed(lambda: list(shown(steps, start, stop, per_step)))
    validation, validation_seconds = timed(
        lambda: bits_per_byte(model, ValidationSet(tokens), validation_tokens, DTYPES[dtype])
    )
    tokens_seen = state["tokens_seen"] + per_step * (stop - start)
    save_checkpoint(checkpoint, model, moves, stop, tokens_seen)
    write_metrics(checkpoint / "metrics.jsonl", history, validation)
    return {
        "step": stop,
        "loss": history[-1].loss,
        "val_bpb": validation["bpb"],
        "val_bpb_by_domain": validation["by_domain"],
        "validation_tokens": validation["tokens"],
        "tokens_seen": tokens_seen,
        "tokens_per_epoch": stream.tokens,
        "tokens_per_second": round(per_step * (stop - start) / seconds),
        "seconds": round(seconds, 1),
        "validation_seconds": round(validation_seconds, 1),
    }


if __name__ == "__main__":
    command(main)
