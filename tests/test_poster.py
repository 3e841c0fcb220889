"""What the default run builds, by its plan, beside what the poster shows: no block is left without an artifact."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from stemma.planning.call import Call
from stemma.report.poster import load as read_poster
from stemma.report.values import chosen
from stemma.workflow.load import load

ROOT = Path(__file__).resolve().parents[1]


def targets(preset: str | None) -> list[SimpleNamespace]:
    """What `snakemake` builds, as the poster sees artifacts."""
    files = [ROOT / f"presets/{preset}.yaml"] if preset else []
    plan = load(Call.of(ROOT / "Snakefile", files, {})).keys.plan
    found, waiting = set(), ["results/report/index.html"]
    while waiting:
        job = plan.maker(waiting.pop())
        new = {path for _, path in job.outputs} - found if job else set()
        found |= new
        waiting += [path for _, path in job.inputs] if new else []
    return [SimpleNamespace(target=path.removesuffix("/manifest.json")) for path in found]


@pytest.mark.parametrize("preset", [None, "tiny", "smollm2"])
def test_every_block_of_alignment_has_what_it_shows(preset, tmp_path, monkeypatch):
    """Figures, plots and samples of one artifact each; of blocks that take any of several, one at least."""
    monkeypatch.chdir(tmp_path)
    artifacts = targets(preset)
    stage = next(stage for stage in read_poster(ROOT / "report/poster.yaml").stages if stage.folder == "align")
    for block in stage.blocks:
        shown = [*block.figures, *block.plots, *block.samples]
        shown += [series for plot in block.plots for series in plot.get("series", [])]
        for spec in [{"of": block.of}, *(spec for spec in shown if "of" in spec)]:
            assert chosen(artifacts, {"of": spec["of"]}), (block.title, spec)
