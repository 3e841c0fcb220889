"""Each place where the engine stands in for Snakemake is as the engine knows it, and no other is touched."""

import ast
from pathlib import Path

import pytest
import snakemake_executor_plugin_slurm as slurm
from snakemake import api, io  # api first, for its modules import one another
from snakemake.dag import DAG
from snakemake.executors.local import Executor as LocalExecutor
from snakemake.jobs import Job
from snakemake.pathvars import Pathvars
from snakemake.persistence import PersistenceBase
from snakemake_executor_plugin_slurm import efficiency_report

from stemma.base.errors import StemmaError
from stemma.base.patches import POINTS, parameters, put

ROOT = Path(__file__).resolve().parents[3]
OWNERS = {
    "DAG": DAG, "Job": Job, "PersistenceBase": PersistenceBase, "_IOFile": io._IOFile, "io": io, "Pathvars": Pathvars,
    "Workflow": api.Workflow, "plugin": slurm, "Executor": slurm.Executor, "efficiency_report": efficiency_report,
}  # fmt: skip


def owner_of(place: str) -> object:
    return LocalExecutor if place == "Executor.run_group_job" else OWNERS[place.partition(".")[0]]


@pytest.mark.parametrize("place", POINTS)
def test_a_place_is_as_the_engine_knows_it(place: str):
    assert parameters(getattr(owner_of(place), place.partition(".")[2])) == POINTS[place].takes.split()


@pytest.mark.parametrize("place", POINTS)
def test_the_module_that_is_named_makes_the_patch(place: str):
    text = (ROOT / POINTS[place].module).read_text()
    assert f'"{place}"' in text or 'f"Workflow.{event}"' in text


def test_another_snakemake_is_refused():
    class Fake:
        def update_needrun(self, everything):
            """As a later Snakemake might have it."""

    with pytest.raises(StemmaError, match=r"has \(everything\) for .* knows it with \(create_inventory\).*make setup"):
        put(Fake, "DAG.update_needrun", lambda dag: None)
    with pytest.raises(StemmaError, match=r"has nothing for DAG.register_running"):
        put(Fake, "DAG.register_running", lambda dag, jobs: None)


def test_a_second_patch_finds_snakemakes_own_parameters():
    class Fake:
        def update_needrun(self, create_inventory=False):
            return 1

    for _ in range(2):
        inner = Fake.update_needrun
        put(Fake, "DAG.update_needrun", lambda dag, *arguments, inner=inner: inner(dag) + 1)
    assert Fake().update_needrun() == 3


def test_nothing_is_put_into_snakemake_beside_put():
    """No assignment to an attribute of a class or module that is Snakemake's or an executor's."""
    for file in sorted((ROOT / "stemma").rglob("*.py")):
        tree = ast.parse(file.read_text())
        theirs = {"plugin", "executor_class"} | {
            alias.asname or alias.name
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("snakemake")
            for alias in node.names
        }
        targets = [target for node in ast.walk(tree) if isinstance(node, ast.Assign) for target in node.targets]
        targets = [one for target in targets for one in (target.elts if isinstance(target, ast.Tuple) else [target])]
        found = [
            ast.unparse(target)
            for target in targets
            if isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name) and target.value.id in theirs
        ]
        assert found == [], file
