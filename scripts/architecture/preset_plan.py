"""Plan a model on paper: parameters, FLOPs, memory, layouts, time, cost, failures. It needs no weights and no data."""

import json
from pathlib import Path

from llm.command import command
from llm.plan.page import page as html
from llm.plan.report import report as planned
from llm.plan.report import values
from llm.plan.request import Request


def main(report: Path, page: Path, preset: str, model: dict, vocab_size: int, plan: dict) -> dict:
    """report, page: the JSON and the HTML to write. preset: the plan's name. model, plan: blocks of the config."""
    found = planned(preset, Request.of(model, vocab_size, plan))
    text = json.dumps(found, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    report.write_text(text, encoding="utf-8")
    page.write_text(html(found), encoding="utf-8")
    return values(found)


if __name__ == "__main__":
    command(main)
