"""The plan as files: by the script, by Snakemake, in a browser."""

import json
import re
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import yaml

from llm.errors import InputError
from llm.plan.page import STYLE, page
from llm.plan.presets import overlaid, plan_blocks, plan_files
from llm.plan.report import report, values
from llm.plan.request import Request
from llm.plan.svg import COLOURS
from tests import fork_server
from tests.browser import CHROMIUM, SIZES, THEMES, assert_readable, opened
from tests.llm.plan.claims import claims

ROOT = Path(__file__).resolve().parents[3]
PRESETS = [
    file.stem for file in sorted((ROOT / "presets").glob("*.yaml")) if "model" in yaml.safe_load(file.read_text())
]
CUT = """() => [...document.querySelectorAll("svg text")].filter((text) => {
  const box = text.getBBox(); return box.x < -2 || box.x + box.width > 432; }).map((text) => text.textContent)"""
WIDE = "[...document.querySelectorAll('.wide')].filter((box) => box.scrollWidth > box.clientWidth + 1).length"
PLANS = plan_files(ROOT / "config.yaml", ROOT / "presets", [])


@pytest.fixture(scope="module")
def plans() -> dict[str, dict]:
    found = {}
    for preset in PRESETS:
        blocks = plan_blocks(PLANS, preset, {})
        found[preset] = report(preset, Request.of(blocks["model"], blocks["vocab_size"], blocks["plan"]))
    return found


def test_every_preset_of_a_model_is_planned(plans):
    assert {"nano", "gpt2-124m", "1b", "7b", "70b", "gpt3-175b", "llama-7b", "llama3-8b", "llama3-405b"} <= set(plans)
    assert all(plan["fits"] for plan in plans.values())


def test_gpt3_is_gpt3(plans):
    found = values(plans["gpt3-175b"])
    assert found["parameters.Parameters"] == 174_604_259_328
    assert found["flops.6 N D"] == pytest.approx(3.14e23, rel=0.001)
    assert found["storage.KV cache per token"] == 2 * 96 * 96 * 128 * 2
    assert found["time.Days"] == pytest.approx(34, rel=0.01), "Narayanan et al. 2021, section 5.1"
    assert found["time.Days"] == pytest.approx(found["time.Days by 8 T P / (n X)"])


def test_headlines_of_published_runs(plans):
    """What the page's head shows, with the rates as their papers state them."""
    bloom, deepseek = values(plans["bloom-176b"]), values(plans["deepseek-v3"])
    assert bloom["time.Step"] == pytest.approx(104.7, rel=0.001)
    assert deepseek["parameters.Parameters"] == pytest.approx(671.03e9, rel=1e-5)
    assert deepseek["parameters.Active parameters"] == pytest.approx(37.55e9, rel=1e-4)
    assert deepseek["storage.KV cache per token"] == 70_272
    assert deepseek["time.Step"] == pytest.approx(19.926, rel=0.01)
    for preset, told in (
        ("bloom-176b", "<b>105 s</b><span>a step"),
        ("gpt3-175b", "<b>33.83 days</b><span>training time"),
    ):
        assert told in page(plans[preset])


MODEL = {"d_model": 12288, "n_layers": 96, "n_heads": 96, "d_ff": 49152, "context_length": 2048}
MODEL |= {"position": "learned", "norm": "layernorm", "bias": True, "activation": "gelu_tanh"}


@pytest.mark.parametrize("count,more", [("model", 1.0), ("hardware", 4 / 3)])
def test_stated_speed_decides_days_and_cost(count, more):
    plan = {"tokens": 300e9, "batch_size": 1536, "formula": "6n"}
    plan["cluster"] = {"gpu": "a100-80gb", "gpus": 1024, "tflops": 140, "tflops_count": count}
    found = values(report("gpt3", Request.of(MODEL, 50257, plan)))
    seconds = found["flops.FLOPs of the training"] / 1024 / 140e12 * more
    assert found["time.Days"] == pytest.approx(seconds / 86400)
    assert found["time.Cost"] == pytest.approx(seconds / 3600 * 1024 * 2)
    assert found["time.MFU at that rate"] == pytest.approx(140 / 312 / more)


