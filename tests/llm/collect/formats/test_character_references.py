"""Character references: as the standard library resolves them, and numbers that it fails on."""

import html

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm.collect.formats.character_references import unescaped


@given(st.text(alphabet="&#xX0aFf19;amplt "))
def test_as_the_standard_library(text: str) -> None:
    assert unescaped(text) == html.unescape(text)


@pytest.mark.parametrize("reference", ["&#" + "9" * 5000 + ";", "&#" + "0" * 9999 + "65", "&#x" + "f" * 99999 + ";"])
def test_endless_numbers(reference: str) -> None:
    assert unescaped(f"a &lt; {reference}b") == "a < \ufffdb"
