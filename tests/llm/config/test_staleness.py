"""Each key of the configuration, changed by itself, makes stale the scripts that read it, what follows from them, and
nothing else: by the expected keys of a whole run's jobs, none of which is executed."""

import ast
import json
import runpy
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path

import pytest
import yaml
from snakemake.parser import parse

from llm.align.settings.paired import PAIRED
from llm.align.settings.policy import POLICIES
from llm.collect.settings import Source
from llm.config.blocks import Config, schema
from llm.package.importing.settings import Imported
from llm.settings import hints_of, is_key, without_none
from stemma.code.closure import closure_of
from stemma.planning.call import Call, merged
from stemma.planning.planned_jobs import Wanted
from stemma.workflow.load import load
from tests.llm.config.tried_keys import (
    ALONG,
    BASE,
    IMPORTED,
    METHODS,
    OF_IMPORTED,
    OFF_GRID,
    READERS,
    SOURCE,
    VALUES,
)

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module", autouse=True)
def read_once():
    """The workflow is loaded for each key: its files, which stay as they are, are translated once, YAML by libyaml."""
    translated: dict[tuple[str, int], tuple[tuple[str, int], dict[int, int]]] = {}

    def once(path, workflow, linemap, rulecount=0):
        key = (path.get_path_or_uri(secret_free=True), rulecount)
        if key not in translated:
            translated[key] = (parse(path, workflow, linemap, rulecount=rulecount), linemap)
        linemap |= translated[key][1]
        return translated[key][0]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("snakemake.workflow.parse", once)
        patch.setattr(yaml, "SafeLoader", yaml.CSafeLoader)
        patch.setattr(yaml, "FullLoader", yaml.CFullLoader)
        yield


def keys_of(kind: type, place: str = "") -> Iterator[tuple[str, type, str]]:
    """(dotted name, the class that says it, its name there) of every key in a block."""
    for each in fields(kind):
        hint = without_none(hints_of(kind)[each.name])
        name = f"{place}.{each.name}".strip(".")
        if is_dataclass(hint):
            yield from keys_of(hint, name)
        elif is_key(each):
            owner = next(one for one in kind.__mro__ if each.name in one.__dict__.get("__annotations__", {}))
            yield name, owner, each.name


KEYS = {name: (owner, key) for name, owner, key in keys_of(Config)}


@cache
def slices() -> dict[str, set[tuple[type, str]]]:
    """Script -> the keys that its slice holds, each as the class that says it and its name."""
    found = {}
    for script in sorted((ROOT / "scripts").rglob("*.py")):
        main = runpy.run_path(str(script))["main"]
        hint = hints_of(main).get("settings")
        found[script.stem] = {(owner, key) for _, owner, key in keys_of(hint)} if hint else set()
    return found


@cache
def run(changes: str = "{}") -> tuple[dict[str, Wanted], dict[str, str]]:
    """The jobs of a whole run by their places, and their expected keys. changes: to the config, as JSON."""
    attached = load(Call.of(ROOT / "Snakefile", [], merged(BASE, json.loads(changes))))
    jobs: dict[str, Wanted] = {}
    waiting = ["results/report/index.html", "results/plan/config.json"]
    waiting += [f"results/align/{method}/manifest.json" for method in (*PAIRED, "kto", *POLICIES)]
    waiting += [f"results/align/{method}-checkable/manifest.json" for method in ("sft", "reward")]
    waiting += ["results/align/adherence/checkable/dpo-checkable.json"]
    while waiting:
        job = attached.keys.plan.maker(waiting.pop())
        if job is not None and job.place not in jobs:
            jobs[job.place] = job
            waiting += [path for _, path in job.inputs]
    return jobs, {place: attached.keys.expected(job) for place, job in jobs.items()}


def name_of(job: Wanted) -> str:
    return Path(job.script).stem if job.script else job.rule


