"""Accuracies against a plain count over the model's own logits; guessing is zero, all right is one."""

import pytest
import torch

from llm.errors import InputError
from llm.evaluate.suite import Question, Task
from llm.evaluate.tasks import asked, centred, mean_of
from llm.inference.engine import Engine
from llm.tokenize.chat import encode_chat
from llm.tokenize.load import Tokenizer

WORDS = ["thi sone", "rato", "lis", "no dethe"]


@pytest.fixture
def tokenizer(tokenizer_files) -> Tokenizer:
    return Tokenizer(tokenizer_files["model"])


def log_prob(model, ids: list[int], begin: int) -> float:
    with torch.inference_mode():
        scores = model(torch.tensor(ids)[None])[0].double().log_softmax(-1)
    return sum(scores[place - 1, ids[place]].item() for place in range(begin, len(ids)))


def likeliest(model, tokenizer, prompt: str, way: str, per_byte: bool) -> int:
    scores = []
    for word in WORDS:
        if way == "chat":
            ids, mask = encode_chat(
                tokenizer, [{"role": "user", "content": prompt}, {"role": "assistant", "content": word}]
            )
            score = log_prob(model, ids, mask.index(1))
        else:
            ids = [tokenizer.bos, *tokenizer.encode(f"{prompt} {word}")]
            score = log_prob(model, ids, 1 + len(tokenizer.encode(prompt)))
        scores.append(score / (len(word.encode()) if per_byte else 1))
    return scores.index(max(scores))


@pytest.mark.parametrize(("way", "per_byte"), [("text", False), ("text", True), ("chat", True)])
def test_the_likeliest_choice_counts(random_lm, tokenizer, way, per_byte):
    model = random_lm()
    prompts = [f"the {number}" for number in range(8)]
    best = [likeliest(model, tokenizer, prompt, way, per_byte) for prompt in prompts]
    answers = [place if number % 2 else (place + 1) % 4 for number, place in enumerate(best)]
    questions = [Question(prompt=p, choices=WORDS, answer=a) for p, a in zip(prompts, answers, strict=True)]
    task = Task(name="t", kind="choice", asked=way, per_byte=per_byte, questions=questions)
    found = asked(Engine(model), tokenizer, task)
    assert found["accuracy"]["value"] == 0.5 and found["baseline"] == 0.25
    assert found["centred"]["value"] == pytest.approx(1 / 3)


@pytest.mark.parametrize("way", ["text", "chat"])
def test_an_exact_answer_is_the_first_line(random_lm, tokenizer, way):
    """The model's own greedy answer is right, another is not."""
    model = random_lm()
    if way == "chat":
        ids = encode_chat(tokenizer, [{"role": "user", "content": "thi"}], add_generation_prompt=True)[0]
    else:
        ids = [tokenizer.bos, *tokenizer.encode("thi")]
    target = "x y z w"  # as long as is asked for
    room = 4 + len(tokenizer.encode(target))
    with torch.inference_mode():
        for _ in range(room):
            ids.append(model(torch.tensor(ids)[None])[0, -1].argmax().item())
            if ids[-1] == tokenizer.eos:
                break
    own = tokenizer.decode(ids[-room:]).strip().split("\n")[0].strip()
    questions = [Question(prompt="thi", targets=[target]), Question(prompt="thi", targets=[target, own])]
    if len(tokenizer.encode(own)) > len(tokenizer.encode(target)):
        questions = [Question(prompt="thi", targets=[target, own[: len(own) // 2]]), questions[1]]
    found = asked(Engine(model), tokenizer, Task(name="t", kind="exact", asked=way, questions=questions))
    assert found["accuracy"]["value"] in (0.5, 1.0) and found["baseline"] == 0.0


def test_scores_are_centred_as_core_does():
    accuracy = {"value": 0.55, "se": 0.09, "n": 30}
    assert centred(accuracy, 0.25) == {"value": pytest.approx(0.4), "se": pytest.approx(0.12), "n": 30}
    tasks = {name: {"centred": {"value": value, "se": 0.3, "n": 9}} for name, value in {"a": 1.0, "b": 0.0}.items()}
    assert mean_of(tasks) == {"value": 0.5, "se": pytest.approx(0.3 / 2**0.5), "n": 2}


def test_a_question_beyond_the_context_is_refused(random_lm, tokenizer):
    question = Question(prompt="thi " * 80, choices=["a", "b"])
    with pytest.raises(InputError, match="task long: .* more than the model's context of 64"):
        asked(Engine(random_lm()), tokenizer, Task(name="long", kind="choice", questions=[question]))
