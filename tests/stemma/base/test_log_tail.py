"""The one line of a log that explains a failure, among all that Snakemake says around it."""

from pathlib import Path

import pytest

from stemma.base.log_tail import telling

PARAMS = "{'a': '" + "b" * 3000 + "'}"
BEFORE = """
Select jobs to execute...
Execute 1 jobs...
[Sat Nov 28 14:42:35 2026]
localrule first:
    input: text.txt
    reason: Forced execution
Activating singularity image /site/image
"""
AFTER = f"""
RuleException:
CalledProcessError in file "/place/Snakefile", line 26:
Command ' apptainer exec image bash -c 'python -m stemma run s.py {PARAMS}'' returned non-zero exit status 127.
[Sat Nov 28 14:42:35 2026]
Error in rule first:
    message: None
    log: results/logs/first.log (check log file(s) for error details)
    shell:
        python -m stemma run s.py --params {PARAMS}
        (command exited with non-zero exit code)
Shutting down, this might take some time.
Exiting because a job execution failed. Look above for error messages
WorkflowError:
At least one job did not complete successfully.
srun: error: n1: task 0: Exited with exit code 1
Error in rule first:
    shell:
        python -m stemma run s.py --params {PARAMS}
        (command exited with non-zero exit code)
WorkflowError:
At least one job did not complete successfully.
"""


@pytest.mark.parametrize(
    "said", ["bash: line 1: python: command not found", "OSError: [Errno 28] No space left on device"]
)
def test_what_was_said_before_snakemakes_own_words(tmp_path: Path, said: str):
    (tmp_path / "log").write_text(f"{BEFORE}{said}{AFTER}")
    assert telling(tmp_path / "log") == said


def test_a_log_that_explains_nothing(tmp_path: Path):
    (tmp_path / "log").write_text("Select jobs to execute...\nShutting down, this might take some time.\n")
    assert telling(tmp_path / "log") is None
    assert telling(tmp_path / "no-such-log") is None
