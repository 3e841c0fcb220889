"""What each step of a run did, as a table, and what was skipped. Equal runs give equal bytes: there are no times."""

import json
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from llm.training.step import StepMetrics

NAME, EVENTS = "metrics.parquet", "events.jsonl"


def table(steps: Sequence[StepMetrics]) -> pl.DataFrame:
    """Return a row per step: step, loss, lr, grad_norm, skipped (why; only if a step was), and the figures."""
    rows = pl.DataFrame([metrics.row() for metrics in steps], infer_schema_length=None)
    return rows.drop("skipped") if rows["skipped"].null_count() == len(rows) else rows


def write_events(directory: Path, events: list[dict]) -> None:
    """Write a line for each skipped step and each rollback; no file where there were none."""
    if events:
        text = "".join(json.dumps(event, sort_keys=True) + "\n" for event in events)
        (directory / EVENTS).write_text(text, encoding="utf-8")
