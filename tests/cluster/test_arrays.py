"""Job arrays on a real Slurm, by the executor's own option: each task does its own job and no other's."""

from pathlib import Path

import pytest

from stemma.cluster.status import look
from tests.cluster.slurm import wait_for
from tests.cluster.toy import OnSlurm
from tests.stemma.conftest import LINE

pytestmark = [pytest.mark.cluster, pytest.mark.slow]
PARTS = 5
RULE = """rule part:
    input:
        text="text.txt",
    output:
        part="results/part-{n}.txt",
    params:
        number=lambda w: int(w.n),
    log:
        "results/logs/part-{n}.log",
    shell:
        "python -m stemma run scripts/s/{rule}.py {params.flags}"

attach(workflow"""
SCRIPT = """import time
from pathlib import Path
from llm.command import command


def main(text: Path, part: Path, *, number: int) -> dict:
    if number == 2:
        raise OSError("on purpose")
    time.sleep(2 * number)
    part.write_text(text.read_text() * number)
    return {}


if __name__ == "__main__":
    command(main)
"""
ARRAYS = ("--slurm-array-jobs", "part")


@pytest.fixture
def parts(toy: OnSlurm) -> OnSlurm:
    """The toy asks for five parts."""
    wanted = f'input:\n        [f"results/part-{{n}}.txt" for n in range({PARTS})]'
    toy.replace("Snakefile", 'input:\n        "results/final.txt"', wanted)
    toy.replace("Snakefile", "attach(workflow", RULE)
    (toy.path / "scripts/s/part.py").write_text(SCRIPT)
    return toy


def built(lines: list[str]) -> set[str]:
    return {match[3] for line in lines if (match := LINE.match(line))}


def test_a_task_that_fails_harms_no_other_and_is_tried_again(parts: OnSlurm):
    with parts.running(*ARRAYS, "--retries", "1") as run:
        assert run.end() == 1
    array = {number.partition("_")[0] for number in parts.submitted() if "_" in number}
    assert len(array) == 1
    assert len(parts.submitted()) == PARTS + 1
    assert built(run.lines) == {f"results/part-{n}.txt" for n in (0, 1, 3, 4)}
    first, last = run.said("error:")
    assert "results/part-2.txt: OSError: on purpose" in first
    assert f"(Slurm job {array.pop()}_" in first
    assert first.endswith("tried again, attempt 2 of 2")
    assert last.endswith("; mend that, then run again")
    assert all(Path(f"results/part-{n}.txt").read_text() == "hello\n" * n for n in (0, 1, 3, 4))


def test_more_jobs_than_may_be_in_the_queue(parts: OnSlurm):
    parts.replace("scripts/s/part.py", "number == 2", "number == 99")
    with parts.running(*ARRAYS, "--jobs", "2") as run:
        assert run.end() == 0
    assert built(run.lines) == {f"results/part-{n}.txt" for n in range(PARTS)}


def test_a_refusal_is_said_of_each_job_once(parts: OnSlurm):
    with parts.running(*ARRAYS, "--retries", "2", "--set-resources", "part:constraint='nosuch'") as run:
        assert run.end() == 1
    assert len(run.said("error:")) == PARTS
    assert all("Slurm refuses it: Invalid feature specification; change" in line for line in run.said("error:"))


def test_tasks_that_wait_are_seen_with_their_reason(cluster, parts: OnSlurm):
    cluster.run("sbatch", "--nodes=2", "--exclusive", "-o/dev/null", "--wrap=sleep 300")
    with parts.running(*ARRAYS) as run:
        wait_for(lambda: len(parts.submitted()) == PARTS, "the array to be submitted")
        wait_for(lambda: {job.reason for job in look().jobs} <= {"Resources", "Priority"}, "reasons")
        assert {job.state for job in look().jobs} == {"queued"}
        assert run.terminate() == 1
    assert run.said("warning:") == [f"warning: told to end: {PARTS} jobs taken out of Slurm's queue"]
