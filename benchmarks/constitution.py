"""Constitutional AI beside its random-label control, by exact tests, over seeds: is a critique right, does a revision
succeed, are preferences right, and do they make a model better?

    python -m benchmarks.constitution --work DIRECTORY [--model results/models/base] [--seeds 1 2 3]

Without --model a small model is trained to follow the format (constitution_world.py). By constitutions/checkable.yaml,
by the scripts of the rules. The control has the same pairs, whose chosen side a coin says; both preference models are
held to the true held-out pairs, and both DPO models answer the same held-out prompts with the same random numbers.
What is done is kept in --work, where an interrupted call goes on. Exit status 1 where a figure does not beat its
control by two standard errors over the seeds.
"""

import argparse
import json
import math
import shutil
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from benchmarks.constitution_world import small_model
from llm.align import adherence
from llm.align.base import load_base
from llm.align.constitution import Constitution, read_constitution
from llm.align.critiques import Speaker, questions_of
from llm.align.lora import load_adapter
from llm.align.settings.adapter import AdapterSettings, LoraConfig, Schedule
from llm.align.settings.constitution import AdherenceSettings, CritiqueSettings, FeedbackSettings, Labels
from llm.align.settings.paired import PairedSettings
from llm.command import Surroundings
from scripts.align import ai_preferences, critiques, paired, reward

CHECKABLE = Path(__file__).resolve().parents[1] / "constitutions/checkable.yaml"
LABELS: tuple[Labels, ...] = ("principles", "random")
# Label, the figure and its control, in percent.
ROWS = {
    "critique accuracy": ("critique", "critique_random"),
    "revision success": ("revision", "revision_random"),
    "preference accuracy, revised over original": ("preference", "preference_random"),
    "preference accuracy, judge in both orders": ("judge", "chance"),
    "preference model, held-out accuracy": ("reward", "reward_random"),
    "DPO, held-out accuracy": ("dpo", "dpo_random"),
    "answers that follow a principle, gain by DPO": ("gain", "gain_random"),
}


@dataclass(frozen=True)
class Sizes:
    """How much is asked and trained, by model."""

    train: int
    held_out: int
    max_new_tokens: int
    critique_tokens: int
    samples: int
    temperature: float
    max_tokens: int
    reward: Schedule
    dpo: Schedule


SMALL = Sizes(128, 32, 48, 4, 8, 1.0, 160, Schedule(steps=60, batch_size=8, learning_rate=2e-3, warmup_steps=5),
              Schedule(steps=60, batch_size=8, learning_rate=1e-3, warmup_steps=5))  # fmt: skip
IMPORTED = Sizes(20, 4, 40, 12, 4, 0.7, 128, Schedule(steps=8, batch_size=4, learning_rate=1e-4, warmup_steps=1),
                 Schedule(steps=8, batch_size=4, learning_rate=1e-4, warmup_steps=1))  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="where what is done is kept")
    parser.add_argument("--model", type=Path, help="Hugging Face directory; without it a small model is trained")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--minutes", type=float, default=9.0, help="after which no new part is begun")
    options = parser.parse_args()
    torch.set_num_threads(1)
    end = time.monotonic() + 60 * options.minutes
    constitution = read_constitution(CHECKABLE)
    model, sizes = options.model, IMPORTED
    if model is None:
        model, sizes = options.work / "model", SMALL
        if not small_model(model, constitution, options.minutes):
            sys.exit("the small model is not trained yet; run again")
    seeds = [Seed(options.work / str(seed), model, constitution, sizes, seed, end) for seed in options.seeds]
    for seed in seeds:  # first of all, what the others need
        seed.kept("critiques", seed.criticised)
    found = [seed.figures() for seed in seeds]
    print(table(found))
    sys.exit(any(missed(found, *names) for names in ROWS.values()))


