"""Protects text from Snakemake's substitutions: `{x}` in a param or a path would be a wildcard, `<x>` in a path a
variable; text from a config is neither.

`literal_params` protects a rule's params, `literal` a path that an input function returns (braces of a path in a rule
itself are interpreted at once, and cannot be protected). `text` is for what shell.prefix formats.
"""

from collections.abc import Callable

from snakemake import io
from snakemake.io import AnnotatedString
from snakemake.pathvars import Pathvars

from stemma.base.patches import put

LITERAL = "stemma_literal"


def literal_params(rule) -> None:
    """Keep Snakemake from looking for wildcards in a rule's params, by functions, whose values it does not search."""
    for name, (index, _) in list(rule.params._get_names()):
        value = rule.params[index]
        if isinstance(value, str | list) and "{" in str(value):
            rule.params[index] = given(value)
            rule.params._set_name(name, index)


def given(value: object) -> Callable:
    """Return a param function that gives every job the same value."""
    return lambda wildcards: value


def literal(path: str) -> str:
    """Mark a path, to be returned by an input function, whose braces and angle brackets belong to the file's name."""
    marked = AnnotatedString(path.rstrip("/") or path)
    marked.flags[LITERAL] = True
    return marked


def text(value: str) -> str:
    """Escape a text so that str.format returns it unchanged."""
    return value.replace("{", "{{").replace("}", "}}")


def respect_literals() -> None:
    """Patch the functions by which Snakemake reads paths to leave those alone that `literal` has marked."""
    for owner, place in ((io, "io.apply_wildcards"), (io, "io.check"), (Pathvars, "Pathvars.apply")):
        inner = getattr(owner, place.partition(".")[2])
        if not hasattr(inner, LITERAL):
            put(owner, place, sparing(inner))


def sparing(inner: Callable) -> Callable:
    """Wrap a function so that it returns a marked path unchanged."""

    def outer(*arguments, **options):
        for value in arguments:  # called very often: is_flagged takes four times as long
            if LITERAL in getattr(value, "flags", ()):
                return value
        return inner(*arguments, **options)

    setattr(outer, LITERAL, True)
    return outer
