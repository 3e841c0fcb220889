"""Names of jobs in the queue of a real Slurm."""

import pytest

from tests.cluster.toy import OnSlurm

pytestmark = [pytest.mark.cluster, pytest.mark.slow]


def names(cluster, toy: OnSlurm) -> list[str]:
    """Of what the last run put into the queue."""
    numbers = ",".join(toy.submitted())
    return cluster.run("squeue", "-h", "--states=all", "--sort=i", "-o", "%j", "-j", numbers).stdout.split()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ((), ["first:parts", "second:joined.txt", "third:final.txt"]),
        (("--slurm-jobname-prefix", "mine"), ["mine_first:parts", "mine_second:joined.txt", "mine_third:final.txt"]),
        (("--groups", "second=both", "third=both"), ["first:parts", "both_second_third:joined.txt"]),
    ],
)
def test_a_job_is_called_by_its_rule_and_artifact(cluster, toy: OnSlurm, options, expected):
    with toy.running(*options) as run:
        assert run.end() == 0, "\n".join(run.lines)
    assert names(cluster, toy) == expected
