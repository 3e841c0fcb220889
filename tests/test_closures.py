"""A script's code reaches no further than its stage: an edit elsewhere makes nothing of it stale."""

from pathlib import Path

import pytest

from stemma.code.closure import closure_of, reader_of, third_party

ROOT = Path(__file__).resolve().parents[1]
CLOSURES = {
    script.as_posix(): closure_of(script, ROOT)
    for script in (file.relative_to(ROOT) for file in sorted((ROOT / "scripts").rglob("*.py")))
}
# Stage -> rooms that its scripts must not reach: those of later stages, and machinery that has no part in its bytes.
FORBIDDEN = {
    "collect": ("llm/process", "llm/tokenize", "llm/model", "llm/pretrain", "llm/align", "llm/deploy"),
    "process": ("llm/tokenize", "llm/model", "llm/runtime", "llm/pretrain", "llm/align", "llm/package", "llm/deploy"),
    "tokenize": ("llm/collect", "llm/model", "llm/runtime", "llm/pretrain", "llm/align", "llm/package", "llm/deploy"),
    "architecture": ("llm/collect", "llm/process", "llm/tokenize", "llm/align", "llm/package", "llm/deploy"),
    "pretrain": ("llm/collect", "llm/align", "llm/package", "llm/deploy", "llm/plan"),
    "align": ("llm/collect", "llm/process", "llm/pretrain", "llm/deploy", "llm/plan"),
    "package": ("llm/collect", "llm/process", "llm/deploy", "llm/plan"),
    "deploy": ("llm/collect", "llm/process", "llm/pretrain/engines", "llm/training", "llm/plan"),
    "evaluate": ("llm/process", "llm/pretrain/engines", "llm/plan"),
}
PART = {
    "scripts/align/given.py": ("llm/collect/", "llm/process/dedup/")
}  # it reads archives, and drops what evaluations hold
TORCH = ("align", "deploy", "evaluate", "package", "pretrain")  # the stages whose scripts may import it


def stage_of(script: str) -> str:
    return script.split("/")[1]


@pytest.mark.parametrize("script", CLOSURES)
def test_a_stage_does_not_reach_into_another(script: str):
    rooms = tuple(f"{room}/" for room in FORBIDDEN[stage_of(script)])
    reached = [name for name in CLOSURES[script].modules if name.startswith(rooms)]
    assert [name for name in reached if not name.startswith(PART.get(script, ()))] == []


@pytest.mark.parametrize("script", [script for script in CLOSURES if stage_of(script) not in TORCH])
def test_early_stages_need_no_torch(script: str):
    modules = [reader_of(ROOT).module(Path(path)) for path in CLOSURES[script].modules]
    assert "torch" not in {name for module in modules for name in third_party(module, ROOT)}


def test_only_fetch_may_use_the_network():
    assert [script for script, closure in CLOSURES.items() if closure.network] == ["scripts/collect/fetch.py"]


def test_editing_a_stage_makes_others_fresh():
    """Losses on pairs are one script's alone, a threshold's code stage 2's, the planner no artifact's of a run."""
    assert users("llm/align/paired.py") == ["scripts/align/paired.py"]
    assert {stage_of(script) for script in users("llm/process/quality/thresholds.py")} == {"process"}
    assert {stage_of(script) for script in users("llm/plan/costs.py")} == {"architecture"}
    assert {stage_of(script) for script in users("llm/training/segment.py")} == {"pretrain", "align"}
    assert {stage_of(script) for script in users("llm/pretrain/worker.py")} == {"pretrain"}


def users(module: str) -> list[str]:
    return [script for script, closure in CLOSURES.items() if module in closure.modules]
