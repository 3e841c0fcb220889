"""What a real Slurm refuses: one line and no second try if for good; submitted again if for now."""

import time

import pytest

from stemma.cluster.markers import MARKERS, SUFFIX
from tests.cluster.slurm import wait_for
from tests.cluster.toy import OnSlurm, Running

pytestmark = [pytest.mark.cluster, pytest.mark.slow]
SAVED = 10  # seconds until slurmctld has written down that a job runs
IMPOSSIBLE = "Requested node configuration is not available"
REFUSED = {  # what the job asks for: how that is refused
    "slurm_partition='nosuch'": "invalid partition specified: nosuch",
    "mem_mb=90000": "Memory specification can not be satisfied",
    "gpu=9": IMPOSSIBLE,
    "gres='gpu:9'": IMPOSSIBLE,
    "constraint='nosuch'": "Invalid feature specification",
    "slurm_extra='--reservation=nosuch'": "Requested reservation is invalid",
    "slurm_extra='--nosuch'": "unrecognized option '--nosuch'",
    "slurm_extra='--partition=main'": "The --partition option is not allowed in the 'slurm_extra' parameter",
    "nodes=0": "If provided, 'nodes' must be an integer greater than or equal to 1",
}


def attempts(toy: OnSlurm) -> int:
    """How often the last snakemake went to submit the first job, by its own log."""
    logs = sorted((toy.path / ".snakemake/log").glob("*.log"), key=lambda file: file.stat().st_mtime)
    return logs[-1].read_text().count("Execute 1 jobs...")


def only_line(run: Running) -> str:
    """All that a failed run has complained of."""
    assert run.end() == 1
    (line,) = run.complaints()
    return line


@pytest.mark.parametrize("asked", REFUSED)
def test_a_refusal_is_one_line_and_is_not_tried_again(toy: OnSlurm, asked):
    with toy.running("--retries", "2", "--set-resources", f"first:{asked}") as run:
        line = only_line(run)
    assert line.startswith(f"error: first results/parts: Slurm refuses it: {REFUSED[asked]}")
    assert line.endswith("; change what first asks for")
    assert toy.submitted() == []
    assert attempts(toy) == 1


@pytest.mark.parametrize("asked", ["mem_mb=90000", "slurm_extra='--partition=main'"])
def test_a_group_is_refused_in_one_line(toy: OnSlurm, asked):
    with toy.running("--retries", "2", "--groups", "first=g", "second=g", "--set-resources", f"first:{asked}") as run:
        line = only_line(run)
    assert line.startswith(f"error: first results/parts: Slurm refuses it: {REFUSED[asked]}")
    assert line.endswith("; change what first asks for")


def test_a_controller_that_is_away_when_a_job_is_submitted_costs_no_attempt(cluster, toy: OnSlurm):
    toy.first_does("import time; time.sleep(5)")
    toy.replace("Snakefile", "rule all:", "localrules: first\n\nrule all:")
    with toy.running() as run:
        wait_for(lambda: any((toy.path / MARKERS).glob(f"*{SUFFIX}")), "the first job to run here")
        cluster.kill_controller()
        assert "Unable to contact slurm controller" in run.wait_for_line("warning: Slurm takes no job now: ")
        cluster.start_controller()
        assert run.end() == 0, "\n".join(run.lines)
    assert run.said("error:") == []


def test_a_controller_that_is_away_when_it_is_asked_does_not_end_the_wait(cluster, toy: OnSlurm):
    toy.first_does("import time; time.sleep(30)")
    with toy.running() as run:
        wait_for(lambda: any((toy.path / MARKERS).glob(f"*{SUFFIX}")), "the job to run")
        time.sleep(SAVED)
        cluster.kill_controller()
        run.wait_for_line("warning: Slurm does not answer")
        cluster.start_controller()
        assert run.end() == 0, "\n".join(run.lines)
    assert run.said("error:") == []


def test_a_job_that_is_preempted_is_tried_again(cluster, toy: OnSlurm):
    cluster.run("scontrol", "create", "partitionname=urgent", "nodes=ALL", "prioritytier=10")
    toy.first_does("import time; time.sleep(10)")
    try:
        with toy.running("--retries", "1") as run:
            wait_for(lambda: cluster.run("squeue", "-h", "-t", "R", "-o", "%i").stdout, "the job to run")
            cluster.run("sbatch", "-p", "urgent", "--nodes=2", "--exclusive", "-o/dev/null", "--wrap=sleep 5")
            assert run.end() == 0
    finally:
        cluster.cancel_all()
        wait_for(lambda: not cluster.run("squeue", "-h").stdout, "the queue to be empty")
        cluster.run("scontrol", "delete", "partitionname=urgent")
    (line,) = run.said("error:")
    assert line.startswith("error: first results/parts: it was preempted; log results/logs/first.log (Slurm job")
    assert line.endswith("; tried again, attempt 2 of 2")
