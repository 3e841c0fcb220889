"""The page of a run: figures are the records', text stays text, nothing is loaded, the same run, the same page."""

import contextlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from stemma.base.errors import StemmaError
from stemma.base.settings import Settings
from stemma.provenance.catalogue import current
from stemma.provenance.slsa import record_in
from stemma.provenance.trust import Records
from stemma.report import page as page_module
from stemma.report.family import tree
from stemma.report.plot import Level, Series, chart, thinned, ticks
from stemma.report.poster import drawn, load
from stemma.report.values import chosen, figures, natural
from tests.stemma.conftest import REPOSITORY
from tests.stemma.hostile import ATTACK, NAME, page_of, prepared

LOADS = {"src", "href", "srcset", "action", "data", "poster", "background", "xlink:href"}


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    return prepared(tmp_path_factory.mktemp("hostile"))


@pytest.fixture(scope="module")
def page(toy) -> str:
    return page_of(toy).read_text()


@pytest.fixture(scope="module")
def artifacts(toy):
    with contextlib.chdir(toy.path):
        return current(Records.of(Settings.here()))


class Reader(HTMLParser):
    """Tags, attributes and texts of a page, as a browser would take them."""

    def __init__(self, text: str):
        super().__init__()
        self.tags, self.attributes, self.texts = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_data(self, data):
        self.texts.append(data)


def test_hostile_text_stays_text(page):
    read = Reader(page)
    assert read.tags.count("script") == 1 and read.tags.count("style") == 1
    assert not {tag for tag, name, _ in read.attributes if name.startswith("on")}
    assert not {"img", "b onclick", "iframe"} & set(read.tags)
    together = "".join(read.texts)
    assert together.count("<script>alert(1)</script>") >= 5, "document, parquet row, metric, param, record"
    assert NAME in together and "{{ 7*7 }}" in together
    assert "a < b && b > c" in together


def test_nothing_is_loaded(page):
    for tag, name, value in Reader(page).attributes:
        if name in LOADS:
            assert value.startswith(("#", "data:")) or value in page_module.BESIDE, (tag, name, value)
    assert not re.search(r"url\(|@import", page.split("</style>")[0])


def test_policy_allows_the_one_style_and_the_one_script(page):
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', page)[1].replace("&#39;", "'")
    style = re.search(r"<style>(.*?)</style>", page, re.DOTALL)[1]
    script = re.search(r"<script>(.*?)</script>", page[page.rindex("<script>") :], re.DOTALL)[1]
    assert policy.startswith("default-src 'none'") and "unsafe" not in policy
    assert page_module.source_hash(style) in policy and page_module.source_hash(script) in policy
    with pytest.raises(StemmaError):
        page_module.source_hash("'</script>'")


def test_figures_are_those_of_the_records(page, artifacts, toy):
    record = {item.target: item.metrics for item in artifacts}
    with contextlib.chdir(toy.path):
        poster = load(Path("poster.yaml"))
        head = dict(figures(artifacts, poster.headline))
        block = poster.stages[0].blocks[0]
        found = dict(figures(artifacts, block.figures, {"of": block.of}))
    assert head == {"length": f"{record['results/final.txt']['length']:,}", "note": ATTACK}
    assert found == {"times": "2", "share": "25.0 %", "scores": "7"}
    assert f"<dd>{head['length']}</dd>" in page
    assert ">25.0 %</b>" in page


def test_plots_and_samples(page):
    assert page.count('<figure class="plot') == 3 + 7
    assert re.search(r'<polyline class="s0" points="0.0,\S', page)
    assert 'class="level s1"' in page and "goal <b>1.5</b>" in page
    assert '<rect class="bar" width="100.0"' in page and '<rect class="bar" width="25.0"' in page


def test_lineage_both_ways_record_and_rebuild(page, artifacts):
    page = page.replace("<wbr>", "")  # where a path may break
    for item in artifacts:
        assert f"python -m stemma rebuild {item.path}" in page
    article = page[page.index('aria-label="results/joined.txt"') :]
    above, below = article.split("<h4>Used by</h4>")[:2]
    assert "results/parts</a>" in above and "text.txt" in above
    assert "results/final.txt</a>" in below.split("<h4>")[0]
    assert "https://in-toto.io/Statement/v1" in article
    assert page.count(">verified<") >= 2 * len(artifacts) and "all verified" in page


