"""Staleness, seen from outside: the real Snakemake decides what to run, the toy's artifacts are compared by content."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.stemma.conftest import ALL_RUN, Toy, jobs, planted

FINAL = "!tnatsnoc\nOLLEH\nOLLEH\nOLLEH\nOLLEH"


def test_first_build_then_nothing(built: Toy):
    assert built.read("results/final.txt") == FINAL
    done = built.snakemake()
    assert jobs(done) == []
    assert "Nothing to be done" in done.stderr


def test_touching_everything_runs_nothing(built: Toy):
    for file in built.path.rglob("*"):
        if ".snakemake" not in file.parts:
            os.utime(file, (time.time() + 5, time.time() + 5))
    assert built.build() == []


def test_comment_and_docstring_two_imports_deep_run_nothing(built: Toy):
    built.replace("llm/deep/low.py", '"""Lowest."""', '"""The lowest of all."""\n\n# a comment')
    built.replace("llm/deep/low.py", '"""Louder."""', '"""Much louder."""  # really')
    assert built.build() == []


def test_unused_config_key_runs_nothing(built: Toy):
    assert built.build("--config", "unused=2") == []


def test_refactor_with_equal_bytes_runs_once_then_hits(built: Toy):
    built.replace("llm/deep/low.py", "return text.upper()", "louder = text.upper()\n    return louder")
    assert built.build() == [("first", "run"), ("second", "hit"), ("third", "hit")]
    assert built.build() == []


def test_real_change_runs_exactly_what_is_stale(built: Toy):
    built.replace("llm/other.py", "'!'", "'?'")
    assert built.build() == [("second", "run"), ("third", "run")]
    assert built.read("results/final.txt").startswith("?")
    assert built.build() == []


def test_revert_gives_hits_only(built: Toy):
    built.replace("llm/deep/low.py", "upper", "title")
    assert built.build() == ALL_RUN
    built.replace("llm/deep/low.py", "title", "upper")
    assert built.build() == [("first", "hit"), ("second", "hit"), ("third", "hit")]
    assert built.read("results/final.txt") == FINAL


def test_changed_parameter_and_changed_source_run(built: Toy):
    assert built.build("--config", "times=3") == ALL_RUN
    assert [how for _, how in built.build()] == ["hit"] * 3
    (built.path / "text.txt").write_text("other\n")
    assert built.build() == ALL_RUN


@pytest.mark.parametrize("deep", [False, True])
def test_failed_rebuild_is_not_forgotten(built: Toy, deep: bool):
    """The stale job fails; the next run takes it up again, and with it all that follows."""
    if deep:
        built.replace("llm/deep/low.py", "return text.upper()", "raise ValueError('broken')")
    else:
        built.replace("scripts/s/second.py", "return {}", "raise ValueError('broken')")
    for _ in range(2):
        done = built.snakemake()
        assert done.returncode != 0
        assert "ValueError: broken" in done.stderr
        assert jobs(done) == []
    if deep:
        built.replace("llm/deep/low.py", "raise ValueError('broken')", "return text.title()")
    else:
        built.replace("scripts/s/second.py", "raise ValueError('broken')", "return {'mended': 1}")
    stale = {"third"} if not deep else {"second", "third"}
    assert stale <= {rule for rule, _ in built.build()}
    assert built.build() == []


def test_hand_edited_intermediate_is_set_aside_and_built_again(built: Toy):
    edited = built.path / "results/parts/a.txt"
    edited.unlink()
    edited.write_text("forged")
    built.replace("llm/other.py", "'!'", "'?'")
    done = built.snakemake()
    assert done.returncode == 0
    assert jobs(done) == [("first", "hit"), ("second", "run"), ("third", "run")]
    (warning,) = [line for line in done.stderr.splitlines() if "results/.aside/" in line]
    assert "results/parts/a.txt" in warning
    assert [file.read_text() for file in (built.path / "results/.aside").rglob("*") if file.is_file()] == ["forged"]
    assert built.build() == []


def test_edit_through_a_hard_link_damages_no_result(built: Toy):
    """An edit in place reaches the store's object too: it is found before use, and the artifact is built again."""
    edited = built.path / "results/parts/a.txt"
    edited.chmod(0o644)
    with edited.open("a") as file:
        file.write("forged")
    (built.path / "results/parts/manifest.json").unlink()
    assert built.build("results/parts/manifest.json") == [("first", "run")]
    assert built.read("results/final.txt") == FINAL
    assert "forged" not in built.read("results/parts/a.txt")


