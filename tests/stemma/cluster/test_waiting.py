"""What a reason of Slurm's means, and when ordinary waiting is told. On a real Slurm: tests/cluster/test_waiting.py."""

from types import SimpleNamespace

import pytest

from stemma.cluster.slurm import SlurmJob
from stemma.cluster.waiting import LONG, Queue, say_why


class Job(SimpleNamespace):
    """As much of a job of Snakemake's as is told of."""

    def is_group(self) -> bool:
        return False


def waiting(reason: str, number: int = 1) -> tuple:
    job = Job(name="annotate", output=[f"results/annotated/part-{number}/manifest.json"])
    info = SimpleNamespace(job=job, external_jobid=str(number), aux={})
    return info, SlurmJob(str(number), "PENDING", "", "0", reason, "rule_annotate")


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("launch failed requeued held", "it is held (Slurm job 1); `scontrol release 1` lets it run"),
        ("JobHeldAdmin", "it is held: JobHeldAdmin (Slurm job 1); `scontrol release 1` lets it run"),
        ("QOSMaxJobsPerUserLimit", "a limit of its account or QOS is reached: QOSMaxJobsPerUserLimit"),
        ("AssocGrpCpuLimit", "a limit of its account or QOS is reached: AssocGrpCpuLimit"),
        ("QOSNotAllowed", "its account or QOS may not use its partition: QOSNotAllowed"),
        ("InvalidAccount", "its account or QOS may not use its partition: InvalidAccount"),
        ("BadConstraints", "it asks for more than its partition has or allows: BadConstraints"),
        ("Licenses", "Slurm does not start it: Licenses (Slurm job 1); see `scontrol show job 1`"),
    ],
)
def test_a_reason_is_said_once_with_what_it_means(capsys, reason, said):
    pair = waiting(reason)
    say_why([pair])
    say_why([pair])
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"waiting: annotate results/annotated/part-1: {said}")


def test_jobs_of_one_rule_with_one_reason_are_one_line(capsys):
    say_why([waiting("PartitionDown", number) for number in (1, 2, 3)])
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("waiting: annotate results/annotated/part-1 and 2 more: its partition starts no jobs")


def test_to_wait_for_ones_turn_is_nothing_to_speak_of(capsys):
    say_why([waiting(reason) for reason in ("None", "Priority", "Resources", "BeginTime")])
    assert capsys.readouterr().err == ""


def test_a_long_wait_is_told_ever_more_rarely(capsys):
    queue, pairs = Queue(), [waiting("Priority", 1), waiting("Resources", 2)]
    for now in range(0, int(10 * LONG), 60):
        queue.say_how_long(pairs, now)
    said = capsys.readouterr().err.splitlines()
    assert said[0] == "waiting: 2 jobs for 10 minutes in Slurm's queue: Priority, Resources"
    assert [line.split()[4] for line in said] == ["10", "20", "40", "80"]
