"""Globs over the names of an archive's members."""

import pytest

from llm.collect.globs import chooser


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        ("**/*.txt", ["a.txt", "b/a.txt", "b/c/a.txt"], ["a.txt.gz", "txt"]),
        ("*.txt", ["a.txt"], ["b/a.txt"]),
        ("*/doc/**", ["x/doc/a", "x/doc/b/c"], ["doc/a", "x/y/doc/a"]),
        ("**/{a,b*}/?.py", ["a/x.py", "z/b1/y.py"], ["c/x.py", "a/xy.py"]),
        ("[!a]*.c", ["b.c"], ["a.c", "b.d"]),
        ("a+b(1).txt", ["a+b(1).txt"], ["aab1.txt"]),
    ],
)
def test_globs(pattern: str, yes: list[str], no: list[str]) -> None:
    wanted = chooser([pattern], ["**/never*"], label="it")
    assert [name for name in yes + no + ["never.txt"] if wanted(name)] == yes
