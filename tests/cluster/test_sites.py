"""What sites do in their own way, on a real Slurm: full home directories, snakemake inside a job, environment modules,
containers, messages by mail, disks of nodes."""

import os
import shlex
import sys
from pathlib import Path

import pytest

from tests.cluster.slurm import MAIL, wait_for
from tests.cluster.toy import OnSlurm
from tests.golden import ROOT

pytestmark = [pytest.mark.cluster, pytest.mark.slow]
MODULES = Path("/usr/share/modules/init/bash")  # of Debian's environment-modules
ON_NODE = ("--sdm", "env-modules")  # a snakemake goes along
LIKE_DEFAULT = ("--shared-fs-usage", "input-output", "persistence", "sources", "software-deployment")
BUILT = "!tnatsnocOLLEHOLLEHOLLEHOLLEH"


def letters(toy: OnSlurm) -> str:
    """What the toy has made."""
    return toy.read("results/final.txt").replace("\n", "")


@pytest.mark.parametrize("options", [(), (*ON_NODE, *LIKE_DEFAULT)])
def test_a_full_cache_in_the_home_directory_harms_no_job(cluster, toy: OnSlurm, tmp_path, options):
    cache = tmp_path / "home/.cache"
    cache.mkdir(parents=True)
    for node in cluster.NODES:
        cluster.kill_node(node)
        cluster.start_node(node, f"mount -t tmpfs -o size=4k full {cache} && yes > {cache}/full 2>/dev/null; true")
    wait_for(cluster.all_idle, "both nodes to be idle")
    try:
        full = cluster.run("srun", "cp", "/etc/passwd", f"{cache}/more", check=False)
        assert "No space left on device" in full.stderr
        with toy.running(*options, HOME=str(tmp_path / "home")) as run:
            assert run.end() == 0, "\n".join(run.lines)
    finally:
        for node in cluster.NODES:
            cluster.kill_node(node)
    assert letters(toy) == BUILT


def controller(cluster, toy: OnSlurm) -> str:
    """Submit the toy's snakemake; the number of its job."""
    script = f"#!/bin/sh\nexec {shlex.join(toy.command())}\n"
    (toy.path / "controller.sh").write_text(script)
    options = ["--mem=600", "--cpus-per-task=1", "--time=60", "--output=controller.log", "--signal=B:INT@120"]
    return cluster.run("sbatch", "--parsable", *options, "controller.sh").stdout.strip()


def test_snakemake_runs_in_a_job_itself(cluster, toy: OnSlurm):
    number = controller(cluster, toy)
    wait_for(lambda: state(cluster, number) not in ("PENDING", "RUNNING", "COMPLETING"), "it to end", 180)
    assert state(cluster, number) == "COMPLETED", toy.read("controller.log")
    assert letters(toy) == BUILT
    own = cluster.run("squeue", "-h", "--states=all", "-o", "%A %m %l", "-j", ",".join(toy.submitted())).stdout
    assert [line.split()[1:] for line in own.splitlines()] == [["1150M", "1:00:00"]] * 3


def test_the_end_of_its_time_is_like_ctrl_c(cluster, toy: OnSlurm):
    """What --signal does two minutes before; the same job again goes on from there."""
    toy.first_does("import time; time.sleep(100)")
    number = controller(cluster, toy)
    wait_for(lambda: toy.submitted() and state(cluster, toy.submitted()[0]) == "RUNNING", "a job to run", 120)
    cluster.run("scancel", "--signal=INT", "--batch", number)
    wait_for(lambda: not cluster.run("squeue", "-h").stdout, "all to end", 120)
    assert state(cluster, toy.submitted()[0]) == "CANCELLED"
    assert "the same command goes on from there" in toy.read("controller.log")
    toy.replace("llm/deep/low.py", "time.sleep(100)", "time.sleep(0)")
    again = controller(cluster, toy)
    wait_for(lambda: state(cluster, again) == "COMPLETED", "the second to end", 180)


def state(cluster, number: str) -> str:
    return cluster.run("squeue", "-h", "--states=all", "-o", "%T", "-j", number).stdout.strip()


