"""The toy workflow with text that wants to be markup everywhere a page could show it, and a poster over it."""

import contextlib
from pathlib import Path

from stemma.base.settings import Settings
from stemma.report.page import write_report
from tests.stemma.conftest import Toy, planted

ATTACK = "<script>alert(1)</script></SCRIPT><!--<img src=x onerror=alert(2)>\"'`{{ 7*7 }}"
NAME = "<b onclick=alert(3)>.txt"
POSTER = f"""
title: "Toy {ATTACK.replace('"', "")}"
subtitle: A workflow of three rules
headline:
  - {{label: length, of: results/final.txt, value: metrics.length}}
  - {{label: not recorded, of: results/final.txt, value: metrics.nothing}}
  - {{label: note, of: results/final.txt, value: metrics.note}}
reference:
  title: Beside
  beside: other
  rows: [{{label: times, of: results/parts, value: params.times, beside: "9"}}]
stages:
- folder: s
  name: First
  title: The first stage
  line: Text to parts
  badge: parts
  flow: [{{label: parts, of: results/parts, value: size, as: bytes}}]
  blocks:
  - tag: PARTS
    title: Parts
    line: One line
    text: Some words
    formula: "a < b && b > c"
    of: [results/parts]
    figures:
      - {{label: times, value: metrics.times}}
      - {{label: share, value: metrics.scores.small, over: metrics.scores.large, as: percent}}
      - {{label: scores, value: metrics.scores.*, how: sum}}
    plots:
      - {{kind: bars, title: Scores, value: metrics.scores}}
      - {{kind: table, title: Table, by: target, columns: [{{label: times, value: metrics.times}}]}}
      - kind: curve
        title: Curve
        y: loss
        series: [{{label: loss, file: history.jsonl, x: step, y: loss}}]
        levels: [{{label: goal, of: results/parts, value: metrics.goal}}]
    samples:
      - {{title: Lines, file: a.txt, rows: 3}}
      - {{title: Rows, file: rows.parquet, rows: 2}}
  - tag: JOINED
    title: Joined
    line: Another line
    of: [results/joined.txt]
    figures: [{{label: size, value: size, as: bytes}}]
    samples: [{{title: Document, rows: 1}}]
  - tag: ABSENT
    title: Absent
    line: Never built
    of: [results/nowhere/*]
- folder: t
  name: Second
  title: The second stage
  line: Parts to a whole
  badge: whole
  blocks:
  - tag: WHOLE
    title: Whole
    line: The end
    of: [results/final.txt]
    figures: [{{label: length, value: metrics.length}}]
  - tag: PICTURES
    title: Pictures
    line: Of what its metrics hold
    of: [results/parts]
    plots:
      - kind: tiles
        title: Heads
        value: metrics.prompts.*
        name: prompt
        names: tokens
        tiles: heads
        cells: w
        by: [head]
      - {{kind: heat, title: Heat, value: metrics.matrix, rows: row, columns: column, signed: true}}
      - {{kind: strips, title: Strips, value: metrics.strips}}
      - {{kind: scatter, title: Map, value: metrics.words, x: x, y: y, label: word}}
      - {{kind: spectrum, title: Spectrum, value: metrics.spectra, x: rank}}
      - {{kind: histogram, title: Histogram, value: metrics.histogram}}
      - {{kind: table, title: Words, value: metrics.words, name: word, fold: true, columns: [{{label: x, value: x}}]}}
"""
# What its metrics hold for pictures.
PICTURES = """
    'prompts': [
        {'prompt': label, 'tokens': [label, 'b'], 'heads': [{'head': n, 'w': [[9], [n, 9 - n]]} for n in range(9)]}
    ],
    'matrix': [[-1, 0.5], [float(times), 2]],
    'strips': [{'title': label, 'cells': [[1, 2], [3, 4]]}],
    'words': [{'word': label + str(n), 'x': n % 7, 'y': n // 7} for n in range(50)],
    'spectra': {label: [[1, 10.0], [2, 1.0]]},
    'histogram': {'edges': [0, 1, 2], 'counts': [3, 4]},
"""


def prepared(path: Path) -> Toy:
    """A built toy whose document, metrics, params and file names are hostile, and its poster.yaml."""
    toy = planted(path)
    (path / "text.txt").write_text(ATTACK + "\n")
    (path / "poster.yaml").write_text(POSTER)
    toy.replace("llm/deep/low.py", "text.upper()", "text")
    toy.replace(
        "scripts/s/first.py",
        "    (parts / 'b.txt')",
        "    import json\n    import polars\n\n"
        "    rows = [json.dumps({'step': n, 'loss': 5 / (1 + n)}) for n in range(30)]\n"
        "    (parts / 'history.jsonl').write_text('\\n'.join(rows))\n"
        "    polars.DataFrame({'text': [text.read_text()] * 5}).write_parquet(parts / 'rows.parquet')\n"
        "    squares = {'number': range(10), 'square': [n * n for n in range(10)]}\n"
        "    polars.DataFrame(squares).write_parquet(parts / 'numbers.parquet')\n"
        f"    (parts / {NAME!r}).write_text('x')\n"
        "    (parts / 'b.txt')",
    )
    toy.replace("scripts/s/first.py", "times: int)", "times: int, label: str)")
    scores = "'goal': 1.5, 'scores': {'small': 1, 'large': 4, label: 2}," + PICTURES.replace("\n", "")
    toy.replace("scripts/s/first.py", "{'times': times}", f"{{'times': times, {scores}}}")
    toy.replace("scripts/s/third.py", "{'length':", f"{{'note': {ATTACK!r}, 'length':")
    toy.replace("Snakefile", 'times=config["times"],', f'times=config["times"],\n        label={ATTACK!r},')
    toy.build()
    return toy


def page_of(toy: Toy, name: str = "results/report/index.html") -> Path:
    """Write the toy's page."""
    with contextlib.chdir(toy.path):
        write_report(Settings.here(), Path("poster.yaml"), Path(name))
    return toy.path / name
