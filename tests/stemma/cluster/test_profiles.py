"""profiles/generic and profiles/kubernetes on schedulers that are a few lines of Python: what a job asks for reaches
them whole or is refused in one line, and the toy is built through them. On a real Slurm: tests/cluster."""

import json
import os
import sys
from pathlib import Path

import pytest

from tests.golden import ROOT
from tests.stemma.conftest import ALL_RUN, Toy, jobs, planted

SBATCH = """#!{python}
import json, os, subprocess, sys
from pathlib import Path
here = Path({here!r})
with (here / "asked").open("a") as file:
    print(json.dumps(sys.argv[1:]), file=file)
assert not any(name.startswith("SLURM_") for name in os.environ)
if (here / "refusal").exists():
    sys.exit((here / "refusal").read_text())
number = len((here / "asked").read_text().splitlines())
log = next(word.partition("=")[2] for word in sys.argv if word.startswith("--output=")).replace("%j", str(number))
with open(log, "w") as file:
    status = subprocess.run(["sh", sys.argv[-1]], stdout=file, stderr=file).returncode
(here / f"state-{{number}}").write_text("FAILED" if status else "COMPLETED")
print(number)
"""
SQUEUE = """#!{python}
import sys
from pathlib import Path
number = next(word.partition("=")[2] for word in sys.argv if word.startswith("--jobs="))
print((Path({here!r}) / f"state-{{number}}").read_text())
"""
KUBECTL = """#!{python}
import json, subprocess, sys
from pathlib import Path
here = Path({here!r})
if sys.argv[1] == "get":
    print("found" + (here / f"state-{{sys.argv[3]}}").read_text())
    sys.exit()
if (here / "refusal").exists():
    sys.exit((here / "refusal").read_text())
job = json.load(sys.stdin)
with (here / "asked").open("a") as file:
    print(json.dumps(job), file=file)
name = f"stemma-{{len((here / 'asked').read_text().splitlines())}}"
container = job["spec"]["template"]["spec"]["containers"][0]
status = subprocess.run(container["command"], cwd=container["workingDir"], stdout=sys.stderr).returncode
(here / f"state-{{name}}").write_text("Failed" if status else "Complete")
print(name)
"""
COMMANDS = {"generic": {"sbatch": SBATCH, "squeue": SQUEUE}, "kubernetes": {"kubectl": KUBECTL}}
# What rule pretrain asks for with `nodes: 2` and `parallel: {data: 4}`, and what a profile adds for GPUs.
SPREAD = "mpi='srun', nodes=2, tasks=2, cpus_per_task=2, tasks_per_gpu=0, mem_mb=4000, on_nodes=2, time_limit=0"
GPUS = "gres='gpu:2', constraint='a100&ib', slurm_partition='gpu', qos='long', slurm_extra='--mail-type=FAIL --tmp=10G'"


class Yard(Toy):
    """The toy, and commands of a scheduler that runs what it is given at once."""

    def __init__(self, path: Path, kind: str):
        super().__init__(path / "toy")
        self.commands, self.kind = path / "commands", kind
        self.commands.mkdir()
        for name, text in COMMANDS[kind].items():
            (self.commands / name).write_text(text.format(python=sys.executable, here=str(self.commands)))
            (self.commands / name).chmod(0o755)

    @property
    def environment(self) -> dict[str, str]:
        environment = super().environment | {"PWD": str(ROOT), "SLURM_JOB_ID": "77"}
        return environment | {"PATH": f"{self.commands}:{os.environ['PATH']}"}

    def command(self, *arguments: str) -> list[str]:
        soon = ["--seconds-between-status-checks", "1"]
        quiet = ["--quiet", "rules", "host", "reason"]
        options = ["--profile", str(ROOT / "profiles" / self.kind), "--latency-wait", "5", *soon, *quiet]
        return [sys.executable, "-m", "snakemake", *arguments, *options]

    def first_asks_for(self, resources: str) -> None:
        self.replace("Snakefile", '    log:\n        "results/logs/first.log",\n', FIRST.format(resources))

    def asked(self) -> list:
        file = self.commands / "asked"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def refuses(self, words: str) -> None:
        (self.commands / "refusal").write_text(words)

    def only_line(self, *arguments: str) -> str:
        """All that a failed run has said of its jobs, between what it set out to do and what is kept."""
        done = self.snakemake(*arguments)
        assert done.returncode == 1, done.stderr
        (line,) = [line for line in done.stderr.splitlines() if line.startswith(("error:", "warning:", "waiting:"))]
        return line


FIRST = '    log:\n        "results/logs/first.log",\n    resources:\n        {},\n'


@pytest.fixture
def yard(tmp_path: Path, request) -> Yard:
    (tmp_path / "toy").mkdir()
    planted(tmp_path / "toy")
    return Yard(tmp_path, request.param)


