"""A job's environment is made from nothing: nothing the user has set, at home or beside the code, reaches a result."""

import os
from pathlib import Path

import pytest

from stemma.code import numeric
from stemma.code.closure import Closure
from stemma.execute import surroundings
from stemma.provenance.dsse import opened
from stemma.provenance.record import metrics_of
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


def run(yard: Yard) -> dict:
    """The record of a run of the first job."""
    status, error = yard.run("first")
    assert status == 0, error
    records = list((yard.store.path / "records").glob("*/*"))
    return opened(max(records, key=lambda file: file.stat().st_mtime_ns).read_bytes())


def stated(record: dict) -> dict[str, str]:
    """The variables that a record states."""
    return record["predicate"]["buildDefinition"]["internalParameters"]["environment"]


def test_nothing_but_what_is_listed(yard: Yard):
    yard.variables |= FOREIGN | {"CUDA_VISIBLE_DEVICES": "", "SLURM_JOB_ID": "17", "STEMMA_TIME_LIMIT": "5"}
    record = run(yard)
    seen = metrics_of(record)
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


def test_a_job_that_fetches_is_told_how_to_and_the_record_says_what_it_was_told(yard: Yard):
    other = yard.path / "llm/other.py"
    other.write_text("NETWORK = True\n")
    script = yard.path / "scripts/s/first.py"
    script.write_text(script.read_text().replace("from llm.middle", "from llm.other import NETWORK\nfrom llm.middle"))
    yard.variables |= FOREIGN
    record = run(yard)
    environment = metrics_of(record)["environment"]
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
    seen = metrics_of(run(yard))
    assert seen["marks"] == []
    assert not [path for path in seen["path"] if Path(path) in (yard.path, user)]


def test_settings_of_libraries_at_home_and_in_the_directory_are_not_read(yard: Yard, tmp_path: Path):
    script = yard.path / "scripts/s/first.py"
    look = (
        "    import matplotlib as m, numba as n\n    return {'w': m.rcParams['lines.linewidth'], 'o': n.config.OPT}\n"
    )
    script.write_text(script.read_text().replace(TELL, look))
    before = metrics_of(run(yard))
    for place in (yard.path, tmp_path / "home/.config/matplotlib", tmp_path / "config/matplotlib"):
        place.mkdir(parents=True, exist_ok=True)
        (place / "matplotlibrc").write_text("lines.linewidth: 9.5\n")
        (place / ".numba_config.yaml").write_text("opt: 0\n")
    yard.variables |= {"HOME": str(tmp_path / "home"), "MATPLOTLIBRC": str(yard.path), "NUMBA_OPT": "0"}
    yard.times = 3
    assert metrics_of(run(yard)) == before
    yard.variables |= {"XDG_CONFIG_HOME": str(tmp_path / "config")}
    yard.times = 4
    assert metrics_of(run(yard)) == before


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
