"""Decides by globs over their names which members of an archive are meant. It opens nothing."""

import functools
import re
from collections.abc import Callable

from llm.errors import InputError


def chooser(include: list[str], exclude: list[str], *, label: str) -> Callable[[str], bool]:
    """Return the test of a member's name: does some include glob match it and no exclude glob?"""
    yes = [glob(pattern, label) for pattern in include]
    no = [glob(pattern, label) for pattern in exclude]
    return lambda name: (
        any(map(functools.partial(matches, name), yes)) and not any(map(functools.partial(matches, name), no))
    )


def matches(name: str, pattern: re.Pattern) -> bool:
    return pattern.fullmatch(name) is not None


def glob(pattern: str, label: str) -> re.Pattern:
    """Return a glob as a regular expression: `**/` any folders, `*` and `?` within one name, `{a,b}`, `[abc]`."""
    parts = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]", "{": "(?:", "}": ")"}
    tokens = re.findall(r"\*\*/|\*\*|\*|\?|\[[^\]]+\]|[{},]|.", pattern, re.DOTALL)
    depth, expression = 0, ""
    for token in tokens:
        depth += (token == "{") - (token == "}")
        if token == "," and depth:
            expression += "|"
        elif token.startswith("[") and len(token) > 1:
            expression += token.replace("[!", "[^", 1)
        else:
            expression += parts.get(token, re.escape(token))
    try:
        return re.compile(expression, re.DOTALL)
    except re.error as error:
        raise InputError(f"{label}: glob '{pattern}' is malformed ({error})") from error
