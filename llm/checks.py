"""Holds checks that several config blocks share; each raises an InputError that begins with the config key."""

from collections.abc import Iterable

from llm.errors import InputError


def only_known(section: Iterable[str], known: Iterable[str], where: str) -> None:
    """Raise InputError for a key of the block `where` that is not in `known`; the message lists `known` in order."""
    for key in section:
        if key not in known:
            raise InputError(f"{where}.{key}: unknown key; known are {', '.join(known)}")


def positive_whole(value: object, where: str) -> None:
    """Raise InputError unless `value` is a whole number of 1 or more; True does not count as one."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InputError(f"{where}: {value!r} is not a positive whole number")


def within(value: object, where: str, *, least: float = 1e-9, most: float = 1e15) -> None:
    """Raise InputError unless `value` is a number from `least` to `most`: beyond them, what is computed of it would
    end in infinity or a division by zero. NaN is not, and True does not count as one."""
    if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0 or value != value:
        raise InputError(f"{where}: {value!r} is not a positive number")
    if not least <= value <= most:
        raise InputError(f"{where}: {value!r} is not between {least:g} and {most:g}")
