"""Lists ancestors and descendants among the artifacts that stand here, as the small trees that a page shows.

They come from records' inputs alone. For artifacts of other configs `python -m stemma lineage` and `used-by` read every
record.
"""

from dataclasses import dataclass

from stemma.provenance.catalogue import Artifact

LINES = 40  # lines of a tree on a page; the command prints all


@dataclass(frozen=True)
class Line:
    """One line of a tree: depth, name, and whether it was shown above with its branch."""

    depth: int
    name: str
    again: bool


class Family:
    """Parents and children by declared path."""

    def __init__(self, artifacts: list[Artifact]):
        self.parents: dict[str, list[str]] = {}
        self.children: dict[str, list[str]] = {}
        for item in artifacts:
            names = list(dict.fromkeys(one.path for one in item.record.inputs))
            self.parents[str(item.path)] = names
            for name in names:
                self.children.setdefault(name, []).append(str(item.path))

    def ancestors(self, path: str) -> tuple[list[Line], int]:
        """Return (lines of the tree of ancestors, down to sources; how many lines were left out)."""
        return tree(path, self.parents)

    def descendants(self, path: str) -> tuple[list[Line], int]:
        """Return (lines of the tree of descendants; how many lines were left out)."""
        return tree(path, self.children)


def tree(root: str, edges: dict[str, list[str]]) -> tuple[list[Line], int]:
    """Walk a tree depth first; each name's branch is shown where the name comes first."""
    lines: list[Line] = []
    seen: set[str] = set()
    waiting = [(1, name) for name in reversed(edges.get(root, []))]
    count = 0
    while waiting:
        depth, name = waiting.pop()
        again = name in seen and bool(edges.get(name))
        count += 1
        if len(lines) < LINES:
            lines.append(Line(depth, name, again))
        if name not in seen:
            seen.add(name)
            waiting += [(depth + 1, inner) for inner in reversed(edges.get(name, []))]
    return lines, count - len(lines)
