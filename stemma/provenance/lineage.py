"""Lineage: an artifact's ancestors down to the raw bytes, and a file's descendants.

Upwards, each record names its parents' records (a Merkle chain), so the ancestors are those that were really read,
whatever stands at their paths now. Downwards, content decides: whatever has read these bytes descends from them, even
if another job has made the same bytes again since. Output is formatted by stemma/provenance/render_tree.py; signatures
are checked by `verify`.
"""

import json
from dataclasses import dataclass, field

from stemma.provenance.index import Index
from stemma.provenance.lookup import Key, Makers, artifact_named, meaning_of, recorded, standing

SOURCE, ARTIFACT, LOST = "source", "artifact", "lost"


@dataclass(frozen=True)
class Node:
    """An artifact with the job that made it, a source, or bytes whose record is lost.

    `current`: whether it stands in results/ now; `origin`: the params of a job that had no inputs.
    """

    kind: str
    current: bool
    rule: str | None = None
    action: str | None = None
    record: str | None = None
    finished: str | None = None
    origin: dict | None = None


@dataclass
class Graph:
    """An answer: the roots, and edges that lead away from what was asked, up or down.

    `asked`: its name; `held`: the nodes that are or contain it; `direct`: the nodes whose job read it.
    """

    asked: str
    downwards: bool
    roots: list[Key] = field(default_factory=list)
    held: set[Key] = field(default_factory=set)
    direct: set[Key] = field(default_factory=set)
    nodes: dict[Key, Node] = field(default_factory=dict)
    edges: dict[Key, list[Key]] = field(default_factory=dict)


def ancestors(index: Index, word: str, everything: bool = False) -> Graph:
    """Return the lineage of an artifact, given by its path, directory, a file in it, or a digest. Raises StemmaError.

    With `everything`, the artifact may be any that the store has a record of, not only one that stands in results/."""
    now = standing(index)
    makers = recorded(index) if everything else now
    key = artifact_named(index, makers, word)
    number = (makers.get(key) or recorded(index)[key])[-1]
    graph = Graph(key.target, downwards=False, roots=[key], held={key})
    numbers: dict[Key, int | None] = {key: number}
    sources: set[Key] = set()
    waiting = [key]
    while waiting:
        child = waiting.pop()
        graph.edges[child] = []
        for kind, path, sha256, record in index.rows(
            "SELECT kind, path, sha256, parent FROM input WHERE record = ? ORDER BY rowid", numbers[child]
        ):
            parent = Key(path, sha256)
            if parent not in graph.edges[child]:
                graph.edges[child].append(parent)
            if parent in numbers:
                continue
            numbers[parent] = None if kind == SOURCE else maker_of(index, parent, record)
            sources |= {parent} if kind == SOURCE else set()
            waiting.append(parent)
    graph.nodes = nodes_of(index, numbers, now)
    graph.nodes |= {source: Node(SOURCE, current=True) for source in sources}
    return graph


def descendants(index: Index, word: str, everything: bool = False) -> Graph:
    """Return all that descends from an artifact, a file of one, a code file, a source, or a digest. Raises StemmaError.

    The descendants are those in results/ now or, with `everything`, all that the store has a record of.
    """
    now = standing(index)
    makers = recorded(index) if everything else now
    meaning = meaning_of(index, makers, word)
    children = children_of(index, makers)
    graph = Graph(meaning.asked, downwards=True, held=meaning.held, direct=meaning.direct)
    starts = sorted(meaning.held | meaning.direct)
    waiting = list(starts)
    while waiting:
        key = waiting.pop()
        if key not in graph.edges:
            graph.edges[key] = sorted(children.get(key, ()))
            waiting += graph.edges[key]
    graph.roots = tops(starts, graph.edges)
    graph.nodes = nodes_of(index, {key: makers[key][-1] for key in graph.edges}, now)
    return graph


def children_of(index: Index, makers: Makers) -> dict[Key, set[Key]]:
    """Return artifact -> artifacts whose jobs have read its bytes. The path only decides between equal contents."""
    inputs: dict[int, list[Key]] = {}
    for number, path, sha256 in index.rows("SELECT record, path, sha256 FROM input WHERE kind = 'input'"):
        inputs.setdefault(number, []).append(Key(path, sha256))
    same: dict[str, list[Key]] = {}
    for key in makers:
        same.setdefault(key.sha256, []).append(key)
    children: dict[Key, set[Key]] = {}
    for key, numbers in makers.items():
        for number in numbers:
            for read in inputs.get(number, ()):
                for parent in [read] if read in makers else same.get(read.sha256, ()):
                    children.setdefault(parent, set()).add(key)
    return children


def tops(starts: list[Key], edges: dict[Key, list[Key]]) -> list[Key]:
    """Return the starts that no other start leads to; a tree from each shows everything. Visits each edge once."""
    reached: set[Key] = set()
    found = []
    for start in starts:
        if start in reached:
            continue
        found.append(start)
        waiting = list(edges[start])
        while waiting:
            key = waiting.pop()
            if key != start and key not in reached:
                reached.add(key)
                waiting += edges[key]
    return [start for start in found if start not in reached]


def maker_of(index: Index, key: Key, record: str | None) -> int | None:
    """Return the record that a child names as its parent's; where it is gone, the newest one of the same bytes."""
    rows = index.rows("SELECT id FROM record WHERE sha256 = ? AND rule NOT NULL", record) or index.rows(
        "SELECT record.id FROM subject JOIN record ON record.id = subject.record WHERE subject.sha256 = ?"
        " ORDER BY subject.path = ? DESC, record.finished DESC, record.id DESC LIMIT 1",
        key.sha256,
        key.path,
    )
    return rows[0][0] if rows else None


def nodes_of(index: Index, numbers: dict[Key, int | None], now: Makers) -> dict[Key, Node]:
    """Return the nodes of artifacts as their records describe them, by one query."""
    wanted = json.dumps(sorted({number for number in numbers.values() if number is not None}))
    known = {
        number: (rule, action, sha256, finished, json.loads(origin) if origin else None)
        for number, rule, action, sha256, finished, origin in index.rows(
            "SELECT id, rule, action, sha256, finished, origin FROM record"
            " WHERE id IN (SELECT value FROM json_each(?))",
            wanted,
        )
    }
    return {
        key: Node(LOST, key in now) if number is None else Node(ARTIFACT, key in now, *known[number])
        for key, number in numbers.items()
    }
