"""Accuracies against a plain count over the model's own logits; guessing is zero, all right is one."""

from itertools import pairwise

import pytest
import torch

from llm.errors import InputError
from llm.evaluate.suite import Question, Task
from llm.evaluate.tasks import asked, centred, continued, mean_of
from llm.inference.engine import Engine
from llm.model.transformer import CausalLM
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


def test_a_choice_has_a_score_whatever_the_prompt_ends_with(tokenizer):
    """Blanks at its end may be one token with the choice's."""
    for prompt in ("the 1", "the 1 ", "the 1   ", "the 1\n"):
        for choice in WORDS:
            task = Task(name="t", kind="choice")
            ids, begin = continued(tokenizer, task, Question(prompt=prompt, choices=WORDS), choice)
            assert tokenizer.decode(ids[begin:]).strip() == choice


def saying(model: CausalLM, chain: list[int]) -> CausalLM:
    """A model that says each token of the chain after the one before it: no layer adds anything, and the output layer
    looks for the embedding of the token before."""
    assert len(set(chain)) == len(chain)
    embedding_VD = model.model.embed_tokens.weight
    with torch.no_grad():
        for layer in model.model.layers:
            layer.self_attn.o_proj.weight.zero_()
            layer.mlp.down_proj.weight.zero_()
        model.lm_head.weight.zero_()
        for before, after in pairwise(chain):
            model.lm_head.weight[after] = embedding_VD[before] / embedding_VD[before].norm()
    return model


@pytest.mark.parametrize("way", ["text", "chat"])
@pytest.mark.parametrize(("said", "line"), [("no de", "no de"), ("se\nlo", "se")])
def test_an_exact_answer_is_the_first_line(random_lm, tokenizer, way, said, line):
    """Half of the questions have it among their targets; a part of it is another answer."""
    ids = encode_chat(tokenizer, [{"role": "user", "content": "thi"}], add_generation_prompt=True)[0]
    last = ids[-1] if way == "chat" else tokenizer.encode("thi")[-1]
    model = saying(random_lm(tie_embeddings=False), [last, *tokenizer.encode(said), tokenizer.eos])
    targets = [[line], ["x", line], [line[:1], "x"], [f"{line} x"]]
    task = Task(name="t", kind="exact", asked=way, questions=[Question(prompt="thi", targets=each) for each in targets])
    found = asked(Engine(model), tokenizer, task)
    assert found["accuracy"]["value"] == 0.5 and found["centred"]["value"] == 0.5


def test_scores_are_centred_as_core_does():
    accuracy = {"value": 0.55, "se": 0.09, "n": 30}
    assert centred(accuracy, 0.25) == {"value": pytest.approx(0.4), "se": pytest.approx(0.12), "n": 30}
    tasks = {name: {"centred": {"value": value, "se": 0.3, "n": 9}} for name, value in {"a": 1.0, "b": 0.0}.items()}
    assert mean_of(tasks) == {"value": 0.5, "se": pytest.approx(0.3 / 2**0.5), "n": 2}


def test_a_question_beyond_the_context_is_refused(random_lm, tokenizer):
    question = Question(prompt="thi " * 80, choices=["a", "b"])
    with pytest.raises(InputError, match="task long: .* more than the model's context of 64"):
        asked(Engine(random_lm()), tokenizer, Task(name="long", kind="choice", questions=[question]))
