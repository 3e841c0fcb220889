"""What tests of several files share: one build of presets/tiny.yaml, which takes a minute."""

import compileall
import hashlib
import os
from pathlib import Path

import pytest
from hypothesis import settings
from xdist.scheduler import LoadFileScheduling

from tests.build import build_anew
from tests.stemma.conftest import jobs

# Before a kernel is imported: compiled code is kept under a name that changes with any of it (kernels/jit.py). What the
# engine keeps for its jobs is in the same place for all builds here, each of which has a store of its own.
HOUSE = Path(__file__).resolve().parents[1]
CODE = hashlib.sha256(b"".join(file.read_bytes() for file in sorted((HOUSE / "kernels").glob("*.py")))).hexdigest()
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
os.environ["STEMMA_CACHE"] = str(CACHE / "stemma" / "tests")
os.environ["NUMBA_CACHE_DIR"] = str(CACHE / "stemma" / "numba" / f"tests-{CODE[:16]}")
# A worker of pytest has one core; threads that wait for others in a loop take it from the other worker.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# Hundreds of processes are started here, and their environment may forbid them to keep what they compile.
for room in ("kernels", "llm", "stemma"):
    compileall.compile_dir(HOUSE / room, quiet=1)


TOGETHER = {"tests/cluster/": "cluster", "tests/llm/pretrain/engines/megatron/": "megatron"}

# No test asserts how long something takes, on a machine that others use too.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


class OneBuild(LoadFileScheduling):
    """With several workers a file's tests stay together, and so do all files that look at the one build of `tiny`, the
    one run of megatron's layouts, and all that use the one Slurm. Those come first, so that none ends up alone."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        for folder, scope in TOGETHER.items():
            if file.startswith(folder):
                return scope
        return "tiny" if "(tiny" in (HOUSE / file).read_text() else file

    def _assign_work_unit(self, node) -> None:
        for scope in {"tiny", *TOGETHER.values()} & self.workqueue.keys():
            self.workqueue.move_to_end(scope, last=False)
        super()._assign_work_unit(node)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    return OneBuild(config, log)


@pytest.fixture(autouse=True)
def stays():
    """A test that leaves the directory it began in would lead the next one astray."""
    before = Path.cwd()
    yield
    assert Path.cwd() == before


@pytest.fixture(scope="session")
def tiny(tmp_path_factory) -> Path:
    """One build of everything, from nothing. Leave it as it is, or bring it back."""
    directory = tmp_path_factory.mktemp("tiny")
    done = build_anew(directory)
    assert {how for _, how in jobs(done)} == {"run"}
    assert "Key figures" in done.stdout
    return directory