def test_removed_results_come_back_from_the_store(built: Toy):
    for name in ("parts", "joined.txt", "final.txt", ".records"):
        subprocess.run(["rm", "-rf", built.path / "results" / name], check=True)
    assert [how for _, how in built.build()] == ["hit"] * 3
    assert built.read("results/final.txt") == FINAL


def test_extra_file_in_a_directory_artifact_is_refused(built: Toy):
    (built.path / "results/parts/c.txt").write_text("stray")
    built.replace("llm/other.py", "'!'", "'?'")
    done = built.snakemake()
    assert done.returncode != 0
    assert "results/parts/c.txt is not listed" in done.stderr


def test_killed_snakemake_leaves_no_lock_and_no_child(toy: Toy):
    toy.replace("scripts/s/first.py", "return {", "import time; time.sleep(20 if times == 2 else 0)\n    return {")
    process = subprocess.Popen(toy.command(), cwd=toy.path, stderr=subprocess.DEVNULL, env=toy.environment)
    workspace = toy.path / "results/.store/tmp"
    wait_for(lambda: workspace.is_dir() and any(workspace.glob("*/parts/0/b.txt")))
    process.send_signal(signal.SIGKILL)
    process.wait()
    wait_for(lambda: not scripts_running(toy.path))
    toy.replace("scripts/s/first.py", "sleep(20", "sleep(0")
    assert toy.build() == ALL_RUN
    assert toy.read("results/final.txt") == FINAL
    assert list(workspace.iterdir()) == []


def test_second_snakemake_in_one_directory_is_told_to_wait(toy: Toy):
    toy.replace("scripts/s/first.py", "return {", "import time; time.sleep(20)\n    return {")
    process = subprocess.Popen(toy.command(), cwd=toy.path, stderr=subprocess.DEVNULL, env=toy.environment)
    wait_for(lambda: (toy.path / "results/.store/tmp").is_dir())
    done = toy.snakemake()
    process.terminate()
    process.kill()
    process.wait()
    assert done.returncode != 0
    assert "another snakemake builds in" in done.stderr
    assert sum("error" in line for line in done.stderr.splitlines()) == 1


def test_record_says_what_it_was_made_from(built: Toy):
    done = subprocess.run(
        ["python", "-m", "stemma", "show", "results/joined.txt"],
        cwd=built.path,
        capture_output=True,
        text=True,
        env=built.environment | {"PATH": f"{Path(os.sys.executable).parent}:{os.environ['PATH']}"},
        check=True,
    )
    record = json.loads(done.stdout)
    assert record["_type"] == "https://in-toto.io/Statement/v1"
    definition = record["predicate"]["buildDefinition"]
    assert definition["externalParameters"]["script"] == "scripts/s/second.py"
    dependencies = {item["name"]: item for item in definition["resolvedDependencies"]}
    assert dependencies["results/parts/manifest.json"]["annotations"]["record"]
    assert {"scripts/s/second.py", "llm/other.py", "environment"} <= dependencies.keys()
    assert "llm/deep/low.py" not in dependencies


def test_a_path_that_lists_of_paths_would_cut_is_refused(tmp_path: Path):
    """PYTHONPATH has no way to quote a colon; a directory to build in may have one."""
    toy = planted(tmp_path / "a:b")
    done = toy.snakemake()
    assert done.returncode != 0
    [line] = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert "a:b holds a `:`" in line
    toy = planted(tmp_path / "plain")
    (tmp_path / "c:d").mkdir()
    for name in ("config.yaml", "text.txt"):
        (tmp_path / "c:d" / name).write_text(toy.read(name))
    assert toy.build("--directory", str(tmp_path / "c:d")) == ALL_RUN


def wait_for(condition, seconds: float = 30) -> None:
    """Poll until it holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def scripts_running(directory: Path) -> list[str]:
    """Command lines of processes that run the toy's scripts."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = file.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if f"{directory}/scripts/" in line:
            found.append(line)
    return found
