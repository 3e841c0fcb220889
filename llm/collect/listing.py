"""Lists the members of a hostile archive as they are found: names, number and sizes are checked, links set apart."""

import posixpath
from collections.abc import Callable
from typing import IO

from llm.collect.decompress import Limits, check_count, check_total
from llm.errors import InputError

LONGEST = 4096  # characters of a name, as in Linux


class Listing:
    """The members of one archive. `members`: name -> what opens it; `links`: name -> where it points to; `twice`: the
    names that were used again, for another member that goes before the first."""

    def __init__(self, label: str, size: int, limits: Limits) -> None:
        self.label, self.size, self.limits = label, size, limits
        self.members: dict[str, Callable[[], IO[bytes]]] = {}
        self.links: dict[str, str] = {}
        self.twice: list[str] = []
        self.seen, self.total = 0, 0

    def count(self) -> None:
        """One more member of any kind."""
        check_count(self.seen, self.label, self.limits)
        self.seen += 1

    def add(self, name: str, size: int, open: Callable[[], IO[bytes]]) -> None:
        """A file of `size` bytes."""
        name = safe_name(name, self.label)
        self.total += size
        check_total(self.total, self.size, self.label, self.limits)
        self.twice += [name] if name in self.members else []
        self.members[name] = open

    def link(self, name: str, target: str, *, hard: bool = False) -> None:
        """A link. A symbolic one is read from its folder, a hard one from the archive's top."""
        name = safe_name(name, self.label)
        self.links[name] = posixpath.normpath(posixpath.join("" if hard else posixpath.dirname(name), target))

    def refused(self, name: str, what: str) -> InputError:
        """The error for a member that no archive should hold."""
        return InputError(f"{self.label}: member '{safe_name(name, self.label)}' is {what}; refusing the archive")

    def check_links(self, wanted: Callable[[str], bool]) -> None:
        for name, target in sorted(self.links.items()):
            if wanted(name) and (target.startswith("/") or target.split("/")[0] == ".."):
                raise InputError(
                    f"{self.label}: member '{name}' is a link out of the archive (to {target[:LONGEST]}); exclude it"
                )


def safe_name(name: str, label: str) -> str:
    """Return the name without './'. Raises InputError if it is absolute, climbs out of the archive or is too long."""
    if len(name) > LONGEST:
        raise InputError(
            f"{label}: a member's name has {len(name):,} characters ('{name[:60]}...'); refusing the archive"
        )
    parts = name.replace("\\", "/").split("/")
    if name.startswith(("/", "\\")) or ".." in parts or "\0" in name or (len(name) > 1 and name[1] == ":"):
        raise InputError(f"{label}: member '{name}' escapes the archive's directory; refusing the archive")
    return "/".join(part for part in name.split("/") if part not in ("", "."))