def told_otherwise(before: dict[str, Wanted], after: dict[str, Wanted]) -> set[str]:
    """The scripts of the jobs that are told something else than before, in params, inputs, outputs or threads."""
    return {name_of(job) for place, job in after.items() if place in before and job != before[place]}


def with_descendants(own: set[str], jobs: dict[str, Wanted]) -> set[str]:
    """These jobs and all that follow from them, by place."""
    makers = {path: job.place for job in jobs.values() for _, path in job.outputs}
    parents = {place: {makers[path] for _, path in job.inputs if path in makers} for place, job in jobs.items()}
    found, more = set(own), True
    while more:
        more = {place for place in jobs if place not in found and parents[place] & found}
        found |= more
    return found


def other(name: str) -> object:
    """Another value that a key may have; a mapping for the block around it where others have to change with it."""
    if name in VALUES:
        return VALUES[name]
    rule, value = schema(), yaml.safe_load((ROOT / "config.yaml").read_text())
    for part in name.split("."):
        rule = rule["properties"][part]
        value = value.get(part, rule.get("default")) if isinstance(value, dict) else rule.get("default")
    if "enum" in rule:
        return next(one for one in rule["enum"] if one is not None and one != value)
    if "boolean" in rule["type"]:
        return not value
    if "integer" in rule["type"]:
        return (value or rule.get("minimum", 0)) + 1
    if "number" in rule["type"]:
        return (value or 1) / 2
    raise AssertionError(f"{name}: say another value in VALUES")


def changed(name: str, value: object) -> str:
    """The change of one key, and of what has to change along with it, as JSON."""
    *block, last = name.split(".")
    value = {last: value} | ALONG.get(name, {})
    for part in reversed(block):
        value = {part: value}
    return json.dumps(value)


def readers(name: str) -> set[str]:
    """The scripts that read a key: those in whose slice it is, or those of READERS."""
    if name in READERS:
        return set(READERS[name].split())
    if name.startswith(("model.", "plan.")):
        return {"preset_plan", *["model_config"] * name.startswith("model.")}
    found = {script for script, keys in slices().items() if KEYS[name] in keys}
    found -= {"initial_checkpoint"}  # is there where pretraining goes on from an imported model alone
    if name.split(".")[0] in ("pretrain", "align"):  # the stages have keys of one class, each in its own block
        found &= {file.stem for file in (ROOT / "scripts" / name.split(".")[0]).glob("*.py")}
    method = name.split(".")[1] if name.startswith("align.") else ""
    return found & {METHODS[method]} if method in METHODS else found


def mistakes(name: str, value: object, expected: set[str], base: str = "{}") -> list[str]:
    """What is not as it should be when this key has another value. base: changes to the config before, as JSON."""
    (before, old), (after, new) = run(base), run(json.dumps(merged(json.loads(base), json.loads(changed(name, value)))))
    told = told_otherwise(before, after)
    found = [] if told == expected else [f"{name}: {value!r} is told to {sorted(told)}, not to {sorted(expected)}"]
    own = {place for place, job in after.items() if job != before.get(place)}
    stale = {place for place in after if new[place] != old.get(place)}
    wrong = stale ^ with_descendants(own, after)
    return [*found, *(f"{name}: {value!r}: {place}" for place in sorted(wrong))]


