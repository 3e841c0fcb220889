"""Jobs on a real Slurm that do not start: the terminal says why, a retry finds its way, and a signal ends the wait."""

import re
import shutil
from collections.abc import Iterator

import pytest

from tests.cluster.slurm import PLACE, wait_for
from tests.cluster.toy import OnSlurm

pytestmark = [pytest.mark.cluster, pytest.mark.slow]
FAIL = "raise OSError('on purpose')"


def drain(cluster, *nodes: str) -> None:
    for node in nodes:
        cluster.run("scontrol", "update", f"nodename={node}", "state=drain", "reason=test")


@pytest.fixture(autouse=True)
def resumed(cluster) -> Iterator[None]:
    yield
    for node in cluster.NODES:
        cluster.run("scontrol", "update", f"nodename={node}", "state=resume", check=False)


@pytest.fixture
def partitions(cluster) -> Iterator[None]:
    """One for jobs of a minute, and one that is down."""
    cluster.run("scontrol", "create", "partitionname=short", "nodes=ALL", "maxtime=1")
    cluster.run("scontrol", "create", "partitionname=down", "nodes=ALL", "state=down")
    yield
    cluster.cancel_all()
    wait_for(lambda: not queue(cluster), "the queue to be empty")
    for name in ("short", "down"):
        cluster.run("scontrol", "delete", f"partitionname={name}")


def queue(cluster, form: str = "%i") -> list[str]:
    return cluster.run("squeue", "--noheader", "-o", form).stdout.split()


def nodes_of(cluster, numbers: list[str]) -> list[str]:
    """Where jobs ran."""
    lines = cluster.run("squeue", "--noheader", "--states=all", "-o", "%i %N").stdout.splitlines()
    ran = dict(line.split() for line in lines if " " in line.strip())
    return [ran[number] for number in numbers]


def test_a_retry_does_not_keep_off_the_only_node_that_takes_jobs(cluster, toy: OnSlurm):
    drain(cluster, "n2")
    toy.first_does(FAIL)
    with toy.running("--retries", "1") as run:
        assert run.end() == 1
    assert nodes_of(cluster, toy.submitted()) == ["n1", "n1"]
    assert len(run.said("error:")) == 2


def test_a_retry_keeps_off_the_node_where_it_failed(cluster, toy: OnSlurm):
    toy.first_does(FAIL)
    with toy.running("--retries", "1") as run:
        assert run.end() == 1
    assert sorted(nodes_of(cluster, toy.submitted())) == ["n1", "n2"]


def test_a_retry_goes_back_when_the_other_node_is_drained_while_it_waits(cluster, toy: OnSlurm):
    full = cluster.run("sbatch", "--parsable", "-w", "n2", "--exclusive", "-o/dev/null", "--wrap=sleep 300").stdout
    toy.first_does(FAIL)
    with toy.running("--retries", "1") as run:
        wait_for(lambda: "n1" in queue(cluster, "%x"), "the retry to keep off n1", 120)
        drain(cluster, "n2")
        cluster.run("scancel", full.strip())
        assert run.end() == 1
    assert nodes_of(cluster, toy.submitted()) == ["n1", "n1"]


def test_nodes_that_the_user_keeps_off_stay_off_in_a_retry(cluster, toy: OnSlurm):
    toy.first_does(FAIL)
    with toy.running("--retries", "1", "--set-resources", "first:slurm_extra='--exclude=n1'") as run:
        assert run.end() == 1
    assert nodes_of(cluster, toy.submitted()) == ["n2", "n2"]


def ended_by_a_signal(cluster, run, toy: OnSlurm) -> None:
    """SIGTERM ends the wait: nothing is left in the queue, and nothing was tried again."""
    assert run.terminate() == 1
    assert queue(cluster) == []
    assert len(toy.submitted()) == 1
    assert run.said("error:") == []
    assert run.said("warning:") == ["warning: told to end: 1 job taken out of Slurm's queue"]


def test_no_node_takes_jobs(cluster, toy: OnSlurm):
    drain(cluster, *cluster.NODES)
    with toy.running("--retries", "2") as run:
        line = run.wait_for_line("waiting:")
        assert re.fullmatch(
            r"waiting: first results/parts: the nodes that it may use are down, drained or reserved"
            r"(: ReqNodeNotAvail, UnavailableNodes:n\[1-2\])? \(Slurm job \d+\); see `sinfo -R`",
            line,
        )
        ended_by_a_signal(cluster, run, toy)


TOO_MUCH = ("it asks for more than its partition has or allows: Partition\\w+", "change what first asks for")
CASES = {  # what the job asks for: what is said of it; what to do
    "slurm_extra='--hold'": ("it is held: JobHeldUser", "`scontrol release {number}` lets it run"),
    "nodes=5 first:tasks=5": TOO_MUCH,
    "cpus_per_task=9": TOO_MUCH,
    "slurm_partition='short'": TOO_MUCH,
    "slurm_partition='down'": ("its partition starts no jobs: PartitionDown", "see `sinfo`"),
    "slurm_extra='--dependency=afterok:{failed}'": (
        "what it depends on failed: DependencyNeverSatisfied",
        "`scancel {number}` lets it be tried again",
    ),
}


@pytest.mark.parametrize("asked", CASES)
def test_each_reason_is_said_once_and_a_signal_ends_the_wait(cluster, toy: OnSlurm, partitions, asked):
    what, advice = CASES[asked]
    if "{failed}" in asked:
        failed = cluster.run("sbatch", "--parsable", "-o/dev/null", "--wrap=false").stdout.strip()
        wait_for(lambda: not queue(cluster), "a job to fail")
        asked = asked.format(failed=failed)
    with toy.running("--retries", "2", "--set-resources", *f"first:{asked}".split()) as run:
        line = run.wait_for_line("waiting:")
        (number,) = toy.submitted()
        assert re.fullmatch(rf"waiting: first results/parts: {what} \(Slurm job {number}\); (.*)", line)[
            1
        ] == advice.format(number=number)
        ended_by_a_signal(cluster, run, toy)
    assert len(run.said("waiting:")) == 1


def test_a_signal_waits_for_what_runs(cluster, toy: OnSlurm):
    toy.first_does("import time; time.sleep(15)")
    with toy.running() as run:
        wait_for(lambda: "RUNNING" in queue(cluster, "%T"), "the job to run")
        assert run.terminate() == 1
    assert any(line.startswith("s            first") for line in run.lines), run.lines
    assert len(toy.submitted()) == 1
    assert "1 job at work waited for; Ctrl-C ends it, too" in run.said("warning:")[0]


def test_a_job_that_slurm_has_forgotten_is_not_waited_for(cluster, toy: OnSlurm):
    toy.first_does("import time; time.sleep(60)")
    with toy.running() as run:
        wait_for(lambda: "RUNNING" in queue(cluster, "%T"), "the job to run")
        cluster.kill_controller()
        for node in cluster.NODES:
            cluster.kill_node(node)
        shutil.rmtree(PLACE / "state")
        (PLACE / "state").mkdir()
        cluster.start_controller("-c")
        assert run.end() == 1
    (line,) = run.said("error:")
    assert line.startswith(
        "error: first results/parts: Slurm no longer knows it; log results/logs/first.log (Slurm job"
    )
