"""Let a model answer prompts, criticise its answers by a constitution, and revise them."""

import tempfile
from pathlib import Path

from llm.align.base import load_base
from llm.align.constitution import read_constitution
from llm.align.critiques import Critic, Speaker, directory_digest, questions_of
from llm.align.feedback import figures
from llm.align.records import read_jsonl, write_jsonl
from llm.align.settings.constitution import CritiqueSettings
from llm.command import Surroundings, command
from llm.progress import progress
from llm.runtime.device import default_device

TOGETHER = 32  # prompts, after which what was written is kept


def main(
    base: Path,
    instructions: Path,
    constitution: Path,
    critiques: Path,
    *,
    settings: CritiqueSettings,
    surroundings: Surroundings = Surroundings(),  # noqa: B008 (frozen)
) -> dict:
    """base: Hugging Face model directory with tokenizer.model. instructions: a training and a validation file, whose
    prompts are answered where the constitution has none. constitution: YAML file. critiques: empty directory to fill
    with train.jsonl and validation.jsonl."""
    principles = read_constitution(constitution)
    model, tokenizer = load_base(base, 2)
    speaker = Speaker(model.to(default_device()), tokenizer)
    critic = Critic(speaker, principles, settings, directory_digest(base))
    metrics = {}
    with tempfile.TemporaryDirectory() as temporary:
        kept = surroundings.scratch or Path(temporary)
        for split in ("train", "validation"):
            questions = questions_of(principles, instructions, split, settings.prompts[split], settings.seed)
            rows: list[dict] = []
            for begin in range(0, len(questions), TOGETHER):
                rows += once(kept / f"{split}-{begin:06}.jsonl", critic, questions[begin : begin + TOGETHER])
                progress(f"{split}: {len(rows)} of {len(questions)} prompts")
            write_jsonl(critiques / f"{split}.jsonl", rows)
            metrics[split] = figures(rows, principles)
    return metrics | {"version": principles.version, "writer": critic.writer}


def once(kept: Path, critic: Critic, questions: list) -> list[dict]:
    """Return the rows of these questions, which an interrupted run may have left."""
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        partial = kept.with_suffix(".partial")
        write_jsonl(partial, critic.rows(questions))
        partial.rename(kept)
    return read_jsonl(kept)


if __name__ == "__main__":
    command(main)
