"""Pictures of matrices, maps, spectra: text stays text, no numbers are marked, empty gives none, many are bounded."""

import json
import math
import re
from types import SimpleNamespace
from xml.etree import ElementTree

import pytest

from stemma.report import cells
from stemma.report.cells import LABELS, LEVELS, MOST, Scale, scale_of, strokes
from stemma.report.pictures import TILES
from stemma.report.plot import histogram, powers, scatter
from stemma.report.poster import drawn
from tests.stemma.hostile import ATTACK

NAN = float("nan")


def made(kind: str, held: object, tmp_path, **spec: object) -> list[dict]:
    """The plots of one spec, of an artifact that holds `held` as its key `v`."""
    file = tmp_path / "held.json"
    file.write_text(json.dumps({"v": held}))
    item = SimpleNamespace(path=file, target="results/held.json", is_directory=False, size=1, metrics={}, params={})
    spec = {"kind": kind, "title": ATTACK, "of": "results/held.json", "value": "json.v", **spec}
    plots = drawn([item], spec)
    for plot in plots:
        for svg in [
            plot.get("svg"),
            *(svg for _, svg, *_ in plot.get("tiles", [])),
            *(svg for _, svg, _ in plot.get("strips", [])),
        ]:
            if svg:
                assert "<script" not in svg.lower() and "onerror=" not in svg.replace("&lt;img src=x onerror=", "")
                ElementTree.fromstring(svg)  # well-formed, whatever the text
    return plots


def painted(matrix: list, scale: Scale) -> list[list[str]]:
    """Each cell's class, as its strokes paint it."""
    grid = [[""] * len(row) for row in matrix]
    for name, path in re.findall(r'<path class="(\w+)" d="([^"]+)"', strokes(matrix, scale)):
        for x, y, length in re.findall(r"M(\d+) (\d+)h(\d+)", path):
            for place in range(int(x), int(x) + int(length)):
                assert grid[int(y)][place] == "", "painted twice"
                grid[int(y)][place] = name
    return grid


def test_every_cell_is_painted_once_by_its_level():
    matrix = [[0, 1, 1, 8], [4, 4, NAN, None], [True, "8", math.inf]]
    assert painted(matrix, Scale(0, 8)) == [["", "q1", "q1", "q8"], ["q4", "q4", "odd", "odd"], ["odd", "odd", "odd"]]
    signed = [[-8, -1, 0, 1, 8, 99]]
    assert painted(signed, Scale(0, 8, True)) == [["m8", "m1", "", "q1", "q8", "q8"]]
    assert painted([[-1, 9]], Scale(0, 8)) == [["", "q8"]], "beyond the scale is its end"


@pytest.mark.parametrize(
    ("matrix", "scale"),
    [
        ([[3, 5, 4]], Scale(3, 5)),
        ([[NAN, 2]], Scale(2, 2)),
        ([[NAN]], Scale(0, 0)),
        ([[0, 0], [0, 0]], Scale(0, 0)),
    ],
)
def test_scales(matrix, scale):
    assert scale_of(matrix) == scale
    painted(matrix, scale)
    assert scale_of([[-3, 2]], signed=True) == Scale(0, 3, True)
    assert scale_of([[3, 5]], zero=True) == Scale(0, 5)


def test_one_value_is_seen_and_zeros_are_not():
    assert painted([[7]], scale_of([[7]])) == [[f"q{LEVELS}"]]
    assert painted([[0, 0]], scale_of([[0, 0]])) == [["", ""]]


@pytest.mark.parametrize("value", [[], [[]], [[], []], {}, "text", 3, None, [1, 2], [[1], 2]])
@pytest.mark.parametrize("kind", ["heat", "strips", "scatter", "spectrum", "histogram", "tiles", "profile", "cross"])
def test_what_is_no_such_picture_gives_none(kind, value, tmp_path):
    spec = {"x": "x", "y": "y", "label": "l", "tiles": "t", "cells": "c", "name": "n", "by": [], "fields": {"": "f"}}
    assert made(kind, value, tmp_path, **(spec if kind in ("scatter", "tiles", "profile") else {})) == []


def test_a_heat_map_has_its_axes_and_its_scale(tmp_path):
    [plot] = made("heat", [[0.1, 0.5], [NAN, 0.9]], tmp_path, rows="layer", columns="head", zero=True, caption="c")
    assert plot["axes"] == "down: layer, across: head" and plot["caption"] == "c"
    assert (plot["scale"]["low"], plot["scale"]["high"]) == ("0", "0.9")
    assert plot["svg"].count('text-anchor="end"') == 2 and plot["svg"].count('text-anchor="middle"') == 2
    [signed] = made("heat", [[-2, 1]], tmp_path, signed=True)
    assert (signed["scale"]["low"], signed["scale"]["high"]) == ("-2", "2")


