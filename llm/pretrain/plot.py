"""Draws a training run as one SVG: loss and bits per byte beside n-gram baselines, bits per byte by domain, learning
rate, gradient norm. Equal figures give equal bytes; speeds are in the jobs' records instead.
"""

import math
from pathlib import Path

import matplotlib
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.typing import RcKeyType

from llm.pretrain.metrics import VALIDATION

SMOOTHING = 0.95  # of the exponential mean drawn over the single steps
BASELINES = ("unigram", "bigram", "trigram")
PALE, STRONG, RED = "#b8c4d6", "#2b5797", "#c0392b"
# Without a salt ids in the file would be random; text stays text, so the bytes do not depend on fonts.
SETTINGS: dict[RcKeyType, object] = {
    "svg.hashsalt": "stemma",
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 10,
}


def draw_training(history: pl.DataFrame, ngram: dict, path: Path) -> None:
    """Draw a run. history: llm/pretrain/metrics.py's rows of a whole chain. ngram: bits per byte by model name, and the
    validation split's tokens and bytes, which convert training loss from per token to per byte."""
    with matplotlib.rc_context(SETTINGS):
        figure = Figure(figsize=(9, 7.5), layout="constrained")
        places = figure.subplot_mosaic([["loss"] * 3, ["domains", "lr", "norm"]], height_ratios=[3, 2])
        draw_loss(places["loss"], history, ngram)
        draw_domains(places["domains"], history)
        draw_steps(places["lr"], history, "lr", "learning rate", smooth=False)
        draw_steps(places["norm"], history, "grad_norm", "gradient norm before clipping", smooth=True)
        for axes in places.values():
            axes.set_xlabel("step")
            axes.set_xlim(0, history["step"][-1])
            axes.spines[["top", "right"]].set_visible(False)
        figure.savefig(path, format="svg", metadata={"Date": None, "Creator": None})


def draw_loss(axes: Axes, history: pl.DataFrame, ngram: dict) -> None:
    losses = history["loss"] * (ngram["tokens"] / ngram["bytes"] / math.log(2))
    validated = history.drop_nulls(VALIDATION)
    axes.plot(history["step"], losses, color=PALE, linewidth=0.7)
    axes.plot(history["step"], smoothed(losses.to_list()), color=STRONG, linewidth=1.6, label="training")
    axes.plot(validated["step"], validated[VALIDATION], "o-", color=RED, markersize=5, label="validation")
    for name in BASELINES:
        axes.axhline(ngram[name], color="#7f8c8d", linewidth=0.9, linestyle="--")
        place = (history["step"][-1], ngram[name])
        axes.annotate(f"{name} {ngram[name]:.2f}", place, ha="right", va="bottom", color="#555555")
    step, bits = validated["step"][-1], validated[VALIDATION][-1]
    axes.annotate(f"{bits:.3f}", (step, bits), (-4, -12), textcoords="offset points", ha="right", color=RED)
    axes.set_ylabel("bits per byte")
    axes.set_ylim(0, 1.25 * ngram["unigram"])
    axes.legend(loc="lower left", frameon=False)


def draw_domains(axes: Axes, history: pl.DataFrame) -> None:
    """Draw validation by domain at every checkpoint; the legend has the last values."""
    for name in sorted(column for column in history.columns if column.startswith(f"{VALIDATION}.")):
        points = history.drop_nulls(name)
        label = f"{name.removeprefix(f'{VALIDATION}.')} {points[name][-1]:.2f}"
        axes.plot(points["step"], points[name], "o-", markersize=3, linewidth=1.2, label=label)
    axes.set_title("validation bits per byte", fontsize=10)
    axes.legend(frameon=False, fontsize=8)


def draw_steps(axes: Axes, history: pl.DataFrame, column: str, title: str, *, smooth: bool) -> None:
    axes.plot(history["step"], history[column], color=PALE if smooth else STRONG, linewidth=0.7 if smooth else 1.6)
    if smooth:
        axes.plot(history["step"], smoothed(history[column].to_list()), color=STRONG, linewidth=1.6)
    axes.set_title(title, fontsize=10)
    axes.set_ylim(bottom=0)


def smoothed(values: list[float]) -> list[float]:
    """Return the exponential mean, corrected for its start (Kingma and Ba 2015, section 3); values that are not finite,
    of skipped steps, are passed over."""
    mean, count, means = 0.0, 0, []
    for value in values:
        if math.isfinite(value):
            mean = SMOOTHING * mean + (1 - SMOOTHING) * value
            count += 1
        means.append(mean / (1 - SMOOTHING**count) if count else math.nan)
    return means