def test_the_same_run_gives_the_same_page(toy, page):
    assert page_of(toy, "results/report/again.html").read_text() == page


def test_a_fault_is_named_and_its_artifact_not_opened(tmp_path, toy, page):
    part = toy.path / "results/parts/rows.parquet"
    data = part.read_bytes()
    part.unlink()
    try:
        part.write_bytes(b"PAR1 forged")
        text = page_of(toy, "results/report/fault.html").read_text()
    finally:
        part.unlink()
        part.write_bytes(data)
    assert "rows.parquet was changed after it was built" in text and "all verified" not in text
    assert 'class="mark bad">fault' in text
    (shelf,) = re.findall(r'<details class="shelf" open>\s*<summary>(.*?)</summary>', text)
    assert "1 with faults" in shelf and '<details class="shelf" open' not in page
    assert page.count('<details class="samples">') > text.count('<details class="samples">')


def test_a_page_is_bounded(toy, monkeypatch):
    monkeypatch.setattr(page_module, "ENTRIES", 1)
    monkeypatch.setattr(page_module, "RECORDS", 10)
    monkeypatch.setattr(page_module, "PICTURES", 10)
    text = page_of(toy, "results/report/small.html").read_text()
    assert "1 of 3 are shown" in text and text.count('<details class="entry"') == 1
    assert "in-toto.io" not in text and "python -m stemma show" in text
    assert text.count("Not drawn") == 1 + 6 and 'class="chart"' not in text, "curve and pictures; a table is none"


def test_what_no_block_names_is_shown_all_the_same(toy):
    poster = toy.path / "poster.yaml"
    before = poster.read_text()
    poster.write_text(before.replace("of: [results/joined.txt]", "of: [results/other.txt]"))
    try:
        text = page_of(toy, "results/report/more.html").read_text()
    finally:
        poster.write_text(before)
    assert 'id="s-more"' in text and "Also built" in text


@pytest.mark.parametrize(
    "text, message",
    [
        ("titel: x", "unknown key titel"),
        ("title: x", "add it"),
        ("[1]", "is no mapping"),
        ("{title: x, subtitle: y, stages: [{folder: s, nmae: z}]}", "unknown key nmae"),
        ("{", "not a poster"),
    ],
)
def test_a_mistake_in_the_description_is_named(tmp_path, text, message):
    file = tmp_path / "poster.yaml"
    file.write_text(text)
    with pytest.raises(StemmaError, match=message):
        load(file)


def test_unknown_kinds_and_roots_are_named(artifacts):
    with pytest.raises(StemmaError, match="kind must be one of curve, bars, table, heat, tiles"):
        drawn(artifacts, {"kind": "pie", "title": "x", "of": "results/parts"})
    with pytest.raises(StemmaError, match="not 'metric'"):
        figures(artifacts, [{"label": "x", "of": "results/parts", "value": "metric.times"}])
    with pytest.raises(StemmaError, match="no way to gather"):
        figures(artifacts, [{"label": "x", "of": "results/parts", "value": "metrics.times", "how": "most"}])


def test_choice(artifacts):
    def targets(**spec):
        return [item.target for item in chosen(artifacts, spec)]

    assert targets(of="results/*") == ["results/final.txt", "results/joined.txt", "results/parts"]
    assert targets(of="results/*", where={"params.times": [2, 3]}) == ["results/parts"]
    assert targets(of="results/*", unless={"params.times": 2}) == ["results/final.txt", "results/joined.txt"]
    assert targets(of="res*") == [], "* stays within one folder"
    assert sorted(["step-1000", "step-500"], key=natural) == ["step-500", "step-1000"]


def test_the_poster_of_this_repository_has_the_eight_stages_of_the_pipeline():
    poster = load(REPOSITORY / "report/poster.yaml")
    folders = [stage.folder for stage in poster.stages]
    assert folders == ["collect", "process", "tokenize", "architecture", "pretrain", "align", "package", "deploy"]
    assert all((REPOSITORY / "scripts" / folder).is_dir() for folder in folders)
    for stage in poster.stages:
        tags = [block.tag for block in stage.blocks]
        assert len(set(tags)) == len(tags) and 3 <= len(tags) <= 5