def test_a_matrix_of_very_many_cells_is_thinned(tmp_path):
    large = [[(x * y) % 7 for x in range(300)] for y in range(400)]
    [plot] = made("heat", large, tmp_path, rows="row", columns="column")
    width, height = map(int, re.search(r'viewBox="0 -.5 (\d+) (\d+)"', plot["svg"]).groups())
    assert width * height <= MOST and "<text" not in plot["svg"], "numbers of thinned rows would be wrong"
    [tall] = made("heat", [[y] for y in range(100)], tmp_path, rows="row")
    assert 0 < tall["svg"].count("<text") <= LABELS + 1


def test_tiles_have_names_one_scale_and_an_end(tmp_path):
    heads = [{"layer": n, "w": [[1000], [n, 1000 - n]]} for n in range(TILES + 3)]
    entry = {"prompt": ATTACK, "tokens": [ATTACK, "b"], "heads": heads}
    spec = {"tiles": "heads", "cells": "w", "name": "prompt", "names": "tokens", "by": ["layer"], "high": 1000}
    plots = made("tiles", [entry, {"prompt": "none", "heads": []}, 3], tmp_path, **spec | {"value": "json.v.*"})
    [plot] = plots
    assert len(plot["tiles"]) == TILES and plot["more"] == 3 and plot["names"] == [ATTACK, "b"]
    assert plot["tiles"][2][0] == "layer 2" and plot["title"] == f"{ATTACK}: {ATTACK}"


def test_strips_have_a_scale_of_their_own(tmp_path):
    matrices = [{"title": ATTACK, "cells": [[1, 2]]}, {"title": "b", "cells": [[NAN, 90]]}, {"title": "c", "cells": []}]
    [plot] = made("strips", matrices, tmp_path)
    assert [(title, high) for title, _, high in plot["strips"]] == [(ATTACK, "2"), ("b", "90")]
    assert all(f'class="q{LEVELS}"' in svg for _, svg, _ in plot["strips"])


