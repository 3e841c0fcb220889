"""Answers that keep to a schema or a regular expression, whatever a random model would rather say."""

import json
import random
import re
from functools import reduce

import httpx
import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm.deploy.serve.structured import Vocabulary, vocabulary_of
from llm.errors import InputError
from llm.inference.attention import block_bytes
from llm.inference.engine import Engine, EngineSettings
from llm.inference.scheduler import Limits
from llm.inference.sequence import Request
from llm.tokenize.hub import HubTokenizer
from llm.tokenize.load import Tokenizer

NAME = {"type": "string", "maxLength": 8}
PERSON = {
    "type": "object",
    "properties": {"name": NAME, "age": {"type": "integer", "minimum": 0, "maximum": 150}},
    "required": ["name", "age"],
    "additionalProperties": False,
}


def names() -> st.SearchStrategy[str]:
    return st.text("abcxyz \u00e9", min_size=1, max_size=4)


def leaves() -> st.SearchStrategy[dict]:
    """Schemas whose answers cannot go on for ever."""

    def whole(low: int, more: int) -> dict:
        return {"type": "integer", "minimum": low, "maximum": low + more}

    def text(low: int, more: int) -> dict:
        return {"type": "string", "minLength": low, "maxLength": low + more}

    values = st.lists(st.one_of(names(), st.integers(-5, 5)), min_size=1, max_size=3)
    return st.one_of(
        st.sampled_from([{"type": "boolean"}, {"type": "null"}, {"type": "string", "pattern": "^[a-c]{2}-[0-9]$"}]),
        st.builds(whole, st.integers(-99, 99), st.integers(0, 999)),
        st.builds(text, st.integers(0, 3), st.integers(0, 4)),
        st.builds(lambda each: {"enum": each}, values),
        st.builds(lambda each: {"const": each}, names()),
    )


def objects(inner: st.SearchStrategy[dict]) -> st.SearchStrategy[dict]:
    def made(properties: dict[str, dict], chance: random.Random) -> dict:
        required = [name for name in properties if chance.random() < 0.7]
        return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}

    return st.builds(made, st.dictionaries(names(), inner, max_size=3), st.randoms())


def arrays(inner: st.SearchStrategy[dict]) -> st.SearchStrategy[dict]:
    return st.builds(
        lambda items, low, more: {"type": "array", "items": items, "minItems": low, "maxItems": low + more},
        inner, st.integers(0, 2), st.integers(0, 2),
    )  # fmt: skip


def inner(some: st.SearchStrategy[dict]) -> st.SearchStrategy[dict]:
    either = st.builds(lambda each: {"anyOf": each}, st.lists(some, min_size=1, max_size=2))
    return st.one_of(objects(some), arrays(some), either)


SCHEMAS = st.recursive(leaves(), inner, max_leaves=4)


@pytest.fixture(scope="session")
def tokenizer(tokenizer_files) -> Tokenizer:
    return Tokenizer(tokenizer_files["model"])


@pytest.fixture(scope="session")
def vocabulary(tokenizer) -> Vocabulary:
    return vocabulary_of(tokenizer)


@pytest.fixture(scope="session")
def engine(random_lm) -> Engine:
    """Few blocks, so that sequences are preempted; guesses ahead."""
    model = random_lm(context_length=1024)
    kv_bytes = 40 * block_bytes(model.config, model.model.embed_tokens.weight.dtype)
    return Engine(model, EngineSettings(kv_bytes=kv_bytes, limits=Limits(token_budget=32), draft_tokens=3))


@settings(max_examples=25)
@given(schema=SCHEMAS, seed=st.integers(0, 2**32))
def test_answers_are_valid_by_their_schema(schema: dict, seed: int, engine, tokenizer, vocabulary) -> None:
    grammar = vocabulary.json(schema)
    hot = Request([9, 10, 11], 800, 1.5, seed=seed, n=2, grammar=grammar)
    for output in engine.generate([hot, Request([9, 10, 11], 800, grammar=grammar, top_k=3)]):
        for completion in output.completions:
            assert completion.finish_reason == "stop"
            text = tokenizer.decode(completion.tokens)
            jsonschema.validate(json.loads(text), schema)


DATED = "[A-Z][a-z]{2,9}(, [A-Z][a-z]+){0,3}: [0-9]{4}-[0-9]{2}"


