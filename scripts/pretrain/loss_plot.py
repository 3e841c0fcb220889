"""Draw the training of a chain of checkpoints, from their metrics, beside the n-gram baselines."""

import json
from pathlib import Path

from llm.command import command
from llm.pretrain.metrics import VALIDATION, read_metrics
from llm.pretrain.plot import draw_training


def main(checkpoints: list[Path], ngram: Path, plot: Path) -> dict:
    """checkpoints: all directories of the chain. ngram: ngram.json. plot: the SVG to write. Returns the metrics."""
    history = read_metrics(checkpoints)
    baselines = json.loads(ngram.read_text(encoding="utf-8"))
    draw_training(history, baselines, plot)
    bits = history[VALIDATION][-1]
    below = [name for name in ("unigram", "bigram", "trigram") if bits < baselines[name]]
    return {"steps": len(history), "val_bpb": bits, "below": below}


if __name__ == "__main__":
    command(main)