@pytest.mark.parametrize("block", sorted({name.split(".")[0] for name in KEYS} - {"sources", "numeric", "imported"}))
def test_a_key_makes_stale_the_scripts_that_read_it(block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    names = [name for name in KEYS if name.split(".")[0] == block]
    assert [text for name in names for text in mistakes_of(name)] == []


def mistakes_of(name: str) -> list[str]:
    if name.startswith("pretrain.parallel."):  # with megatron, in part
        return mistakes(name, other(name), readers(name) - {"qat"}, json.dumps(OFF_GRID))
    return mistakes(name, other(name), readers(name))


@pytest.mark.parametrize(("key", "value", "expected"), SOURCE, ids=[key for key, _, _ in SOURCE])
def test_a_key_of_a_source(key: str, value: object, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    assert mistakes(f"sources.jargon.{key}", value, set(expected.split())) == []


@pytest.mark.parametrize(("key", "value", "expected"), OF_IMPORTED, ids=[key for key, _, _ in OF_IMPORTED])
def test_a_key_of_an_imported_model(key: str, value: object, expected: str, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    base = json.dumps({"imported": IMPORTED} | OFF_GRID)
    assert mistakes(f"imported.{key}", value, set(expected.split()), base) == []


def test_pretraining_goes_on_from_an_imported_model_or_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    scripts = {}
    for continued in (False, True):
        jobs, _ = run(json.dumps({"imported": IMPORTED | {"continued": continued}} | OFF_GRID))
        scripts[continued] = {name_of(job) for job in jobs.values()}
    ours = {"tokenizer", "model_config", "package"}
    assert not scripts[True] & ours and not scripts[False] & ours
    assert "pretrain" not in scripts[False]
    assert {"initial_checkpoint", "pretrain", "package_continued"} <= scripts[True]


def test_the_last_steps_of_pretraining_are_segments_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """And those before them do not know of any grid, nor of the code that rounds: they are what they were without."""
    monkeypatch.chdir(tmp_path)
    chains, keys = {}, {}
    for steps in (None, 0, 400, 4350):
        qat = None if steps is None else {"steps": steps}
        jobs, keys[steps] = run(json.dumps({"quantize": {"qat": qat}}))
        made = {path: job for job in jobs.values() for _, path in job.outputs}
        chains[steps] = {
            int(path.split("step-")[1].split("/")[0]): name_of(job) for path, job in made.items() if "/step-" in path
        }
    plain = dict.fromkeys((1450, 2900, 4350), "pretrain")
    assert chains[None] == chains[0] == plain
    assert chains[400] == plain | {3950: "pretrain", 4350: "qat"}
    assert chains[4350] == dict.fromkeys(plain, "qat")
    before = [place for place in keys[None] if keys[400].get(place) == keys[None][place]]
    assert {f"results/pretrain/step-{step}/manifest.json" for step in (1450, 2900)} <= set(before)
    assert "llm/model/rounding.py" not in closure_of(Path("scripts/pretrain/pretrain.py"), ROOT).modules


def test_every_key_of_an_imported_model_is_tried():
    tried = {key for key, _, _ in OF_IMPORTED}
    assert tried == {each.name for each in fields(Imported)} - {"path", "url", "continued"}


def test_every_key_of_a_source_is_tried():
    assert {key for key, _, _ in SOURCE} == {each.name for each in fields(Source)} - {"path", "url", "pypi", "file"}


def test_the_numeric_mode_is_in_keys_but_no_script_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    (before, old), (after, new) = run(), run(changed("numeric", "portable"))
    assert told_otherwise(before, after) == set()
    stale = {name_of(after[place]) for place in after if new[place] != old[place]}
    assert {"pretrain", "sft", "quantize"} <= stale
    assert not stale & {"fetch", "collect"}


@pytest.mark.parametrize("script", [name for name, keys in slices().items() if keys])
def test_a_slice_holds_no_key_that_its_script_does_not_read(script: str):
    """Each key is named somewhere in the script's closure, outside the modules that say it."""
    path = next((ROOT / "scripts").rglob(f"{script}.py")).relative_to(ROOT)
    named: set[str] = set()
    for module in closure_of(path, ROOT).modules:
        tree = ast.parse((ROOT / module).read_text())
        read: list[ast.AST] = [tree]
        if "settings" in Path(module).parts or Path(module).stem == "settings":  # what its methods compute with is read
            methods = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))
            read = [node for node in methods if node.name != "__post_init__"]
        for node in (node for part in read for node in ast.walk(part)):
            for kind, field in ((ast.Attribute, "attr"), (ast.arg, "arg"), (ast.Constant, "value")):
                if isinstance(node, kind):
                    named.add(str(getattr(node, field)))
    assert {key for _, key in slices()[script]} <= named
