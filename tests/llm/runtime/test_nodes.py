"""What Slurm says, read; what explains a failure over several nodes. tests/cluster/test_nodes.py does it for real."""

import pytest

from llm.errors import InputError
from llm.runtime import slurm
from llm.runtime.group import Outcome
from llm.runtime.nodes import numbers, result_of, step
from llm.training.engines.layout import Layout

KILLED = "n2: task 1: Killed"
ENDED = [KILLED, "forcing job termination", "n1: task 0: Killed"]
BROKEN = Outcome(None, RuntimeError("rank 0: RuntimeError: Connection closed by peer"), 1)
GOOD = Outcome({"loss": 1.0}, None, 2)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("29:41", 1781), ("1:00:00", 3600), ("2-01:00:05", 176405), ("0:00", 0), ("UNLIMITED", float("inf"))],
)
def test_time_left_as_squeue_writes_it(text: str, seconds: float) -> None:
    assert slurm.seconds(text) == seconds


def test_numbers_of_tasks() -> None:
    assert numbers("0") == [0]
    assert numbers("0-2,5,7-8") == [0, 1, 2, 5, 7, 8]


def test_rank_0_answers_if_all_did_well() -> None:
    assert result_of([GOOD, Outcome(None, None, 1)], []) == {"loss": 1.0}


@pytest.mark.parametrize(
    ("outcomes", "said", "line"),
    [
        ([BROKEN, None], ENDED, "^rank 1 on node n2: Killed; run again$"),
        ([None, None], ENDED, "^rank 1 on node n2: Killed; run again$"),
        ([BROKEN, None], ["n1: task 0: Exited with exit code 1", *ENDED[1:]], "^rank 0: RuntimeError: Connection"),
        ([BROKEN, Outcome(None, ZeroDivisionError("first"), 0)], [], "^first$"),
        ([BROKEN, Outcome(None, InputError("a bad input"), 3)], [], "^a bad input$"),
        (
            [None, None],
            ["Unable to create step for job 7: busy"],
            "without a word, srun: Unable to create step for job 7",
        ),
        ([GOOD, None], [], "^rank 1 ended without a word, srun: nothing; run again$"),
    ],
)
def test_what_explains_a_failure(outcomes: list, said: list[str], line: str) -> None:
    with pytest.raises(Exception, match=line):
        result_of(outcomes, said)


def test_ranks_fill_a_node_before_the_next(tmp_path) -> None:
    command = step(2, 8, 3, tmp_path)
    assert command[:5] == ["srun", "--nodes=2", "--ntasks=8", "--ntasks-per-node=4", "--cpus-per-task=3"]
    assert "--distribution=block" in command


def test_nodes_share_the_ranks_evenly() -> None:
    assert Layout(data=4).ranks_per_node(2) == 2
    with pytest.raises(InputError, match=r"^pretrain.nodes: 3 nodes cannot share the 4 ranks"):
        Layout(data=4).ranks_per_node(3)


def test_commands_of_slurm_that_are_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(InputError, match="^Slurm job 7: squeue is not on PATH"):
        slurm.node_count("7")
