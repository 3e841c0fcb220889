"""Writes and reads metrics.parquet of a checkpoint: what each of its steps did. Equal runs give equal bytes: times and
speeds are in llm/training/telemetry.py's file instead.
"""

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from llm.errors import InputError
from llm.io import parquet
from llm.training.metrics import NAME, table
from llm.training.step import StepMetrics

VALIDATION = "val_bpb"  # and a column `val_bpb.<domain>` for each domain


def write_metrics(directory: Path, steps: Sequence[StepMetrics], validation: dict) -> None:
    """Write a row per step: step, loss (nats per token), lr, grad_norm, skipped (why; only if a step was), then bits
    per byte of the validation split, in all and by domain, null except in the last row. validation: of evaluate.py."""
    figures = {VALIDATION: validation["bpb"]}
    figures |= {f"{VALIDATION}.{domain}": bits for domain, bits in sorted(validation["by_domain"].items())}
    rows = table(steps)
    last = pl.int_range(pl.len()) == pl.len() - 1
    rows = rows.with_columns(pl.when(last).then(pl.lit(bits)).alias(name) for name, bits in figures.items())
    parquet.write(rows, directory / NAME)


def read_metrics(checkpoints: Sequence[Path]) -> pl.DataFrame:
    """Return the steps of a chain of checkpoint directories, in order. Raises InputError if a step is missing or
    double."""
    tables = []
    for checkpoint in checkpoints:
        with parquet.damage_is_input_error(checkpoint / NAME, ["step", "loss", "lr", "grad_norm"]):
            tables.append(pl.read_parquet(checkpoint / NAME))
    rows = pl.concat(tables, how="diagonal").sort("step")
    if rows["step"].to_list() != list(range(1, len(rows) + 1)):
        raise InputError(
            f"{', '.join(map(str, checkpoints))}: their {NAME} do not hold every step once; "
            "give all checkpoints of one run"
        )
    return rows
