"""Answer held-out prompts with a model, and count by exact tests how many answers follow each principle."""

from pathlib import Path

from llm.align.adherence import answered, figures, refuse_untested
from llm.align.base import load_base
from llm.align.constitution import read_constitution
from llm.align.critiques import Speaker, directory_digest, questions_of
from llm.align.settings.constitution import AdherenceSettings
from llm.command import command
from llm.io.json import write_json
from llm.runtime.device import default_device


def main(model: Path, instructions: Path, constitution: Path, answers: Path, *, settings: AdherenceSettings) -> dict:
    """model: Hugging Face model directory. instructions: a training and a validation file, whose held-out prompts are
    answered where the constitution has none. constitution: YAML file. answers: JSON file to write."""
    principles = read_constitution(constitution)
    refuse_untested(principles, constitution)
    questions = questions_of(principles, instructions, "validation", settings.held_out, settings.seed)
    weights, tokenizer = load_base(model, 2)
    rows = answered(Speaker(weights.to(default_device()), tokenizer), questions, settings)
    found = figures(rows, principles) | {"version": principles.version}
    write_json(answers, {"model": directory_digest(model), "rows": rows})
    return found


if __name__ == "__main__":
    command(main)
