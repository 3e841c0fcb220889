"""A Slurm with accounting, as most sites have: limits of a QOS, accounts, sacct, the plugin's efficiency report."""

import csv
from collections.abc import Iterator

import pytest

from tests.cluster import accounting
from tests.cluster.slurm import wait_for
from tests.cluster.toy import OnSlurm

pytestmark = [pytest.mark.cluster, pytest.mark.slow]


@pytest.fixture(scope="module", autouse=True)
def accounted(cluster) -> Iterator[None]:
    """The cluster, brought up anew with accounting, and as it was afterwards."""
    reason = accounting.missing()
    if reason:
        pytest.skip(reason)
    accounting.up()
    yield
    accounting.down()
    cluster.up()


@pytest.fixture
def qos(cluster) -> Iterator[str]:
    """A QOS of which a user may have one job in the queue, and that for five minutes."""
    accounting.manage("add", "qos", "narrow")
    accounting.manage("modify", "qos", "narrow", "set", "MaxSubmitJobsPerUser=1", "MaxWall=5")
    accounting.manage("modify", "user", "root", "set", "qos+=narrow")
    yield "narrow"
    cluster.cancel_all()
    wait_for(lambda: not cluster.run("squeue", "-h").stdout, "the queue to be empty")
    accounting.manage("modify", "user", "root", "set", "qos-=narrow")
    accounting.manage("delete", "qos", "narrow")


def narrow(*others: str) -> list[str]:
    """Options that give the first job this QOS."""
    return ["--set-resources", "first:qos=narrow", *others]


def test_a_full_queue_is_waited_for_and_costs_no_attempt(cluster, toy: OnSlurm, qos):
    other = cluster.run("sbatch", "--parsable", "--qos=narrow", "-t1", "--hold", "-o/dev/null", "--wrap=true").stdout
    with toy.running(*narrow("first:runtime=5")) as run:
        line = run.wait_for_line("warning: Slurm takes no job now: ")
        assert "QOSMaxSubmitJobPerUserLimit" in line
        cluster.run("scancel", other.strip())
        assert run.end() == 0, run.lines
    assert len(run.said("warning:")) == 1
    assert run.said("error:") == []


def test_sigterm_ends_the_wait_for_a_full_queue(cluster, toy: OnSlurm, qos):
    cluster.run("sbatch", "--qos=narrow", "-t1", "--hold", "-o/dev/null", "--wrap=true")
    with toy.running(*narrow("first:runtime=5")) as run:
        run.wait_for_line("warning: Slurm takes no job now: ")
        assert run.terminate() == 1
    assert run.said("error:") == []


def test_a_limit_that_a_job_itself_exceeds_is_said(cluster, toy: OnSlurm, qos):
    with toy.running(*narrow("first:runtime=60")) as run:
        line = run.wait_for_line("waiting:")
        assert "a limit of its account or QOS is reached: QOSMaxWallDurationPerJobLimit" in line
        assert run.terminate() == 1


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ("slurm_account=nosuch", "account nosuch"),
        ("qos=nosuch", "Invalid qos specification"),
    ],
)
def test_what_accounting_refuses_is_one_line(toy: OnSlurm, asked, words):
    with toy.running("--retries", "2", "--set-resources", f"first:{asked}") as run:
        assert run.end() == 1
    (line,) = run.said("error:")
    assert "Slurm refuses it: " in line
    assert words.lower() in line.lower()
    assert run.complaints() == [line]


def test_the_efficiency_report_names_rules(toy: OnSlurm):
    with toy.running("--slurm-efficiency-report", "--slurm-status-command", "sacct") as run:
        assert run.end() == 0, run.lines
    (report,) = toy.path.glob("efficiency_report_*.csv")
    rows = list(csv.DictReader(report.open()))
    assert {row["RuleName"] for row in rows} == {"rule_first", "rule_second", "rule_third"}
    assert all(float(row["RequestedMem_MB"]) == 1150 for row in rows)


def test_a_node_that_was_down_once_gets_jobs_again(cluster, toy: OnSlurm):
    toy.first_does("import time; time.sleep(8)")
    with toy.running("--retries", "1", "--slurm-status-command", "sacct") as run:
        wait_for(lambda: cluster.run("squeue", "-h", "-t", "R", "-o", "%N").stdout, "the job to run")
        node = cluster.run("squeue", "-h", "-t", "R", "-o", "%N").stdout.strip()
        cluster.kill_node(node)
        run.wait_for_line("error: first results/parts: its node died")
        (other,) = set(cluster.NODES) - {node}
        cluster.start_node(node)
        cluster.run("scontrol", "update", f"nodename={other}", "state=drain", "reason=test")
        try:
            assert run.end() == 0, run.lines
        finally:
            cluster.run("scontrol", "update", f"nodename={other}", "state=resume", check=False)
