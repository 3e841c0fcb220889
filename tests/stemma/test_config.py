"""Every mistake in a config is one line: what, where, what to do."""

import pytest

from stemma.config import check
from stemma.errors import StemmaError

SCHEMA = """
type: object
additionalProperties: false
required: [process]
properties:
  seed: {type: integer, default: 7}
  process:
    type: object
    additionalProperties: false
    properties:
      min_words: {type: integer, minimum: 1, default: 50}
      mode: {enum: [a, b]}
  sources:
    type: object
    default: {}
    additionalProperties:
      type: object
      additionalProperties: false
      properties: {license: {type: string, default: unknown}}
"""


@pytest.fixture
def schema(tmp_path):
    file = tmp_path / "schema.yaml"
    file.write_text(SCHEMA)
    return file


def test_defaults_are_filled_deep(schema):
    config = {"process": {}, "sources": {"a": {}}}
    check(config, schema)
    assert config == {"seed": 7, "process": {"min_words": 50}, "sources": {"a": {"license": "unknown"}}}


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"process": {"min_wrods": 1}}, "config: process.min_wrods: unknown key; did you mean min_words?"),
        ({"process": {}, "sed": 1}, "config: sed: unknown key; did you mean seed?"),
        ({"process": {"min_words": "many"}}, "config: process.min_words: 'many' is not of type integer"),
        ({"process": {"min_words": 0}}, "config: process.min_words: 0 is less than the minimum of 1"),
        ({"process": {"mode": "c"}}, "config: process.mode: 'c' is not one of a, b"),
        ({}, "config: the top level: the key process is missing"),
        (
            {"process": {}, "sources": {"a": {"licence": "MIT"}}},
            "config: sources.a.licence: unknown key; did you mean license?",
        ),
    ],
)
def test_each_mistake_is_one_line(schema, config, message):
    with pytest.raises(StemmaError) as caught:
        check(config, schema)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("config", "place"),
    [
        ({"process": {}, "sources": {"a": {"license": "x\ud800"}}}, r"config: sources.a.license: 'x\ud800' holds"),
        ({"process": {}, "sources": {"\udfff": {}}}, r"config: sources: '\udfff' holds"),
        ({"process": {"mode": ["a", "b\0"]}}, r"config: process.mode.1: 'b\x00' holds"),
    ],
)
def test_what_no_file_can_hold_is_refused(schema, config, place):
    with pytest.raises(StemmaError) as caught:
        check(config, schema)
    assert str(caught.value).startswith(place)
