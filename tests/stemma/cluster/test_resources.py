"""What jobs ask for, attempt by attempt, and a machine without Slurm. With one: tests/cluster."""

from types import SimpleNamespace

import pytest

from stemma.base.errors import StemmaError
from stemma.cluster.resources import NESTED_MB, TICKET_MB, end_leftovers, growing
from stemma.cluster.slurm import (
    SlurmJob,
    Unanswered,
    comment_of,
    is_of_array,
    is_of_group,
    is_one,
    jobs_of,
    largest_node_mb,
    state_of,
)

HERE = SimpleNamespace(local_exec=True, executor_plugin=None)
TICKETS, CONTAINERS = (SimpleNamespace(deployment_method=methods) for methods in (set(), {"apptainer"}))
THERE = SimpleNamespace(local_exec=False, executor_plugin=None, deployment_settings=TICKETS)


@pytest.fixture
def no_slurm(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    largest_node_mb.cache_clear()
    yield
    largest_node_mb.cache_clear()


def test_memory_grows_where_jobs_are_submitted(no_slurm):
    assert [growing(1000, HERE)(None, attempt) for attempt in (1, 2, 3)] == [1000] * 3
    first = 1000 + TICKET_MB
    assert [growing(1000, THERE)(None, attempt) for attempt in (1, 2, 3)] == [first, 2 * first, 3 * first]
    nested = SimpleNamespace(local_exec=False, executor_plugin=None, deployment_settings=CONTAINERS)
    assert growing(1000, nested)(None, 1) == 1000 + NESTED_MB


def test_it_grows_to_the_largest_node_and_a_first_attempt_is_left_to_slurm(monkeypatch):
    monkeypatch.setattr("stemma.cluster.resources.largest_node_mb", lambda: 2000)
    assert [growing(1000, THERE)(None, attempt) for attempt in (1, 2)] == [1000 + TICKET_MB, 2000]
    assert [growing(5000, THERE)(None, attempt) for attempt in (1, 2)] == [5000 + TICKET_MB] * 2


def test_names_of_jobs_and_nodes():
    assert comment_of("report", []) == "rule_report"
    assert comment_of("clean", ["a/b", "c"]) == "rule_clean_wildcards_a_b_c"
    job = SlurmJob("1", "RUNNING", "n1", "0", "None", "rule_corpus_clean_shards_mix")
    assert is_of_group(job, "corpus")
    assert not is_of_group(job, "examples")
    assert not is_of_group(job, None)
    task = SlurmJob("1_3", "PENDING", "", "0", "Resources", "rule_annotate")
    assert is_of_array(task, "annotate")
    assert not is_of_array(task, "annot")
    assert not is_of_array(job, "corpus")
    assert [is_one(nodes) for nodes in ("n1", "", "n[1-2]", "n1,n2")] == [True, False, False, False]


def test_without_slurm_nobody_waits(no_slurm, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Unanswered, match="there is no squeue on this machine"):
        jobs_of(tmp_path, {"0"})
    assert state_of("1") == ""
    end_leftovers(tmp_path, on_slurm=False)
    assert capsys.readouterr().err == ""
    with pytest.raises(StemmaError, match="see that `sinfo` works"):
        end_leftovers(tmp_path, on_slurm=True)
    (tmp_path / ".snakemake/slurm_logs").mkdir(parents=True)
    end_leftovers(tmp_path, on_slurm=False)
    assert "no job of an earlier snakemake is still at work" in capsys.readouterr().err
