"""Draw the loss curve of a chain of checkpoints beside the n-gram baselines. Evaluates nothing."""

import json
from pathlib import Path

from llm.command import command
from llm.train.plot import draw_loss, read_history


def main(checkpoints: list[Path], ngram: Path, plot: Path) -> dict:
    """checkpoints: all directories of the chain. ngram: ngram.json. plot: the SVG to write. Returns the metrics."""
    history = read_history(checkpoints)
    baselines = json.loads(ngram.read_text(encoding="utf-8"))
    draw_loss(history, baselines, plot)
    last = history[-1]
    below = [name for name in ("unigram", "bigram", "trigram") if last["val_bpb"] < baselines[name]]
    return {"steps": last["step"], "val_bpb": last["val_bpb"], "below": below}


if __name__ == "__main__":
    command(main)