both = pytest.mark.parametrize("yard", COMMANDS, indirect=True)
generic = pytest.mark.parametrize("yard", ["generic"], indirect=True)
kubernetes = pytest.mark.parametrize("yard", ["kubernetes"], indirect=True)


@both
def test_the_toy_is_built(yard: Yard):
    done = yard.snakemake()
    assert done.returncode == 0, done.stderr
    assert jobs(done) == ALL_RUN
    assert len(yard.asked()) == 3


@generic
def test_all_that_pretraining_on_two_nodes_asks_for_reaches_sbatch(yard: Yard):
    yard.first_asks_for(f"{SPREAD}, {GPUS}")
    assert yard.snakemake("results/parts/manifest.json").returncode == 0
    asked = set(yard.asked()[0])
    assert {"--nodes=2", "--ntasks=2", "--cpus-per-task=2", "--gres=gpu:2", "--constraint=a100&ib"} <= asked
    assert {"--partition=gpu", "--qos=long", "--mail-type=FAIL", "--tmp=10G", "--mem=4150", "--job-name=first"} <= asked
    assert not {word for word in asked if word.startswith(("--gpus", "--ntasks-per-gpu"))}


@kubernetes
def test_what_a_pod_can_have_reaches_it(yard: Yard):
    yard.first_asks_for("gres='gpu:2', constraint='pool=a100,zone=b', mem_mb=4000, runtime=30")
    assert yard.snakemake("results/parts/manifest.json").returncode == 0
    spec = yard.asked()[0]["spec"]
    assert spec["activeDeadlineSeconds"] == 1800
    assert spec["template"]["spec"]["nodeSelector"] == {"pool": "a100", "zone": "b"}
    limits = spec["template"]["spec"]["containers"][0]["resources"]["limits"]
    assert limits == {"cpu": "1", "memory": "4150M", "nvidia.com/gpu": "2"}


@pytest.mark.parametrize(
    ("yard", "resources", "words"),
    [
        ("generic", "colour='red'", "profiles/generic/submit does not know what colour is; add it there"),
        ("kubernetes", "colour='red'", "profiles/kubernetes/submit does not know what colour is; add it there"),
        ("kubernetes", SPREAD, "a job here is one pod, and ranks on several nodes are started by Slurm; set pretrain"),
        ("kubernetes", "qos='long'", "profiles/kubernetes/submit does not know what qos is; add it there"),
        ("kubernetes", "gres='gpu:a100:2'", "gres gpu:a100:2: only gpu:<number> is understood"),
        ("kubernetes", "constraint='a100'", "constraint a100: it must be label=value, a label of nodes"),
    ],
    indirect=["yard"],
)
def test_what_cannot_be_passed_on_is_refused(yard: Yard, resources, words):
    yard.first_asks_for(resources)
    line = yard.only_line()
    assert line.startswith(f"error: first results/parts: the scheduler refuses it: {words}")
    assert line.endswith("; change what first asks for")
    assert yard.asked() == []


@generic
def test_what_sbatch_refuses_is_said_and_not_tried_again(yard: Yard):
    yard.refuses("sbatch: error: Memory specification can not be satisfied\nsbatch: error: Batch job ...\n")
    assert yard.only_line() == (
        "error: first results/parts: the scheduler refuses it: Memory specification can not be satisfied; "
        "change what first asks for"
    )
    assert len(yard.asked()) == 1


@kubernetes
def test_what_kubectl_refuses_is_said(yard: Yard):
    yard.refuses('Error from server (Forbidden): jobs.batch "stemma-x" is forbidden: exceeded quota: cpu\n')
    assert "refuses it: Error from server (Forbidden): jobs.batch" in yard.only_line()


@kubernetes
def test_a_script_that_fails_says_why_at_each_attempt(yard: Yard):
    yard.replace("llm/deep/low.py", "return text.upper()", "raise OSError('on purpose')")
    done = yard.snakemake("--retries", "1")
    lines = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert len(lines) == 2, done.stderr
    assert all("on purpose" in line for line in lines)
    assert lines[0].endswith("tried again, attempt 2 of 2")


@generic
@pytest.mark.parametrize("options", [(), ("--sdm", "env-modules")])
def test_a_job_whose_runner_never_began_says_the_last_of_its_log(yard: Yard, options):
    """What begins instead: the ticket's command line; a snakemake, where the node needs one."""
    full = "raise OSError(28, 'No space left on device', '/home/me/.cache/a')"
    yard.replace("Snakefile", "rule all:", f"if not workflow.is_main_process:\n    {full}\n\nrule all:")
    yard.replace("Snakefile", '"python -m stemma', f'"python -c \\"{full}\\" && python -m stemma')
    line = yard.only_line("--retries", "0", *options)
    assert "it ended, and last said: " in line
    assert "No space left on device: '/home/me/.cache/a'" in line
    assert "; log .snakemake/generic_logs/first-1.log (job 1); " in line