def test_ticks_are_round_and_cover():
    assert ticks(0, 60) == [0, 20, 40, 60]
    assert ticks(4.81, 6.9) == [4, 5, 6, 7]
    assert ticks(0.0, 0.03) == [0, 0.01, 0.02, 0.03]
    assert ticks(3, 3) == [3]


def test_thinning_keeps_peaks():
    points = [(float(n), 0.0) for n in range(10_000)]
    points[4321] = (4321.0, 99.0)
    kept = thinned(points)
    assert len(kept) <= 400 and (4321.0, 99.0) in kept


def test_a_chart_of_one_point_and_hostile_labels():
    svg = chart(ATTACK, [Series("a", [(1, 2.0)])], [Level("b", 2.0)], ATTACK, ATTACK)
    assert "<script" not in svg and "nan" not in svg and "<circle" in svg


def test_a_tree_unfolds_each_name_once_and_ends():
    lines, left = tree("d", {"d": ["b", "c"], "b": ["a"], "c": ["a"], "a": ["x"]})
    assert [(line.depth, line.name, line.again) for line in lines] == [
        (1, "b", False), (2, "a", False), (3, "x", False), (1, "c", False), (2, "a", True),
    ]  # fmt: skip
    assert left == 0
    lines, left = tree("r", {"r": [str(n) for n in range(100)]})
    assert len(lines) == 40 and left == 60


def test_the_register_finds_by_source_and_digest(artifacts, toy):
    with contextlib.chdir(toy.path):
        entries = page_module.register(artifacts, {item.path: None for item in artifacts})
    for entry in entries:
        assert entry.item.pointer.sha256 in entry.find and entry.item.rule in entry.find
        assert record_in(json.loads(entry.record)) == entry.item.record


def test_curves_of_columns_and_of_mappings(toy, artifacts):
    """A parquet file's columns make a line, and a mapping a line for each of its keys."""
    series = [
        {"label": "length", "file": "numbers.parquet", "x": "number", "y": "square"},
        {"label": "scores", "x": "metrics.times", "y": "metrics.scores"},
        {"label": "absent", "file": "numbers.parquet", "x": "number", "y": "cube"},
    ]
    with contextlib.chdir(toy.path):
        [plot] = drawn(artifacts, {"kind": "curve", "title": "c", "of": ["results/parts"], "series": series})
    assert [label for label, *_ in plot["legend"]] == ["length", *sorted([ATTACK, "large", "small"])]
    assert plot["legend"][0][1] == "81"


def test_bars_of_a_field_skip_plain_numbers_and_do_not_sum_what_has_no_sum(artifacts):
    """A total that stands beside the entries is none of them, and thirty errors do not add up to one."""
    runs = {f"run{n:02}": {"speed": float(n)} for n in range(20)}
    item = next(item for item in artifacts if item.target == "results/parts")
    item = replace(item, record=replace(item.record, metrics={"runs": runs | {"requests": 558}}))
    spec = {"kind": "bars", "title": "b", "of": ["results/parts"], "value": "metrics.runs", "field": "speed"}
    [plot] = drawn([item], spec)
    assert [row[:2] for row in plot["rows"][-2:]] == [("run05", "5"), ("5 more", "10")]
    assert "requests" not in {name for name, *_ in plot["rows"]}
    [plot] = drawn([item], spec | {"rest": "most"})
    assert plot["rows"][-1][:2] == ("5 more, at most", "4")


def test_a_curve_of_bytes_has_units(artifacts):
    item = next(item for item in artifacts if item.target == "results/parts")
    item = replace(item, record=replace(item.record, metrics={"step": 1, "peak": 555_798_528}))
    series = [{"label": "peak", "x": "metrics.step", "y": "metrics.peak"}]
    spec = {"kind": "curve", "title": "c", "of": ["results/parts"], "as": "bytes", "series": series}
    [plot] = drawn([item], spec)
    assert plot["legend"] == [("peak", "555.8 MB", "line")] and ">555.8 MB</text>" in plot["svg"]
