"""Read the evaluation suite: its checks, prompts and tasks, with the items that stand in fetched sources."""

from pathlib import Path

from llm.command import command
from llm.errors import InputError
from llm.evaluate.read_suite import read_suite
from llm.evaluate.settings import SuiteSettings
from llm.evaluate.suite import as_json
from llm.io.json import write_json


def main(suite: Path, questions: Path, archives: list[Path] | None = None, *, settings: SuiteSettings) -> dict:
    """suite: YAML file (llm/evaluate/read_suite.py). archives: of settings.sources, in their order. questions: JSON
    file of all that models are asked. Returns the number of questions of each task."""
    places = dict(zip(settings.sources, archives or [], strict=True))

    def archive(source: str) -> Path:
        if source not in places:
            raise InputError(f"{suite}: source {source!r} is not among evaluate.sources; add it")
        return places[source]

    found = read_suite(suite, archive, settings.seed)
    write_json(questions, as_json(found))
    refusal = {"harmful": len(found.refusal.harmful), "benign": len(found.refusal.benign)}
    return {"tasks": {task.name: len(task.questions) for task in found.tasks}, "prompts": refusal}


if __name__ == "__main__":
    command(main)
