"""A job's environment is made from nothing: nothing the user has set, at home or beside the code, reaches a result."""

import os
import socket
import subprocess
from pathlib import Path

import pytest

from stemma.code import numeric
from stemma.code.closure import Closure
from stemma.execute import surroundings
from stemma.provenance.record import Record
from stemma.provenance.trust import shaped
from tests.stemma.yard import Yard, make_yard

OWN = {
    "HOME", "TMPDIR", "PYTHONPATH", "STEMMA_SCRATCH", "STEMMA_LOGS", "NUMBA_CACHE_DIR", "NUMBA_CACHE_LOCATOR_CLASSES",
}  # fmt: skip
TELL = """
    import os, sys
    return {'environment': dict(os.environ), 'here': os.listdir('.'), 'home': os.listdir(os.environ['HOME']),
            'path': sys.path, 'marks': [name for name in sys.modules if name.startswith('mark')]}
"""
# A variable of each kind that changed results before: processor, threads, plots, Python, locale; and a secret.
FOREIGN = {
    "ATEN_CPU_CAPABILITY": "default", "MKL_CBWR": "COMPATIBLE", "ONEDNN_MAX_CPU_ISA": "SSE41", "OMP_NUM_THREADS": "7",
    "MATPLOTLIBRC": "rc", "PYTHONOPTIMIZE": "1", "PYTHONHASHSEED": "5", "LC_ALL": "POSIX", "LANG": "de_DE.UTF-8",
    "POLARS_FORCE_NEW_STREAMING": "1", "XDG_CONFIG_HOME": "config", "AWS_SECRET_ACCESS_KEY": "s3cr3t",
    "RANK": "3", "WORLD_SIZE": "4", "PIP_INDEX_URL": "https://user:s3cr3t@index.test/", "HTTPS_PROXY": "http://proxy.test",
}  # fmt: skip


@pytest.fixture
def yard(tmp_path: Path) -> Yard:
    """One whose first script tells what it sees."""
    yard = make_yard(tmp_path / "yard")
    script = yard.path / "scripts/s/first.py"
    script.write_text(script.read_text().replace("    return {'times': times}\n", TELL))
    return yard


def run(yard: Yard) -> Record:
    """The record of a run of the first job."""
    status, error = yard.run("first")
    assert status == 0, error
    records = list((yard.store.path / "records").glob("*/*"))
    return shaped(max(records, key=lambda file: file.stat().st_mtime_ns).read_bytes())


def stated(record: Record) -> dict[str, str]:
    """The variables that a record states."""
    return record.environment


def test_nothing_but_what_is_listed(yard: Yard):
    yard.variables |= FOREIGN | {"CUDA_VISIBLE_DEVICES": "", "SLURM_JOB_ID": "17", "STEMMA_TIME_LIMIT": "5"}
    record = run(yard)
    seen = record.metrics
    given = surroundings.given(yard.job("first"))
    passed = surroundings.passed(Closure({}, {}, {}, {}, {}), yard.environment())
    assert {"CUDA_VISIBLE_DEVICES", "SLURM_JOB_ID", "STEMMA_TIME_LIMIT"} < passed.keys()
    environment = seen["environment"]
    assert environment.keys() == given.keys() | passed.keys() | OWN
    assert given.items() <= environment.items()
    assert (seen["here"], seen["home"]) == ([], [])
    assert stated(record).keys() == environment.keys() - OWN
    assert stated(record)["SLURM_JOB_ID"] == "17"
    assert stated(record)["PATH"].startswith("sha256:")
    assert "s3cr3t" not in str(record)
    assert "proxy.test" not in str(record)


@pytest.mark.parametrize("named", ["{}", "$OF_THE_NODE/disk"])
def test_temporary_files_lie_on_a_disk_of_the_node(yard: Yard, tmp_path: Path, named: str):
    """They go with the job, with what dead jobs of this host have left there, and reach no key."""
    disk = tmp_path / "disk"
    left = disk / f"{socket.gethostname()}-{dead()}-x"
    left.mkdir(parents=True)
    yard.variables |= {"STEMMA_TMPDIR": named.format(disk), "OF_THE_NODE": str(tmp_path)}
    script = yard.path / "scripts/s/first.py"
    write = "import tempfile\n    tempfile.mkstemp()[0]\n    (parts / 'c').write_text('')\n    "
    script.write_text(script.read_text().replace("return {'environment'", f"{write}return {{'environment'"))
    record = run(yard)
    assert Path(record.metrics["environment"]["TMPDIR"]).parent == disk
    assert list(disk.iterdir()) == []
    assert "TMPDIR" not in stated(record)
    yard.variables["STEMMA_TMPDIR"] = str(tmp_path / "nowhere")
    assert yard.run("first")[0] == 0, "a hit needs none"


def dead() -> int:
    """The number of a process that has ended."""
    child = subprocess.Popen(["true"])
    child.wait()
    return child.pid


def test_a_disk_that_is_not_there_is_said(yard: Yard, tmp_path: Path):
    yard.variables["STEMMA_TMPDIR"] = str(tmp_path / "nowhere")
    status, error = yard.run("first")
    assert status != 0
    assert "STEMMA_TMPDIR is" in error
    assert "which is no directory here; name one that every node has, or unset it" in error


