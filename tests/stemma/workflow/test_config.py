"""Every mistake in a config is one line: what, where, what to do."""

import datetime

import pytest
import yaml

from stemma.base.errors import StemmaError
from stemma.workflow.config import check

SCHEMA = """
type: object
additionalProperties: false
required: [process]
properties:
  seed: {type: integer, default: 7}
  names: {type: array, items: {type: string}}
  bounds:
    type: object
    additionalProperties: {anyOf: [{type: "null"}, {type: object, properties: {max: {type: number}}}]}
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
      properties: {license: {type: string, default: unknown}, rate: {type: number}}
    propertyNames: {pattern: "^[a-z]+$", errorMessage: is no name}
"""


@pytest.fixture
def schema():
    return yaml.safe_load(SCHEMA)


def test_defaults_are_filled_deep(schema):
    config = {"process": {}, "sources": {"a": {}}}
    check(config, schema)
    assert config == {"seed": 7, "process": {"min_words": 50}, "sources": {"a": {"license": "unknown"}}}


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"process": {"min_wrods": 1}}, "config: process.min_wrods: unknown key; did you mean min_words?"),
        ({"process": {}, "sed": 1}, "config: sed: unknown key; did you mean seed?"),
        (
            {"process": {}, "min_words": 1},
            "config: min_words: unknown key; did you mean that of process? write process: {min_words: ...}",
        ),
        (
            {"process": {}, "sources": ["a"]},
            "config: sources: ['a'] stands where keys with their values belong; write sources: {key: ...}",
        ),
        ({"process": {"min_words": "many"}}, "config: process.min_words: 'many' is not of type integer"),
        ({"process": {"min_words": 0}}, "config: process.min_words: 0 is less than the minimum of 1"),
        ({"process": {"mode": "c"}}, "config: process.mode: 'c' is not one of a, b"),
        ({"process": {}, "seed": 2**63}, "config: seed: 9223372036854775808 has more than 64 bits; it may be"),
        ({"process": {}, "seed": 1e30}, "config: seed: 1e+30 is not of type integer"),
        ({"process": {}, "seed": True}, "config: seed: True is not of type integer"),
        ({"process": {"min_words": float("inf")}}, "config: process.min_words: inf is no finite number"),
        ({"process": {}, "sources": {"a": {"rate": float("nan")}}}, "config: sources.a.rate: nan is no finite number"),
        ({"process": {}, "sources": {"a": {"rate": "1e-3x"}}}, "config: sources.a.rate: '1e-3x' is not of type number"),
        ({"process": {}, "sources": {"a": {"rate": "1e999"}}}, "config: sources.a.rate: inf is no finite number"),
        ({"process": {"min_words": "1e-3"}}, "config: process.min_words: '1e-3' is not of type integer"),
        (
            {"process": {}, "names": "foldoc"},
            "config: names: 'foldoc' is one value where a list belongs; write [foldoc]",
        ),
        ({"process": {}, "sources": {"a": {}, 1: {}}}, "config: sources: the key 1 is no text; put it in quotes"),
        ({"process": {}, None: 1, "b": 2}, "config: the top level: the key None is no text"),
        ({"process": [{"a": 1, True: 2}]}, "config: process.0: the key True is no text"),
        ({"process": {}, "sources": {"a b": {}}}, "config: sources: 'a b' is no name"),
        ({"process": {"mode": datetime.date(2024, 1, 1)}}, "config: process.mode: YAML reads a date here"),
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


def test_equal_numbers_have_one_spelling(schema):
    config = {"process": {"min_words": 3.0}, "seed": 2.0, "sources": {"a": {"rate": 1.0}, "b": {"rate": 0.5}}}
    check(config, schema)
    found = [config["process"]["min_words"], config["seed"], *(source["rate"] for source in config["sources"].values())]
    assert [repr(value) for value in found] == ["3", "2", "1", "0.5"]


def test_numbers_with_an_exponent_are_numbers(schema):
    """YAML 1.1 reads `1e-3` as text: a number needs a point and a sign there."""
    config = yaml.safe_load(
        "{seed: 1e3, process: {min_words: 2.5E+2, mode: a}, sources: {a: {rate: 1e-3}, b: {license: 1e3}},"
        " bounds: {x: {max: -4.5e-1}, y: null}, names: [1e5]}"
    )
    check(config, schema)
    assert (config["seed"], config["process"]["min_words"]) == (1000, 250)
    assert config["sources"] == {"a": {"rate": 0.001, "license": "unknown"}, "b": {"license": "1e3"}}
    assert config["bounds"] == {"x": {"max": -0.45}, "y": None}
    assert config["names"] == ["1e5"]