def test_tokens_per_second_decide_too():
    plan = {
        "tokens": 300e9,
        "batch_size": 1536,
        "cluster": {"gpu": "a100-80gb", "gpus": 1024, "tokens_per_second": 1e5},
    }
    found = values(report("gpt3", Request.of(MODEL, 50257, plan)))
    assert found["time.Days"] == pytest.approx(300e9 / 1e5 / 86400)
    assert found["time.Step"] == pytest.approx(1536 * 2048 / 1e5)
    assert found["time.Tokens per second"] == pytest.approx(1e5)


def test_a_rate_of_hardware_flops():
    """MT-NLG (Smith et al. 2022): 60.1 s a step of 1,920 sequences on 2,240 A100 at 126 TFLOP/s of hardware FLOPs."""
    model = MODEL | {"d_model": 20480, "n_layers": 105, "n_heads": 128, "d_ff": 81920}
    plan = {
        "tokens": 270e9,
        "batch_size": 1920,
        "layout": {"tensor": 8, "pipeline": 35, "data": 8, "recompute": "full"},
    }
    plan["cluster"] = {"gpu": "a100-80gb", "gpus": 2240, "tflops": 126, "tflops_count": "hardware"}
    plan = report("mt-nlg", Request.of(model, 51200, plan))
    assert values(plan)["time.Step"] == pytest.approx(60.1, rel=0.01)
    time = next(part for part in plan["sections"] if part["place"] == "time")
    steps = {row["what it counts"]: row["step"] for row in time["tables"][0]["rows"]}
    assert steps["hardware FLOPs, full recomputation (counts here)"] == values(plan)["time.Step"]
    assert steps["model FLOPs"] == pytest.approx(60.1 * 3 / 4, rel=0.01)


def test_limits_are_on_every_page(plans):
    """What the cost model cannot explain, and whether this plan is such a case."""
    for preset, plan in plans.items():
        time = next(part for part in plan["sections"] if part["place"] == "time")
        rows = next(table for table in time["tables"] if table["title"] == "Limits of the cost model")["rows"]
        small = next(row for row in rows if "-50%" in row["error seen"])
        assert not small["concerns this plan"] or preset == "nano"
        assert next(row for row in rows if "Mixtures" in row["what it cannot explain"])["concerns this plan"] == bool(
            plan["shape"]["experts"]
        )


def test_json_is_what_its_schema_says(plans):
    """Rows are objects; no key is unknown; the version is the schema's."""
    rules = json.loads((ROOT / "llm/plan/plan.schema.json").read_text())
    for plan in plans.values():
        jsonschema.validate(json.loads(json.dumps(plan)), rules)
        for part in plan["sections"]:
            for table in part["tables"]:
                names = [column["name"] for column in table["columns"]]
                assert all(list(row) == names for row in table["rows"])
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(plans["nano"] | {"version": 1}, rules)


def test_every_figure_says_where_it_is_from(plans):
    for plan in plans.values():
        entries = [entry for part in plan["sections"] for entry in part["figures"]]
        assert len(entries) > 40
        for entry in entries:
            assert entry["formula"] and entry["source"].split("; ")[0].split(", ")[0] in plan["sources"], entry


def test_equal_plans_are_equal_bytes(plans):
    again = json.loads(json.dumps(plans["70b"]))
    assert page(again) == page(plans["70b"])


def test_the_description_is_computed_anew():
    """What is called right is right to the digits given; what is called off is off by more than that."""
    for block, claim, stated, computed, _, verdict in claims():
        off = abs(computed / stated - 1)
        assert off < 0.025 if verdict == "right" else True, (block, claim, computed)
        if not verdict.startswith("right"):
            assert off > 0.0008, (block, claim)


def test_overlay_is_snakemakes():
    from snakemake.utils import update_config

    below = {"a": {"b": 1, "c": {"d": 2}}, "e": [1], "f": 3}
    above = {"a": {"c": {"x": 5}}, "e": [2], "f": {"g": 1}, "h": None}
    merged = json.loads(json.dumps(below))
    update_config(merged, above)
    assert overlaid(below, above) == merged
    assert below["a"] == {"b": 1, "c": {"d": 2}}


