"""Renders a lineage graph as text, JSON or Graphviz."""

import json

from stemma.base.errors import printable
from stemma.provenance.lineage import LOST, SOURCE, Graph, Node
from stemma.provenance.lookup import Key

SHOWN = 60  # characters of one param that are shown


def text(graph: Graph) -> str:
    """Return a tree as text. A node that occurs again is named again without its branch."""
    lines = [headline(graph)]
    shown: set[Key] = set()
    waiting = [(root, "", "") for root in reversed(graph.roots)]
    while waiting:
        key, lead, below = waiting.pop()
        branch = graph.edges[key]
        again = key in shown and bool(branch)
        lines.append(f"{lead}{line(graph, key)}{'  (above)' if again else ''}")
        if key in shown:
            continue
        shown.add(key)
        for number, child in enumerate(reversed(branch)):
            last = number == 0
            waiting.append((child, below + ("└─ " if last else "├─ "), below + ("   " if last else "│  ")))
    return "\n".join(map(printable, lines))


def headline(graph: Graph) -> str:
    """Return the first line: what the tree is of, and how many artifacts and sources it has."""
    sources = sum(node.kind == SOURCE for node in graph.nodes.values())
    number = len(graph.nodes.keys() - graph.held) - sources
    artifacts = f"{number} artifact{'' if number == 1 else 's'}"
    if graph.downwards:
        return f"{graph.asked}: {artifacts} descend{'s' if number == 1 else ''} from it"
    return f"{graph.asked}: made from {artifacts} and {sources} source file{'' if sources == 1 else 's'}"


def line(graph: Graph, key: Key) -> str:
    """Return the line of one node: target, rule, digest, and what is special about it."""
    node = graph.nodes[key]
    parts = [key.target, node.rule or node.kind, f"sha256 {key.sha256[:12]}"]
    for name, value in (node.origin or {}).items():
        if value not in ("", [], key.sha256):
            parts.append(f"{name}={brief(value)}")
    if graph.downwards and key in graph.direct and key not in graph.held:
        parts.append("[directly]")
    if node.kind == LOST:
        parts.append("[its record is gone]")
    elif not node.current:
        parts.append("[not in results/ now]")
    return "  ".join(parts)


def brief(value: object) -> str:
    """Format a param in at most SHOWN characters."""
    said = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return said if len(said) <= SHOWN else said[: SHOWN - 1] + "…"


def as_json(graph: Graph) -> str:
    """Return nodes and edges (from what was read to what was made) as JSON, for programs."""
    answer = {
        "asked": graph.asked,
        "question": "used-by" if graph.downwards else "lineage",
        "roots": [identity(key) for key in graph.roots],
        "nodes": [
            {
                "id": identity(key),
                "path": key.path,
                "sha256": key.sha256,
                "kind": node.kind,
                "current": node.current,
                "rule": node.rule,
                "action": node.action,
                "record": node.record,
                "finished": node.finished,
                "origin": node.origin,
                "holds": key in graph.held,
                "reads": key in graph.direct,
            }
            for key, node in sorted(graph.nodes.items(), key=lambda item: item[0])
        ],
        "edges": [{"from": identity(parent), "to": identity(child)} for parent, child in arrows(graph)],
    }
    return json.dumps(answer, ensure_ascii=False)


def dot(graph: Graph) -> str:
    """Return the graph in Graphviz's language, from the raw bytes on the left to what was made of them on the right."""
    lines = ["digraph lineage {", "  rankdir=LR;", '  node [shape=box, fontname="sans-serif"];']
    for key, node in sorted(graph.nodes.items(), key=lambda item: item[0]):
        label = "\n".join([key.target, node.rule or node.kind, key.sha256[:12]])
        lines.append(f"  {quoted(identity(key))} [label={quoted(label)}{style(graph, key, node)}];")
    lines += [f"  {quoted(identity(parent))} -> {quoted(identity(child))};" for parent, child in arrows(graph)]
    return "\n".join([*lines, "}"])


def style(graph: Graph, key: Key, node: Node) -> str:
    """Return a node's style: sources are round, what was asked for is bold, what is not in results/ now is dashed."""
    shape = ", shape=ellipse" if node.kind == SOURCE else ""
    if key in graph.held:
        return f"{shape}, penwidth=2"
    return shape if node.current else f"{shape}, style=dashed"


def arrows(graph: Graph) -> list[tuple[Key, Key]]:
    """Return (read, made) of every edge, sorted."""
    pairs = [(near, far) for near, others in graph.edges.items() for far in others]
    return sorted(pairs if graph.downwards else [(far, near) for near, far in pairs])


def identity(key: Key) -> str:
    """Return a node's id in JSON and Graphviz: its path and enough of its digest to tell versions apart."""
    return f"{key.path}@{key.sha256[:16]}"


def quoted(said: str) -> str:
    """Return a Graphviz string: quotes and backslashes escaped, line breaks as \\n."""
    return '"' + said.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
