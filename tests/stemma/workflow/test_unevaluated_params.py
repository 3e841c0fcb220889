"""A plan costs what it must: params are not evaluated for it, and yet all is checked before the first job."""

from tests.stemma.conftest import Toy, jobs


def test_params_are_evaluated_once_for_a_plan(built: Toy):
    """By the engine, for the key; Snakemake would do it again for every job."""
    counted = 'lambda w: [2, open("calls.txt", "a").write("x")][0]'
    built.replace("Snakefile", 'times=config["times"]', f"times={counted}")
    for command in (["-n"], []):
        (built.path / "calls.txt").unlink(missing_ok=True)
        done = built.snakemake(*command)
        assert "Nothing to be done" in done.stdout + done.stderr
        assert built.read("calls.txt") == "x"


def test_what_is_wrong_with_code_is_said_before_any_job(toy: Toy):
    toy.replace("scripts/s/third.py", "def main", "hidden = __import__('json')\n\n\ndef main")
    for command in (["-n"], []):
        done = toy.snakemake(*command)
        assert done.returncode != 0
        assert jobs(done) == []
        [line] = [line for line in (done.stdout + done.stderr).splitlines() if "error: " in line]
        assert line.startswith("error: scripts/s/third.py:5: __import__() hides from the engine what it loads")


def test_a_rule_s_conda_environment_is_still_looked_for(toy: Toy):
    toy.replace("Snakefile", "rule third:\n", 'rule third:\n    conda: "nowhere.yaml"\n')
    assert toy.snakemake("-n", "--sdm", "conda").returncode != 0
    assert toy.snakemake("-n").returncode == 0
