"""What blocks of a config are checked for alike; each check raises an InputError that begins with the config key."""

from collections.abc import Iterable

from llm.errors import InputError


def only_known(section: Iterable[str], known: Iterable[str], where: str) -> None:
    """No key of the block `where` but these, which are named in their order."""
    for key in section:
        if key not in known:
            raise InputError(f"{where}.{key}: unknown key; known are {', '.join(known)}")


def positive_whole(value: object, where: str) -> None:
    """A whole number of 1 or more; true is none."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InputError(f"{where}: {value!r} is not a positive whole number")