def test_names_of_plans(tmp_path):
    own = tmp_path / "mine.yaml"
    own.write_text("plan: {batch: 3}\n")
    assert list(PLANS)[-1] == "config"
    plans = plan_files(ROOT / "config.yaml", ROOT / "presets", [ROOT / "presets/gpt3-175b.yaml", own])
    assert list(plans)[-1] == "mine"
    assert plan_blocks(plans, "mine", {"plan": {"users": 7}})["plan"]["users"] == 7
    assert plan_blocks(plans, "mine", {})["model"]["d_model"] == 12288
    with pytest.raises(InputError, match="no presets/nothing.yaml; known are .*gpt3-175b"):
        plan_blocks(PLANS, "nothing", {})
    with pytest.raises(InputError, match="mix-gpt3.yaml: no model block"):
        plan_blocks(PLANS, "mix-gpt3", {})


def test_by_snakemake(tmp_path):
    """By preset and by overlay: the same files, made once."""

    def run(*arguments: str) -> subprocess.CompletedProcess:
        command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--profile"]
        command += [str(ROOT / "profiles/default"), "--directory", str(tmp_path), "--cores", "1", *arguments]
        return fork_server.run(command, ROOT)

    done = run("results/plan/gpt3-175b.html")
    assert done.returncode == 0, done.stderr
    made = (tmp_path / "results/plan/gpt3-175b.json").read_bytes()
    assert json.loads(made)["preset"] == "gpt3-175b"
    assert "Report\n  results/plan/gpt3-175b.html\n" in done.stdout + done.stderr, "the account names the page"
    again = run("plan", "--configfile", str(ROOT / "presets/gpt3-175b.yaml"))
    assert again.returncode == 0, again.stderr
    assert "preset_plan" not in again.stdout + again.stderr
    (tmp_path / "own.yaml").write_text("plan: {batch_size: 1024}\n")
    files = [str(ROOT / "presets/gpt3-175b.yaml"), str(tmp_path / "own.yaml")]
    other = run("plan", "--configfile", *files)
    assert other.returncode == 0, other.stderr
    assert json.loads((tmp_path / "results/plan/own.json").read_bytes())["preset"] == "own"
    assert (tmp_path / "results/plan/gpt3-175b.json").read_bytes() == made
    wrong = run("results/plan/gpt4.html")
    assert wrong.returncode != 0 and "no presets/gpt4.yaml" in wrong.stderr


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium here: apt-get install chromium")
@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("width", SIZES)
def test_in_a_browser(plans, tmp_path, theme, width):
    """Nothing is asked for, nothing is wider than the window or too faint, every link leads to its section."""
    file = tmp_path / "plan.html"
    file.write_text(page(plans["deepseek-v3" if theme == "light" else "nano"]), encoding="utf-8")
    with opened(file, theme, width) as tab:
        assert_readable(tab)
        assert tab.locator("svg").count() >= 7
        small = "[...document.querySelectorAll('svg')].map((s) => 13 * s.getBoundingClientRect().width / 430)"
        assert min(tab.evaluate(small)) >= 9.5, "text of the plots can be read"
        assert tab.evaluate(CUT) == []
        wide = tab.evaluate(
            "[...document.querySelectorAll('.wide')].filter((t) => t.scrollWidth > t.clientWidth + 1).length"
        )
        assert (wide > 3) == (width == 400), "at 400 pixels tables scroll, and are shaded where they go on"
        assert (
            tab.evaluate("getComputedStyle(document.querySelector('.wide')).backgroundAttachment").count("local") == 2
        )
        places = tab.evaluate("[...document.querySelectorAll('nav a')].map((a) => a.getAttribute('href').slice(1))")
        assert places == tab.evaluate("[...document.querySelectorAll('section')].map((s) => s.id)")


def test_each_part_of_a_bar_has_a_colour_of_its_own() -> None:
    """A step has nine parts; with eight colours the bubble had that of compute."""
    colours = re.findall(r"--c\d: light-dark\((\S+), ", STYLE)
    assert len(set(colours)) == len(colours) == COLOURS == 9