@pytest.mark.parametrize("variables", [{"STEMMA_TMPDIR": "$NOWHERE_SET"}, {"STEMMA_TMPDIR": "/", "STEMMA_NODES": "2"}])
def test_where_no_disk_of_the_node_serves_the_store_does(yard: Yard, variables):
    yard.variables |= variables
    assert "results/.store/tmp/" in run(yard).metrics["environment"]["TMPDIR"]


def test_a_job_that_fetches_is_told_how_to_and_the_record_says_what_it_was_told(yard: Yard):
    other = yard.path / "llm/other.py"
    other.write_text("NETWORK = True\n")
    script = yard.path / "scripts/s/first.py"
    script.write_text(script.read_text().replace("from llm.middle", "from llm.other import NETWORK\nfrom llm.middle"))
    yard.variables |= FOREIGN
    record = run(yard)
    environment = record.metrics["environment"]
    assert environment["PIP_INDEX_URL"] == "https://index.test/"  # metrics are recorded without credentials
    assert environment["HTTPS_PROXY"] == FOREIGN["HTTPS_PROXY"]
    assert environment["HOME"] == os.environ["HOME"]
    assert environment["XDG_CACHE_HOME"] == "./results/.store/cache"
    assert "AWS_SECRET_ACCESS_KEY" not in environment
    assert {stated(record)[name] for name in ("PIP_INDEX_URL", "HTTPS_PROXY", "HOME")} == {"(set)"}


def test_code_beside_the_code_is_not_executed(yard: Yard, tmp_path: Path):
    """At the root, in the run's directory, beside the script, among the user's packages; by name and by .pth."""
    base, version = tmp_path / "base", f"python{os.sys.version_info.major}.{os.sys.version_info.minor}"
    user = base / "lib" / version / "site-packages"
    user.mkdir(parents=True)
    for number, folder in enumerate((yard.path, yard.path / "scripts/s", yard.path / "llm", user)):
        (folder / f"mark{number}.py").write_text("")
        for name in ("sitecustomize", "usercustomize", "json", "argparse"):
            (folder / f"{name}.py").write_text(f"import mark{number}\n")
        (folder / "more.pth").write_text(f"import mark{number}\n")
    for name in ("json", "argparse"):  # the engine itself must start
        (yard.path / f"{name}.py").unlink()
    yard.variables |= {"PYTHONUSERBASE": str(base)}
    seen = run(yard).metrics
    assert seen["marks"] == []
    assert not [path for path in seen["path"] if Path(path) in (yard.path, user)]


def test_settings_of_libraries_at_home_and_in_the_directory_are_not_read(yard: Yard, tmp_path: Path):
    script = yard.path / "scripts/s/first.py"
    look = (
        "    import matplotlib as m, numba as n\n    return {'w': m.rcParams['lines.linewidth'], 'o': n.config.OPT}\n"
    )
    script.write_text(script.read_text().replace(TELL, look))
    before = run(yard).metrics
    for place in (yard.path, tmp_path / "home/.config/matplotlib", tmp_path / "config/matplotlib"):
        place.mkdir(parents=True, exist_ok=True)
        (place / "matplotlibrc").write_text("lines.linewidth: 9.5\n")
        (place / ".numba_config.yaml").write_text("opt: 0\n")
    yard.variables |= {"HOME": str(tmp_path / "home"), "MATPLOTLIBRC": str(yard.path), "NUMBA_OPT": "0"}
    yard.times = 3
    assert run(yard).metrics == before
    yard.variables |= {"XDG_CONFIG_HOME": str(tmp_path / "config")}
    yard.times = 4
    assert run(yard).metrics == before


def test_what_selects_gpus_is_in_the_class(monkeypatch: pytest.MonkeyPatch):
    trained = Closure({}, {}, {"torch": "2"}, {}, {})
    for name in numeric.SELECTING:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(numeric, "gpus", lambda: "NVIDIA A100, NVIDIA H100")
    both = numeric.class_of(trained, "native")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    assert numeric.class_of(trained, "native") != both
    monkeypatch.setattr(numeric, "gpus", lambda: "NVIDIA H100")
    one = numeric.class_of(trained, "native")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    assert numeric.class_of(trained, "native") == one
    monkeypatch.setenv("NCCL_ALGO", "Tree")
    assert numeric.class_of(trained, "native") != one


def test_every_variable_that_may_pass_is_passed():
    every = dict.fromkeys((*surroundings.PASSED, "SLURM_JOB_ID", "NCCL_DEBUG"), "x")
    fetching = dict.fromkeys((*surroundings.FETCHING, "PIP_INDEX_URL"), "x")
    plain, network = Closure({}, {}, {}, {}, {}), Closure({}, {}, {}, {}, {}, network=True)
    assert surroundings.passed(plain, every | fetching | {"OTHER": "x"}) == every
    assert surroundings.passed(network, every | fetching | {"OTHER": "x"}) == every | fetching
