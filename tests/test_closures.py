"""Closures stay as small as they are pinned to be, and only what fetches may use the network."""

import json

import pytest

from tests.closures import PINNED, closures

FOUND = closures()
EXPECTED = json.loads(PINNED.read_text())


def test_every_script_is_pinned():
    assert FOUND.keys() == EXPECTED.keys()


@pytest.mark.parametrize("script", FOUND)
def test_closure_is_as_pinned(script: str):
    """On purpose? Then `python -m tests.closures` pins it anew."""
    assert FOUND[script] == EXPECTED.get(script)


def test_only_fetch_may_use_the_network():
    assert [script for script, closure in FOUND.items() if closure["network"]] == ["scripts/collect/fetch.py"]


def test_stages_do_not_reach_into_later_ones():
    """Pretraining sees neither alignment nor serving, tokens see no model."""
    later = {
        "pretrain": ("llm/align", "llm/quantize", "llm/serve"),
        "tokenize": ("llm/model", "llm/train", "llm/align"),
    }
    for script, closure in FOUND.items():
        for stage, folders in later.items():
            if script.startswith(f"scripts/{stage}/"):
                assert not [name for name in closure["modules"] if name.startswith(folders)]
