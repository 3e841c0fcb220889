"""How a refusal is read: whose words, one line, for good or for now. On Slurm: tests/cluster/test_refusals.py."""

import pytest

from stemma.cluster.submission import EXCLUDED, is_for_now, reason_of

BY_SBATCH = "SLURM sbatch failed. The error message was '{}'.\n    sbatch call:\n        sbatch --parsable 'a'\n"
LIMIT = "sbatch: error: {}\nsbatch: error: Batch job submission failed: Job violates accounting/QOS policy (...)"


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (
            "sbatch: error: Memory specification can not be satisfied\n"
            "sbatch: error: Batch job submission failed: Requested node configuration is not available",
            "Memory specification can not be satisfied",
        ),
        ("sbatch: error: Batch job submission failed: Invalid feature specification", "Invalid feature specification"),
        ("sbatch: warning: can't honor\nsbatch: error: it's no use.", "it's no use"),
        ("", "it does not say why"),
    ],
)
def test_it_is_said_in_one_line_in_slurms_words(said, reason):
    assert reason_of(BY_SBATCH.format(said)) == reason
    assert not is_for_now(BY_SBATCH.format(said))


@pytest.mark.parametrize(
    "said",
    [
        "sbatch: error: Batch job submission failed: Unable to contact slurm controller (connect failure)",
        "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation",
        "sbatch: error: Batch job submission failed: Resource temporarily unavailable",
        "sbatch: error: Slurm temporarily unable to accept job, sleeping and retrying",
        *(LIMIT.format(name) for name in ("AssocMaxSubmitJobLimit", "QOSMaxSubmitJobPerUserLimit")),
    ],
)
def test_what_another_time_need_not_meet_is_for_now(said):
    assert is_for_now(BY_SBATCH.format(said))


def test_limits_of_one_job_are_for_good():
    assert not is_for_now(BY_SBATCH.format(LIMIT.format("QOSMaxMemoryPerJob")))


def test_the_plugins_and_a_commands_own_words():
    assert reason_of("Job submission failed with exception: no such account.") == "no such account"
    assert is_for_now("Job submission failed with exception: sinfo: Unable to contact slurm controller")
    assert reason_of("Error submitting jobscript (exit code 1):\nno such queue\n") == "no such queue"
    assert reason_of("SLURM-job '12' failed, SLURM status is: 'FAILED'. ") is None


def test_nodes_that_are_kept_off_already():
    call = "sbatch --job-name x --exclude=n1,n2 -D /a-x/b --exclude n3 -x n4 -xn5"
    assert EXCLUDED.findall(call) == ["n1,n2", "n3", "n4", "n5"]
