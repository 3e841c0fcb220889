"""Judge a model directory, quantized or not, beside the model that it was made from."""

import json
from pathlib import Path

from llm.align.conversations import read_examples
from llm.align.identity import refuse_another_base
from llm.align.prompts import Prompt, read_prompts
from llm.align.reward import load_reward_model
from llm.align.rows import find_split
from llm.align.scorer import Scorer
from llm.command import command
from llm.deploy.quantize.model import load_any
from llm.evaluate.evaluate import Questions, evaluated
from llm.evaluate.settings import EvaluationSettings
from llm.evaluate.suite import from_json
from llm.inference.engine import Engine
from llm.io.json import write_json
from llm.model.directory import load_model
from llm.pretrain.evaluate import ValidationSet
from llm.runtime.device import default_device
from llm.tokenize.open import open_tokenizer


def main(
    model: Path,
    judge: Path,
    reward: Path,
    instructions: Path,
    tokens: Path,
    questions: Path,
    evaluation: Path,
    before: Path | None = None,
    base: Path | None = None,
    *,
    settings: EvaluationSettings,
) -> dict:
    """model: directory of the model. judge, reward: model directory and adapter of the reward model. instructions: a
    training and a validation file. tokens: token shards of the corpus. questions: of scripts/evaluate/suite.py. before,
    base: evaluations of the model that this one was made from, and of the base. evaluation: JSON file to write.
    Returns its metrics."""
    tokenizer = open_tokenizer(model)
    file = find_split(instructions, "validation")
    examples, _ = read_examples(file, tokenizer, settings.max_tokens)
    prompts, _ = read_prompts(file, tokenizer, settings.max_tokens - 1)  # an answer has a token at least
    some = spread(prompts, settings.prompts)
    device = default_device()
    asked = Questions(
        examples,
        some,
        [prompt.row["messages"][-1]["content"] if "messages" in prompt.row else "" for prompt in some],
        ValidationSet(tokens),
        from_json(json.loads(questions.read_text(encoding="utf-8"))),
    )
    rater = load_model(judge)
    refuse_another_base(reward, judge)
    scorer = Scorer(load_reward_model(rater, reward).to(device), rater.config.pad_id)
    earlier = [None if path is None else json.loads(path.read_text(encoding="utf-8")) for path in (before, base)]
    found = evaluated(Engine(load_any(model, device)), tokenizer, asked, scorer, settings, *earlier)
    write_json(evaluation, found)
    return found["metrics"]


def spread(prompts: list[Prompt], count: int) -> list[Prompt]:
    """Return so many prompts, evenly spaced, so that every kind has its share."""
    count = min(count, len(prompts))
    return [prompts[number * len(prompts) // count] for number in range(count)]


if __name__ == "__main__":
    command(main)