def test_a_map_labels_what_has_room(tmp_path):
    words = [{"x": n % 40, "y": n // 40, "word": f"word{n}"} for n in range(1600)]
    [plot] = made("scatter", [*words, {"x": NAN, "y": 1, "word": "no"}], tmp_path, x="x", y="y", label="word")
    assert plot["svg"].count("<circle") == 1600 and ">no<" not in plot["svg"]
    shown = plot["svg"].count("<text")
    assert 40 < shown < 800, "overlapping labels are left to their places' titles"
    assert 0 < plot["svg"].count("<text x") < shown, "on a narrow window fewer"
    alone = scatter("t", [(1, 1, ATTACK)])
    assert "nan" not in alone and alone.count("<text") == 1 and "<script" not in alone
    together = scatter("t", [(1, 1, "one"), (1, 1, "two")])
    assert together.count("<text") == 1 and together.count("<title>") == 2


def test_a_spectrum_is_logarithmic(tmp_path):
    lines = {"layer 0": [[1, 100], [2, 10], [3, 1], [4, 0], [5, NAN]]}
    [plot] = made("spectrum", lines, tmp_path, x="rank", y="value")
    assert 'points="0.0,0.0 500.0,100.0 1000.0,200.0"' in plot["svg"], "equal factors are equal heights"
    assert plot["legend"] == [("layer 0", "100", "line s0")]
    many = {f"layer {n}": [[1, n + 1], [2, 1]] for n in range(30)}
    [plot] = made("spectrum", many, tmp_path)
    assert [label for label, *_ in plot["legend"]] == ["layer 0", "layer 29"]
    assert plot["legend"][1][2] == f"line q{LEVELS}" and plot["svg"].count("<polyline") == 30


def test_powers_cover():
    assert powers(0.02, 30) == pytest.approx([0.01, 0.1, 1, 10, 100])
    assert powers(5, 5) == [1, 10]
    assert powers(1, 1) == [1]
    assert len(powers(1e-12, 1e12)) <= 7


def test_a_histogram_has_bars_of_their_counts(tmp_path):
    [plot] = made("histogram", {"edges": [0, 1, 2, 4], "counts": [1, 0, 4]}, tmp_path, x="norm", y="units")
    assert 'd="M0.0 200V150.0H250.0V200zM500.0 200V0.0H1000.0V200z"' in plot["svg"]
    assert "nan" not in histogram("t", [3, 3], [5], "", "") and "V33.3" in histogram("t", [1, 2], [5], "", "")
    for wrong in (
        {"edges": [0, 1], "counts": [1, 2]},
        {"edges": [1, 0], "counts": [1]},
        {"edges": [0, NAN], "counts": [1]},
    ):
        assert made("histogram", wrong, tmp_path) == []


def test_a_list_is_a_table_with_an_end(tmp_path):
    rows = [{"name": f"t{n}", "sha256": "ab" * 32, "near": {"b": 0.5, "a": 0.9}} for n in range(50)]
    columns = [
        {"label": "digest", "value": "sha256", "as": "digest"},
        {"label": "near", "value": "near", "as": "ranked"},
        {"label": "none", "value": "none"},
    ]
    [plot] = made("table", rows, tmp_path, name="name", columns=columns, most=20, fold=True)
    assert plot["rows"][0] == ("t0", ["abababababab", "a 0.90, b 0.50", ""])
    assert len(plot["rows"]) == 20 and plot["more"] == 30 and plot["fold"] is True


def test_each_names_the_artifact(tmp_path):
    [plot] = made("heat", [[1]], tmp_path, each=True)
    assert plot["title"] == f"{ATTACK}: held"


def test_a_page_of_attention_is_small(tmp_path):
    """Of thirty layers with nine heads, two prompts of twenty tokens: all are there, in less than a megabyte."""
    weights = [
        [int(1000 / (row + 1)) + (column * 37 + row * 91) % 90 for column in range(row + 1)] for row in range(20)
    ]
    heads = [{"layer": layer, "head": head, "w": weights} for layer in range(30) for head in range(9)]
    entry = {"prompt": "p", "tokens": ["a"] * 20, "heads": heads}
    spec = {"tiles": "heads", "cells": "w", "name": "prompt", "names": "tokens", "by": ["layer", "head"], "high": 1000}
    plots = made("tiles", [entry, entry], tmp_path, value="json.v.*", **spec)
    assert sum(len(plot["tiles"]) for plot in plots) == 540
    assert sum(len(svg) for plot in plots for _, svg in plot["tiles"]) < 1_000_000
    assert cells.thinned(weights) == weights


def artifact(target: str, **metrics: object) -> SimpleNamespace:
    return SimpleNamespace(target=target, metrics=metrics, params={}, usage={}, size=1)


def test_a_profile_runs_along_the_number_in_names():
    """Per-layer errors of two methods, whose matrices have several to a layer; a name without a number is left out."""
    errors = {"layers.10.q": {"e": 0.4}, "layers.2.q": {"e": 0.1}, "layers.2.k": {"e": 0.3}, "head": {"e": 9}}
    both = [
        artifact("rtn", error=errors),
        artifact("gptq", error={"layers.2.q": {"e": NAN}, "layers.10.q": {"e": 0.2}}),
    ]
    spec = {"kind": "profile", "title": ATTACK, "of": ["rtn", "gptq"], "value": "metrics.error"}
    spec |= {"number": r"layers\.(\d+)\.", "fields": {"": "e"}, "x": "layer", "as": "percent"}
    [plot] = drawn(both, spec)
    assert plot["legend"] == [("gptq", "20.0 %", "line s0"), ("rtn", "40.0 %", "line s1")]
    assert 'points="0.0,100.0 1000.0,0.0"' in plot["svg"] and "<script" not in plot["svg"], "2 before 10, their mean .2"
    [rates] = drawn(
        [artifact("load", error={"10": {"p50": 1, "p99": 2}, "2.5": {"p50": 3, "p99": 4}, "total": 7})],
        spec | {"of": "load", "number": r"^([\d.]+)$", "fields": {"p50": "p50", "p99": "p99"}, "as": "number"},
    )
    assert rates["legend"] == [("p50", "1", "line s0"), ("p99", "2", "line s1")]
    [many] = drawn([artifact(f"m{n}", error=errors) for n in range(9)], spec | {"of": "*"})
    assert len(many["legend"]) == 9 and many["legend"][8][2] == f"line q{LEVELS}", "none is without a name"
    assert drawn([artifact("rtn")], spec) == [] and drawn(both, spec | {"fields": {"": "none"}}) == []


def test_a_cross_table_has_a_column_an_artifact_and_stars():
    spec = {
        "kind": "cross",
        "title": "t",
        "of": "*",
        "by": "target",
        "value": "metrics.after",
        "before": "metrics.before",
    }
    found = [
        artifact("awq", after={"web": 1.5, "code": 2.5}, before={"web": 1, "code": 2}, seen=["web"]),
        artifact("rtn", after={"web": 1.25, "books": 3}, seen=[]),
        artifact("none"),
    ]
    [plot] = drawn(found, spec | {"marked": "metrics.seen"})
    assert plot["columns"] == ["before", "awq", "rtn"]
    assert plot["rows"] == [("books", ["", "", "3"]), ("code", ["2", "2.5", ""]), ("web", ["1", "1.5*", "1.25"])]
    assert drawn([artifact("none")], spec) == []
