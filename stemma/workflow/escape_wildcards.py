"""Text that Snakemake takes as it is. To Snakemake `{x}` in a param or a path is a wildcard, and `<x>` in a path is a
variable; what comes from a config is neither.

`literal_params` does it for a rule's params, `literal` for a path that an input function returns (of a path that stands
in a rule itself, Snakemake reads the braces at once). `text` is for what shell.prefix formats.
"""

from collections.abc import Callable

from snakemake import io
from snakemake.io import AnnotatedString
from snakemake.pathvars import Pathvars

LITERAL = "stemma_literal"


def literal_params(rule) -> None:
    """Keep Snakemake from looking for wildcards in a rule's params: what a function gives is not looked into."""
    for name, (index, _) in list(rule.params._get_names()):
        value = rule.params[index]
        if isinstance(value, str | list) and "{" in str(value):
            rule.params[index] = given(value)
            rule.params._set_name(name, index)


def given(value: object) -> Callable:
    """A param function that gives the same for every job."""
    return lambda wildcards: value


def literal(path: str) -> str:
    """A path, for an input function to return, whose braces and angle brackets are part of a file's name."""
    marked = AnnotatedString(path.rstrip("/") or path)
    marked.flags[LITERAL] = True
    return marked


def text(value: str) -> str:
    """A text that str.format gives back as it is."""
    return value.replace("{", "{{").replace("}", "}}")


def respect_literals() -> None:
    """Let what Snakemake reads paths with leave alone what `literal` has marked."""
    for place, name in ((io, "apply_wildcards"), (io, "check"), (Pathvars, "apply")):
        inner = getattr(place, name)
        if not hasattr(inner, LITERAL):
            setattr(place, name, sparing(inner))


def sparing(inner: Callable) -> Callable:
    """The same function, but that a marked path comes back unchanged."""

    def outer(*arguments, **options):
        for value in arguments:  # few and often: is_flagged takes four times as long
            if LITERAL in getattr(value, "flags", ()):
                return value
        return inner(*arguments, **options)

    setattr(outer, LITERAL, True)
    return outer
