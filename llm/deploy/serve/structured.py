"""Compiles what an answer has to look like, a JSON schema or a regular expression, over the tokens of a model.

llguidance was chosen by measuring (docs/log.md): it is small, needs nothing else, and compiles in milliseconds.
"""

import json
from collections.abc import Sequence
from typing import Any

import jsonschema
from llguidance import LLMatcher, LLTokenizer, TokenizerWrapper

from llm.errors import InputError
from llm.inference.grammar import Grammar
from llm.tokenize.hub import HubTokenizer
from llm.tokenize.load import CONTROLS, Tokenizer
from llm.tokenize.open import AnyTokenizer
from llm.tokenize.spelling import Spelling

DEEPEST = 64  # parsers recurse


def depth(value: Any) -> int:
    """Return how deep a JSON value is nested."""
    level, found = [value], 0
    while level := [each for one in level if isinstance(one, dict | list) for each in items(one)]:
        found += 1
    return found


def items(value: dict | list) -> list:
    return list(value.values()) if isinstance(value, dict) else value


class Vocabulary:
    """A tokenizer as the library sees it."""

    def __init__(self, library: LLTokenizer) -> None:
        self.library = library

    def json(self, schema: dict[str, Any]) -> Grammar:
        """Compile a JSON schema: answers are one line, written as json.dumps does. Raises InputError for a schema that
        is none, or that has a keyword which cannot be kept to."""
        if depth(schema) > DEEPEST:
            raise InputError(f"response_format: the schema is nested more than {DEEPEST} levels deep")
        draft = schema.get("$schema", "")
        try:
            checker = jsonschema.validators.validator_for({"$schema": str(draft)}, jsonschema.Draft202012Validator)
        except ValueError as error:
            raise InputError(f"response_format: $schema {draft!r}: {error}; name a draft by its URL") from None
        try:
            checker.check_schema(schema)
        except jsonschema.SchemaError as error:
            place = "/".join(map(str, error.absolute_path)) or "the schema"
            raise InputError(f"response_format: {place}: {error.message}"[:500]) from None
        source = json.dumps(schema)
        # So no model can lose itself in line ends; and a keyword that the library does not know is an error.
        try:
            grammar = LLMatcher.grammar_from_json_schema(
                source,
                overrides={
                    "item_separator": ", ",
                    "key_separator": ": ",
                    "whitespace_flexible": False,
                    "lenient": False,
                },
            )
        except ValueError as error:  # NaN, or half of a surrogate pair, which Python's JSON takes
            raise InputError(f"response_format: {source[:100]}: {error}") from None
        return self.compiled(grammar, source)

    def regex(self, pattern: str) -> Grammar:
        """Compile a regular expression that the whole answer matches (Rust's syntax: \\d is any script's digit; without
        look-around). Raises InputError for one that is none."""
        return self.compiled(LLMatcher.grammar_from_regex(pattern), pattern)

    def compiled(self, grammar: str, source: str) -> Grammar:
        matcher = LLMatcher(self.library, grammar, log_level=0)
        if not matcher.is_error():
            matcher.compute_bitmask()  # what comes first is looked for now: some grammars are found too large only then
        if matcher.is_error():
            said = matcher.get_error().strip().split("\n")[0]
            raise InputError(f"response_format: {source[:100]}: {said[:300]}")
        return Grammar(source, matcher)


class Own:
    """The project's own tokenizer by the attributes that the library reads."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        self.eos_token_id, self.bos_token_id = tokenizer.eos, tokenizer.bos
        spelling = Spelling(tokenizer)
        self.tokens = [spelling.raw(token) for token in range(tokenizer.vocab_size)]
        self.special_token_ids = [i for i, each in enumerate(self.tokens) if i < len(CONTROLS) or not each]

    def __call__(self, text: bytes) -> Sequence[int]:
        return self.tokenizer.encode(text.decode(errors="replace"))


def vocabulary_of(tokenizer: AnyTokenizer) -> Vocabulary:
    if isinstance(tokenizer, HubTokenizer):
        return Vocabulary(LLTokenizer(tokenizer.path.read_text(encoding="utf-8"), eos_token=tokenizer.eos))
    return Vocabulary(LLTokenizer(TokenizerWrapper(Own(tokenizer))))