@pytest.mark.skipif(not MODULES.exists(), reason="apt-get install environment-modules")
def test_environment_modules_of_a_rule_are_loaded_on_the_node(toy: OnSlurm, tmp_path_factory):
    site = tmp_path_factory.mktemp("site")
    (site / "tool/bin").mkdir(parents=True)
    (site / "tool/bin/of-the-site").write_text("#!/bin/sh\necho from the module\n")
    (site / "tool/bin/of-the-site").chmod(0o755)
    (site / "modules/tool").mkdir(parents=True)
    (site / "modules/tool/1").write_text(f"#%Module\nprepend-path PATH {site}/tool/bin\n")
    toy.first_does("import subprocess; text = subprocess.check_output('of-the-site', text=True)")
    log = '    log:\n        "results/logs/first.log",\n'
    toy.replace("Snakefile", log, f'{log}    envmodules:\n        "tool/1",\n')
    environment = {"BASH_ENV": str(MODULES), "MODULEPATH": str(site / "modules")}
    with toy.running(**environment) as run:
        assert run.end() == 1
    assert "No such file or directory: 'of-the-site'" in run.said("error:")[0]
    with toy.running(*ON_NODE, **environment) as run:
        assert run.end() == 0, "\n".join(run.lines)
    assert "FROM THE MODULE" in toy.read("results/joined.txt")


def test_a_container_of_a_rule_is_entered_on_the_node(toy: OnSlurm, tmp_path_factory):
    """By tests/cluster/apptainer.py, as Debian has no apptainer. The image alone has the file, and sees Python and the
    engine where they are bound."""
    site = tmp_path_factory.mktemp("site")
    (site / "image/opt/site").mkdir(parents=True)
    (site / "image/opt/site/word").write_text("from the image\n")
    (site / "bin").mkdir()
    (site / "bin/apptainer").write_text(
        f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m tests.cluster.apptainer "$@"\n'
    )
    (site / "bin/apptainer").chmod(0o755)
    toy.first_does("text = open('/opt/site/word').read()")
    log = '    log:\n        "results/logs/first.log",\n'
    toy.replace("Snakefile", log, f'{log}    container:\n        "{site}/image"\n')
    path = {"PATH": f"{site}/bin:{os.environ['PATH']}"}
    with toy.running("--sdm", "apptainer", **path) as run:
        assert run.end() == 1
    assert "python: command not found" in run.said("error:")[0]
    bound = f"--bind {ROOT} --bind {sys.base_prefix}"
    with toy.running("--sdm", "apptainer", "--apptainer-args", bound, **path) as run:
        assert run.end() == 0, "\n".join(run.lines)
    assert "FROM THE IMAGE" in toy.read("results/joined.txt")
    assert len(toy.submitted()) == 3


def test_slurm_sends_a_message_when_a_job_fails(toy: OnSlurm):
    toy.first_does("raise OSError('on purpose')")
    MAIL.unlink(missing_ok=True)
    with toy.running("--default-resources", "slurm_extra='--mail-type=FAIL --mail-user=me@site.test'") as run:
        assert run.end() == 1
    wait_for(MAIL.exists, "the message")
    assert "Failed" in MAIL.read_text()
    assert "me@site.test" in MAIL.read_text()


def test_temporary_files_on_a_disk_that_each_node_has_for_itself(cluster, toy: OnSlurm, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    for node in cluster.NODES:
        cluster.kill_node(node)
        cluster.start_node(node, f"mount -t tmpfs -o size=1m {node} {disk}")
    wait_for(cluster.all_idle, "both nodes to be idle")
    toy.first_does("import os, pathlib; text = pathlib.Path(os.environ['TMPDIR']).parent.name")
    try:
        with toy.running(STEMMA_TMPDIR=str(disk)) as run:
            assert run.end() == 0, "\n".join(run.lines)
    finally:
        for node in cluster.NODES:
            cluster.kill_node(node)
    assert "DISK" in toy.read("results/joined.txt")