@dataclass(frozen=True)
class Seed:
    """All that is measured by one seed; `kept` in a directory."""

    directory: Path
    model: Path
    constitution: Constitution
    sizes: Sizes
    seed: int
    end: float

    def figures(self) -> dict[str, float]:
        """Return the figures, in percent, as far as they are known in the time given."""
        written = self.kept("critiques", self.criticised)
        found = {"chance": 50.0}
        if written is None:
            return found
        train = written["train"]
        found |= {
            "critique": 100 * train["critique_accuracy"],
            "critique_random": 100 * train["critique_accuracy_random"],
            "revision": 100 * train["revision_success"],
            "revision_random": 100 * train["revision_success_random"],
            "revised": 100 * train["revised"],
        }
        of = {"principles": "", "random": "_random"}
        for labels in LABELS:
            pairs = self.kept(f"preferences-{labels}", lambda out, labels=labels: self.preferred(out, labels))
            if pairs is not None:
                found[f"preference{of[labels]}"] = 100 * pairs["train"]["preference_accuracy"]
        judged = self.kept("judged", self.judged)
        if judged is not None:
            found["judge"] = 100 * judged["validation"]["judge"]["accuracy"]
        for labels in LABELS:
            for name, train_on in (("reward", self.reward), ("dpo", self.dpo)):
                trained = self.kept(f"{name}-{labels}", lambda out, run=train_on, labels=labels: run(out, labels))
                if trained is not None:
                    found[f"{name}{of[labels]}"] = 100 * trained["held_out_accuracy"]
        before = self.kept("answers-before", self.answered)
        for labels in LABELS:
            after = self.kept(
                f"answers-{labels}", lambda out, labels=labels: self.answered(out, self.directory / f"dpo-{labels}/out")
            )
            if before is not None and after is not None:
                found["before"], found[f"after{of[labels]}"] = 100 * before["follows"], 100 * after["follows"]
                found[f"gain{of[labels]}"] = 100 * (after["follows"] - before["follows"])
        return found

    def kept(self, part: str, make: Callable[[Path], dict]) -> dict | None:
        """Return a part's metrics, made anew in a directory of its own unless they are there; None where there is no
        time for it."""
        place = self.directory / part
        metrics = place / "metrics.json"
        if metrics.exists():
            return json.loads(metrics.read_text())
        if time.monotonic() > self.end:
            return None
        shutil.rmtree(place / "out", ignore_errors=True)
        (place / "out").mkdir(parents=True)
        begin = time.process_time()
        found = make(place / "out")
        metrics.write_text(json.dumps(found, indent=1))
        print(f"seed {self.seed}: {part}, {time.process_time() - begin:.0f} CPU s", flush=True)
        return found

    def criticised(self, out: Path) -> dict:
        sizes = self.sizes
        told = CritiqueSettings(
            prompts={"train": sizes.train, "validation": sizes.held_out},
            temperature=sizes.temperature,
            max_new_tokens=sizes.max_new_tokens,
            critique_tokens=sizes.critique_tokens,
            seed=self.seed,
        )
        scratch = Surroundings(scratch=out.parent / "scratch")
        return critiques.main(self.model, out, CHECKABLE, out, settings=told, surroundings=scratch)

    def preferred(self, out: Path, labels: Labels) -> dict:
        told = FeedbackSettings(labels=labels, prefer="revised", seed=self.seed)
        found = ai_preferences.main(self.written, CHECKABLE, out, settings=told)
        if labels == "random":  # both are held to what is true
            shutil.copy(self.pairs("principles") / "validation.jsonl", out)
        return found

    def judged(self, out: Path) -> dict:
        told = FeedbackSettings(labels="principles", prefer="judged", seed=self.seed)
        lines = (self.written / "validation.jsonl").read_text().splitlines(keepends=True)
        given = out.parent / "given"
        given.mkdir(exist_ok=True)
        for split in ("train", "validation"):
            (given / f"{split}.jsonl").write_text("".join(lines))
        return ai_preferences.main(given, CHECKABLE, out, self.model, settings=told)

    def reward(self, out: Path, labels: Labels) -> dict:
        told = AdapterSettings(schedule=self.sizes.reward, **self.training)
        return reward.main(self.model, self.pairs(labels), out, settings=told)

    def dpo(self, out: Path, labels: Labels) -> dict:
        told = PairedSettings(schedule=self.sizes.dpo, loss="dpo", **self.training)
        return paired.main(self.model, self.pairs(labels), out, settings=told)

    def answered(self, out: Path, adapter: Path | None = None) -> dict:
        sizes = self.sizes
        told = AdherenceSettings(
            temperature=sizes.temperature,
            max_new_tokens=sizes.max_new_tokens,
            samples=sizes.samples,
            held_out=sizes.held_out,
            seed=self.seed,
        )
        model, tokenizer = load_base(self.model, 2)
        if adapter is not None:
            load_adapter(model, adapter)
        questions = questions_of(self.constitution, out, "validation", told.held_out, self.seed)
        rows = adherence.answered(Speaker(model.eval(), tokenizer), questions, told)
        (out / "rows.json").write_text(json.dumps(rows, indent=1))
        return adherence.figures(rows, self.constitution)

    @property
    def training(self) -> dict:
        return {"lora": LoraConfig(), "max_tokens": self.sizes.max_tokens, "dtype": "float32", "seed": self.seed}

    @property
    def written(self) -> Path:
        return self.directory / "critiques/out"

    def pairs(self, labels: Labels) -> Path:
        return self.directory / f"preferences-{labels}/out"


def table(found: list[dict[str, float]]) -> str:
    """Return the table in Markdown: means over seeds, and by how much a figure is above its control."""
    lines = ["| percent | by principles | random labels | difference, standard error | |", "|---|---|---|---|---|"]
    for label, (name, control) in ROWS.items():
        both = [(each[name], each[control]) for each in found if name in each and control in each]
        if not both:
            lines.append(f"| {label} | not measured | | | |")
            continue
        middle, error = difference(both)
        means = (statistics.mean(side) for side in zip(*both, strict=True))
        verdict = "missed" if missed(found, name, control) else "holds"
        lines.append(
            f"| {label} | {' | '.join(f'{value:.1f}' for value in means)} | {middle:.1f} ± {error:.1f} | {verdict} |"
        )
    for name in ("revised", "before", "after", "after_random"):
        values = [f"{each[name]:.1f}" for each in found if name in each]
        lines.append(f"\n{name}, by seed: {', '.join(values)}")
    return "\n".join(lines)


def difference(both: list[tuple[float, float]]) -> tuple[float, float]:
    """Return the mean difference over seeds, and its standard error; infinite for one seed."""
    off = [figure - control for figure, control in both]
    error = statistics.stdev(off) / math.sqrt(len(off)) if len(off) > 1 else math.inf
    return statistics.mean(off), error


def missed(found: list[dict[str, float]], name: str, control: str) -> bool:
    """Is a figure not two standard errors above its control?"""
    both = [(each[name], each[control]) for each in found if name in each and control in each]
    if not both:
        return True
    middle, error = difference(both)
    return not middle > 2 * error


if __name__ == "__main__":
    main()
