"""The loss curve as an SVG: training loss, validation points and n-gram baselines on one axis, bits per byte.

Equal figures give equal bytes. Training loss is known per token; the validation split's tokens per byte convert it.
"""

import json
import math
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

from llm.errors import InputError

SMOOTHING = 0.95  # of the exponential mean drawn over the single steps
BASELINES = ("unigram", "bigram", "trigram")
# Ids inside the file would be random without a salt; text stays text, so the bytes do not depend on fonts.
SETTINGS = {"svg.hashsalt": "stemma", "svg.fonttype": "none", "font.family": "sans-serif", "font.size": 10}


def read_history(checkpoints: list[Path]) -> list[dict]:
    """The steps of a chain of checkpoint directories, in order. InputError if a step is missing or there twice."""
    lines = [
        json.loads(line)
        for checkpoint in checkpoints
        for line in (checkpoint / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    lines.sort(key=lambda line: line["step"])
    if [line["step"] for line in lines] != list(range(1, len(lines) + 1)):
        raise InputError(
            f"{', '.join(str(checkpoint) for checkpoint in checkpoints)}: metrics.jsonl do not hold every step once; "
            "give all checkpoints of one run"
        )
    return lines


def draw_loss(history: list[dict], ngram: dict, path: Path) -> None:
    """history: lines of metrics.jsonl. ngram: bits per byte by model name, and the validation split's tokens, bytes."""
    to_bits_per_byte = ngram["tokens"] / ngram["bytes"] / math.log(2)
    steps = [line["step"] for line in history]
    losses = [line["loss"] * to_bits_per_byte for line in history]
    validated = [(line["step"], line["val_bpb"]) for line in history if "val_bpb" in line]
    with matplotlib.rc_context(SETTINGS):
        figure = Figure(figsize=(8, 4.5), layout="constrained")
        axes = figure.add_subplot()
        axes.plot(steps, losses, color="#b8c4d6", linewidth=0.7)
        axes.plot(steps, smoothed(losses), color="#2b5797", linewidth=1.6, label="training")
        axes.plot(*zip(*validated, strict=True), "o-", color="#c0392b", markersize=5, label="validation")
        for name in BASELINES:
            axes.axhline(ngram[name], color="#7f8c8d", linewidth=0.9, linestyle="--")
            axes.annotate(
                f"{name} {ngram[name]:.2f}", (steps[-1], ngram[name]), ha="right", va="bottom", color="#555555"
            )
        step, bits = validated[-1]
        axes.annotate(f"{bits:.3f}", (step, bits), (-4, -12), textcoords="offset points", ha="right", color="#c0392b")
        axes.set_xlabel("step")
        axes.set_ylabel("bits per byte")
        axes.set_xlim(0, steps[-1])
        axes.set_ylim(0, 1.25 * ngram["unigram"])
        axes.legend(loc="lower left", frameon=False)
        axes.spines[["top", "right"]].set_visible(False)
        figure.savefig(path, format="svg", metadata={"Date": None, "Creator": None})


def smoothed(values: list[float]) -> list[float]:
    """Exponential mean, corrected for its start (Kingma and Ba 2015, section 3)."""
    mean, means = 0.0, []
    for count, value in enumerate(values, start=1):
        mean = SMOOTHING * mean + (1 - SMOOTHING) * value
        means.append(mean / (1 - SMOOTHING**count))
    return means