@pytest.mark.parametrize("pattern", [DATED, " ?(yes|no|n\u00e9e)", "(a|b){30}"])
def test_answers_match_their_expression(pattern: str, engine, tokenizer, vocabulary) -> None:
    requests = [Request([9], 400, 1.0, seed=seed, grammar=vocabulary.regex(pattern)) for seed in range(8)]
    ended = [output.completions[0] for output in engine.generate(requests)]
    texts = [tokenizer.decode(each.tokens) for each in ended if each.finish_reason == "stop"]
    assert len(set(texts)) > 1 and all(re.fullmatch(pattern, text) for text in texts), texts


def test_a_grammar_changes_no_byte_of_others_and_is_changed_by_none(random_lm, vocabulary) -> None:
    """Beside others, with siblings, preempted, with guesses: the tokens and log-probabilities of the lone run."""
    model = random_lm(context_length=256)
    person = vocabulary.json(PERSON)
    requests = [
        Request([9, 10, 11] * 4, 60, 1.0, seed=seed, n=1 + seed % 2, logprobs=1, grammar=person if seed % 2 else None)
        for seed in range(8)
    ]
    lone = [Engine(model).generate([request])[0].completions for request in requests]
    kv_bytes = 9 * block_bytes(model.config, model.model.embed_tokens.weight.dtype)
    tight = Engine(model, EngineSettings(kv_bytes=kv_bytes, limits=Limits(token_budget=24), draft_tokens=4))
    assert [output.completions for output in tight.generate(requests)] == lone
    assert tight.scheduler.preemptions


def test_a_foreign_tokenizer_s_answers(tokenizer_files, random_lm) -> None:
    foreign = HubTokenizer(tokenizer_files["tokenizer"].parent)
    grammar = vocabulary_of(foreign).json(PERSON)
    found = Engine(random_lm(context_length=512)).generate([Request([9], 400, 1.0, seed=3, grammar=grammar)])
    jsonschema.validate(json.loads(foreign.decode(found[0].completions[0].tokens)), PERSON)


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ({"type": "strange"}, "type: 'strange' is not valid"),
        ({"type": "object", "properties": 3}, "properties: 3 is not of type 'object'"),
        ({"type": "string", "pattern": "("}, "response_format: "),
        ({"type": "array", "uniqueItems": True}, "uniqueItems"),
        ({"$ref": "#/$defs/nothing"}, "nothing"),
        ({"type": "integer", "minimum": 5, "maximum": 1}, "response_format: "),
        (reduce(lambda inner, _: {"type": "array", "items": inner}, range(900), {}), "nested more than 64"),
    ],
)
def test_a_schema_that_cannot_be_kept_to_is_refused(schema: dict, said: str, vocabulary) -> None:
    with pytest.raises(InputError, match=said):
        vocabulary.json(schema)


def test_an_expression_that_is_none_is_refused(vocabulary) -> None:
    for pattern in ("(", "(?=a)b", "a{5,2}"):
        with pytest.raises(InputError, match="response_format: "):
            vocabulary.regex(pattern)


def test_over_http(client, url) -> None:
    """By the official client, streamed and whole; refusals name the schema."""
    asked = {"name": "person", "schema": PERSON, "strict": True}
    call = {"model": "base", "messages": [{"role": "user", "content": "who?"}], "seed": 4, "n": 2}
    call["response_format"] = {"type": "json_schema", "json_schema": asked}
    whole = client.chat.completions.create(**call)
    texts = [choice.message.content for choice in whole.choices]
    for choice in whole.choices:
        assert choice.finish_reason == "stop"
        jsonschema.validate(json.loads(choice.message.content), PERSON)
    streamed = ["", ""]
    for chunk in client.chat.completions.create(**call, stream=True):
        for choice in chunk.choices:
            streamed[choice.index] += choice.delta.content or ""
    assert streamed == texts
    body = {"model": "base", "prompt": "x", "seed": 1, "response_format": {"type": "regex", "pattern": "(ab|cd){3}"}}
    found = httpx.post(f"{url}/v1/completions", json=body, timeout=60).json()
    assert re.fullmatch("(ab|cd){3}", found["choices"][0]["text"])
    for wrong, said in (
        ({"type": "json_schema", "json_schema": {"schema": {"type": "strange"}}}, "'strange' is not valid"),
        ({"type": "regex", "pattern": "("}, "response_format: "),
        ({"type": "grammar"}, "response_format"),
    ):
        refused = httpx.post(f"{url}/v1/completions", json=body | {"response_format": wrong}, timeout=60)
        assert refused.status_code == 400 and said in refused.json()["error"]["message"]
