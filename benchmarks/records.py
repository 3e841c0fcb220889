"""Ten thousand real records in a real store: 1,000 shards through ten stages, for benchmarks of the questions.

Made by the code that a job runs once its script has ended: outputs into the store, signed record, pointers. Only the
scripts do not run, and what is the same for all (installed distributions, git's answer) is asked for once.
"""

import contextlib
import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path

from stemma.base import digest
from stemma.base.settings import ROOT, Settings
from stemma.code.closure import closure_of
from stemma.execute import action as module
from stemma.execute import run
from stemma.execute.action import Action
from stemma.provenance import describe
from stemma.provenance.record import Input, Job, Outcome
from stemma.provenance.trust import Records
from stemma.store import artifact

SCRIPTS = (
    "collect/collect", "process/annotate", "process/deduplicate", "process/clean", "process/mix", "tokenize/tokenizer",
    "tokenize/encode", "package/merge", "deploy/generate", "deploy/quantize",
)  # fmt: skip


def synthesise(directory: Path, shards: int) -> None:
    """Shard n goes through all stages; every tenth artifact of a stage also reads its neighbour, so branches meet."""
    module.environment_lock, describe.checkout = cache(module.environment_lock), cache(describe.checkout)
    directory.mkdir(parents=True, exist_ok=True)
    with contextlib.chdir(directory):
        settings = Settings(key="key.pem")
        records = Records.of(settings)
        replace(settings, config=records.store.add_bytes(digest.canonical({}))).save()
        for stage in range(len(SCRIPTS)):
            for shard in range(shards):
                action = action_of(records, stage, shard, shards)
                finish(action, shard)


def path_of(stage: int, shard: int) -> str:
    """results/<stage>/<shard>/manifest.json"""
    return f"results/{Path(SCRIPTS[stage]).name}/shard-{shard:04}/manifest.json"


def action_of(records: Records, stage: int, shard: int, shards: int) -> Action:
    """The job of one shard at one stage."""
    parents = [path_of(stage - 1, shard)] if stage else []
    if stage and shard % 10 == 0:
        parents.append(path_of(stage - 1, (shard + 1) % shards))
    pointers = {path: artifact.read_pointer(Path(path)) for path in parents}
    inputs = [Input("documents", path, pointer.sha256, pointer.record) for path, pointer in pointers.items()]
    script = f"scripts/{SCRIPTS[stage]}.py"
    job = Job(
        rule=Path(script).stem,
        script=script,
        wildcards={"source": f"shard-{shard:04}"},
        params={"source": f"shard-{shard:04}", "threshold": 0.5, "languages": ["en", "de"]},
        inputs={"documents": parents},
        sources={},
        outputs={"shards": [path_of(stage, shard)]},
        expected=digest.of_value([script, shard]),
        numeric="native",
        threads=1,
    )
    return Action(job, records, ROOT, closure_of(Path(script), ROOT), inputs, "exact")


def finish(action: Action, shard: int) -> None:
    """What `stemma run` does when a script has ended well: a directory of one file here."""
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as workspace:
        Path(workspace, "part.parquet").write_text(f"{action.job.script} {shard}")
        outputs = {"shards": [artifact.absorb(action.store, Path(workspace))]}
    now = "2026-01-01T00:00:00Z"
    outcome = Outcome(now, now, 1.0 + shard % 7, 1.0, 50_000_000, {"documents": shard})
    run.publish(action, action.keep(outputs, outcome), digest.of_value({}))
