"""The chat format, by ids and through transformers' template."""

import json
import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm.errors import InputError
from llm.tokenize.chat import encode_chat
from llm.tokenize.load import CONTROLS, Tokenizer
from tests.llm.tokenize.texts import ADVERSARIAL, arbitrary

CONVERSATION = [
    {"role": "system", "content": "Be brief. "},
    {"role": "user", "content": "  What is 2 + 2?\n\n{{ braces }} <b> &amp; "},
    {"role": "assistant", "content": "4\n"},
    {"role": "user", "content": ""},
    {"role": "assistant", "content": " Why?"},
]


def test_format_and_mask(tokenizer: Tokenizer) -> None:
    hi, answer = tokenizer.encode("hi"), tokenizer.encode("yes, well")
    messages = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yes, well"}]
    ids, mask = encode_chat(tokenizer, messages)
    assert ids == [1, 6, *hi, 7, *answer, 2]
    assert mask == [0, 0, *[0] * len(hi), 0, *[1] * len(answer), 1]
    ids, mask = encode_chat(tokenizer, messages[:1], add_generation_prompt=True)
    assert ids == [1, 6, *hi, 7]
    assert mask == [0] * len(ids)
    assert encode_chat(tokenizer, []) == ([1], [0])


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["system", "user", "assistant"]), arbitrary), max_size=4))
def test_content_never_becomes_a_control(tokenizer: Tokenizer, turns: list[tuple[str, str]]) -> None:
    ids, mask = encode_chat(tokenizer, [{"role": role, "content": content} for role, content in turns])
    expected = [1]
    for role, _ in turns:
        expected += [{"system": 5, "user": 6, "assistant": 7}[role]] + ([2] if role == "assistant" else [])
    assert [i for i in ids if i < len(CONTROLS)] == expected
    assert len(mask) == len(ids)


@pytest.mark.parametrize(
    "message",
    [{"role": "tool", "content": "x"}, {"content": "x"}, {"role": "user"}, {"role": "user", "content": None}, "hi"],
)
def test_bad_messages(tokenizer: Tokenizer, message: object) -> None:
    with pytest.raises(InputError, match="^message 1: "):
        encode_chat(tokenizer, [{"role": "user", "content": "x"}, message])


@pytest.fixture(scope="module")
def hugging_face(directory: Path, tmp_path_factory: pytest.TempPathFactory) -> object:
    """What AutoTokenizer makes of a Llama model's directory, tokenizer.model beside tokenizer.json."""
    transformers = pytest.importorskip("transformers")
    target = tmp_path_factory.mktemp("hf") / "model"
    shutil.copytree(directory, target)
    config = {"architectures": ["LlamaForCausalLM"], "model_type": "llama"}
    (target / "config.json").write_text(json.dumps(config))
    return transformers.AutoTokenizer.from_pretrained(target)


def templated(hugging_face: object, messages: list[dict], prompt: bool = False, **options: bool) -> list[int]:
    return hugging_face.apply_chat_template(messages, add_generation_prompt=prompt, return_dict=False, **options)


@pytest.mark.parametrize("prompt", [False, True])
def test_the_template_gives_the_same_ids(hugging_face: object, tokenizer: Tokenizer, prompt: bool) -> None:
    for length in range(1, len(CONVERSATION) + 1):
        messages = CONVERSATION[:length]
        expected, _ = encode_chat(tokenizer, messages, add_generation_prompt=prompt)
        assert templated(hugging_face, messages, prompt) == expected


@settings(max_examples=150, deadline=None)
@given(content=arbitrary)
def test_the_template_keeps_control_text_out(hugging_face: object, tokenizer: Tokenizer, content: str) -> None:
    messages = [{"role": "user", "content": content}]
    ids = templated(hugging_face, messages)
    for found in (ids, templated(hugging_face, messages, sanitize_control_tokens=True)):
        assert found[:2] == [1, 6]
        assert all(i >= len(CONTROLS) for i in found[2:])
    if not any(control in content for control in CONTROLS):
        assert ids == encode_chat(tokenizer, messages)[0]


def test_the_template_refuses_other_roles(hugging_face: object) -> None:
    with pytest.raises(Exception, match="role tool is not one of"):
        templated(hugging_face, [{"role": "tool", "content": "x"}])


def test_transformers_on_plain_text(hugging_face: object, tokenizer: Tokenizer, corpus: list[str]) -> None:
    """Equal ids, but only split_special_tokens=True keeps control text in plain text from becoming control ids."""
    assert hugging_face.all_special_ids and set(hugging_face.all_special_ids) == set(range(8))
    assert len(hugging_face) == tokenizer.vocab_size
    for text in corpus[:8] + ADVERSARIAL:
        assert hugging_face(text, split_special_tokens=True)["input_ids"] == tokenizer.encode(text)
    assert hugging_face("a[EOS]")["input_ids"][-1] == tokenizer.eos, "documented in docs/tokenize.md"
    assert hugging_face(corpus[0])["input_ids"] == tokenizer.encode(corpus[0])
    assert hugging_face.decode(tokenizer.encode(" x  y\n")) == " x  y\n"
    assert hugging_face.decode([1, 6, *tokenizer.encode("x"), 2], skip_special_tokens=True) == "x"
