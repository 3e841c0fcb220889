"""Machine code is kept between jobs of one store, by the code it was made of; what is damaged is compiled again."""

import os
import shutil
from pathlib import Path

import pytest

from stemma.provenance.trust import shaped
from tests.stemma.store.test_full_disks import fill, tmpfs
from tests.stemma.yard import Yard, how_of, make_yard

FAST = {
    "llm/fast/__init__.py": "",
    "llm/fast/jit.py": "import numba\n\njit = numba.njit(cache=True)\n",
    "llm/fast/inner.py": "from llm.fast.jit import jit\n\n\n@jit\ndef inner(n):\n    return n + 1\n",
    "llm/fast/outer.py": (
        "from llm.fast.inner import inner\nfrom llm.fast.jit import jit\n\n\n"
        "@jit\ndef outer(n):\n    return inner(n) * 2\n"
    ),
}
CALL = """
    found = outer(float(times) if times > 100 else times)
    return {'found': found, 'from_cache': sum(outer.stats.cache_hits.values())}
"""


@pytest.fixture
def yard(tmp_path: Path) -> Yard:
    """One whose first script calls compiled code."""
    yard = make_yard(tmp_path)
    for name, text in FAST.items():
        (yard.path / name).parent.mkdir(exist_ok=True)
        (yard.path / name).write_text(text)
    script = yard.path / "scripts/s/first.py"
    text = script.read_text().replace("    return {'times': times}\n", CALL)
    script.write_text(text.replace("from llm.middle", "from llm.fast.outer import outer\nfrom llm.middle"))
    return yard


def found(yard: Yard, times: int) -> tuple[float, bool]:
    """What the first job found under this number, and whether its machine code was kept from an earlier one."""
    yard.times = times
    before = set((yard.store.path / "records").glob("*/*"))
    status, error = yard.run("first")
    assert (status, how_of(error)) == (0, "run"), error
    [new] = set((yard.store.path / "records").glob("*/*")) - before
    metrics = shaped(new.read_bytes()).metrics
    return metrics["found"], bool(metrics["from_cache"])


def packs(yard: Yard) -> list[Path]:
    return sorted((yard.store.path / "cache/numba").glob("*/*"))


def test_the_next_job_compiles_nothing_until_code_changes_that_is_called(yard: Yard):
    assert found(yard, 2) == (6, False)
    assert found(yard, 3) == (8, True)
    assert found(yard, 101) == (204, False)  # another type
    assert found(yard, 102) == (206, True)
    assert found(yard, 4) == (10, True)
    inner = yard.path / "llm/fast/inner.py"
    inner.write_text(inner.read_text().replace("n + 1", "n + 2"))
    assert found(yard, 5) == (14, False)
    inner.write_text(inner.read_text().replace("n + 2", "n + 1"))
    assert found(yard, 6) == (14, True)


@pytest.mark.parametrize("damage", ["cut off", "flipped", "empty"])
def test_damaged_code_is_none(yard: Yard, damage: str):
    found(yard, 2)
    for pack in packs(yard):
        data = bytearray(pack.read_bytes())
        data[-1] ^= 1
        pack.write_bytes({"cut off": data[:-20], "flipped": data, "empty": b""}[damage])
    assert found(yard, 3) == (8, False)
    assert found(yard, 4) == (10, True)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_code_of_another_user_is_not_executed(yard: Yard):
    found(yard, 2)
    for pack in packs(yard):
        os.chown(pack, 65534, 65534)
    assert found(yard, 3) == (8, False)
    os.chown(yard.store.path / "cache", 65534, 65534)
    assert found(yard, 4) == (10, False)
    assert found(yard, 5) == (12, True)
    assert (yard.store.path / "cache-0").is_dir()


def test_a_job_that_fails_leaves_nothing(yard: Yard):
    script = yard.path / "scripts/s/first.py"
    text = script.read_text()
    script.write_text(text.replace("    return {'found'", "    raise ValueError('broken')\n    return {'found'"))
    assert yard.run("first")[0] == 2
    assert packs(yard) == []
    script.write_text(text)
    assert found(yard, 2) == (6, False)


def test_no_room_for_it_is_a_warning(yard: Yard, tmp_path: Path):
    with tmpfs(tmp_path / "cache", "200k") as cache:
        yard.variables["STEMMA_CACHE"] = str(cache)
        fill(cache, 0)
        status, error = yard.run("first")
        assert status == 0
        assert error.startswith("warning: compiled code is not kept for the next job: no space left on the device; ")
        (cache / "filler").unlink()
        assert found(yard, 3) == (8, False)
        assert found(yard, 4) == (10, True)


def test_gc_takes_what_no_job_has_used_for_long(yard: Yard):
    found(yard, 2)
    modules = len(list((yard.store.path / "cache/numba").iterdir()))
    assert modules == 2
    assert "compiled code" not in yard.ask("gc")
    assert f"compiled code of {modules} modules went" in yard.ask("gc", "--scratch-days", "0")
    assert packs(yard) == []
    shutil.rmtree(yard.path / "results/parts")
    assert found(yard, 3) == (8, False)
