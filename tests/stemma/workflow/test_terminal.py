"""What the terminal says of a run: before it, of each job, and when it does not come to its end."""

import os
import pty
import re
import signal
import subprocess

import pytest

from stemma.workflow.log_filter import essence
from tests.stemma.conftest import Toy

ENGINE = "python -m stemma run scripts/s/"


def said(text: str) -> list[str]:
    """Lines, but for Snakemake's first about profiles."""
    return [line for line in text.splitlines() if not line.startswith("Using profile")]


def plan(toy: Toy, *arguments: str) -> list[str]:
    """What a dry run prints; it changes nothing, but for what is remembered of records."""
    before = standing(toy)
    done = toy.snakemake("--dry-run", *arguments)
    assert (done.returncode, said(done.stderr)) == (0, []), done.stderr
    assert standing(toy) == before
    return said(done.stdout)


def standing(toy: Toy) -> list[str]:
    return sorted(str(path) for path in (toy.path / "results").rglob("*") if path.name != "index.sqlite")


def test_a_dry_run_shows_the_plan(toy: Toy):
    """Jobs by rule, which are hits, what has changed, how long it takes; before the first build and after it."""
    lines = plan(toy)
    assert lines[0] == "3 jobs: 3 to run; none of the kind was ever timed here"
    assert [line.split() for line in lines[1:5]] == [
        ["rule", "jobs", "hits", "time"], ["first", "1"], ["second", "1"], ["third", "1"],
    ]  # fmt: skip
    assert lines[5:] == [
        "  never built  (results/parts, results/joined.txt, results/final.txt)",
        "a dry run: nothing was done",
    ]
    toy.build()
    assert plan(toy) == ["Nothing to be done (all requested files are present and up to date)."]
    toy.replace("llm/deep/low.py", "text.upper()", "text.title()")
    lines = plan(toy, "--config", "times=3")
    assert re.fullmatch(r"3 jobs: 3 to run; about 0:\d\d on 2 cores", lines[0])
    assert re.fullmatch(r"  second +1 +0:\d\d", lines[3])
    assert lines[5:] == [
        "  config times: 2 -> 3  (results/parts)",
        "  code llm/deep/low.py: shout  (results/parts)",
        "a dry run: nothing was done",
    ]
    toy.replace("llm/deep/low.py", "text.title()", "text.upper()")
    toy.build("--config", "times=3")
    lines = plan(toy)
    assert re.fullmatch(r"3 jobs: 3 from the store; about 0:\d\d on 2 cores", lines[0])
    assert re.fullmatch(r"  first +1 +1 +0:\d\d", lines[2])
    assert plan(toy, "--config", "times=3", "--forcerun", "third")[-2] == (
        "  forced: by --forcerun or --force  (results/final.txt)"
    )


def test_quiet_commands_and_verbose_are_as_with_snakemake(built: Toy):
    built.replace("config.yaml", "times: 2", "times: 3")
    assert [line.split()[0] for line in plan(built, "--quiet")] == ["3", "rule", "first", "second", "third", "a"]
    lines = plan(built, "--printshellcmds")
    commands = [line for line in lines if line.startswith(ENGINE)]
    assert [line.split()[4] for line in commands] == ["scripts/s/first.py", "scripts/s/second.py", "scripts/s/third.py"]
    assert lines[-1] == "a dry run: nothing was done"
    done = built.snakemake("--dry-run", "--verbose")
    assert "rule first:" in done.stdout
    assert "reason: " in done.stdout
    done = built.snakemake("--quiet")
    assert (done.returncode, done.stdout, said(done.stderr)) == (0, "", [])
    built.replace("config.yaml", "times: 3", "times: 4")
    done = built.snakemake("--printshellcmds")
    assert [line.split()[4] for line in said(done.stderr) if line.startswith(ENGINE)] == [
        "scripts/s/first.py", "scripts/s/second.py", "scripts/s/third.py",
    ]  # fmt: skip


def test_a_run_begins_with_its_plan_and_counts_its_lines(built: Toy):
    built.replace("config.yaml", "times: 2", "times: 3")
    lines = said(built.snakemake().stderr)
    assert re.fullmatch(r"3 jobs: 3 to run; about 0:\d\d on 2 cores", lines[0])
    assert lines[1:3] == ["  first, second, third", "  config times: 2 -> 3  (results/parts)"]
    for number, line in enumerate(lines[3:6], 1):
        left = r"  0:\d\d left" if number < 3 else ""
        assert re.fullmatch(rf"s +\w+ +results/\S+ +run +\d+\.\d s  {number}/3{left}", line)
    assert lines[6:] == []


def test_a_failed_run_says_what_is_kept(built: Toy):
    built.replace("scripts/s/second.py", "joined.write_text(", "assert False\n    (")
    *_, error, last = said(built.snakemake("--config", "times=3").stderr)
    assert error.startswith("error: second results/joined.txt: AssertionError")
    assert (
        last == "1 of 3 jobs are done; what they gave is kept; once that is mended, the same command goes on from there"
    )


def test_what_could_not_say_why_it_failed_is_named(built: Toy):
    """A runner that was killed, as for want of memory; a command in which none began."""
    built.replace("scripts/s/second.py", "joined.write", "import os; os.kill(os.getppid(), 9)\n    joined.write")
    error, _ = said(built.snakemake().stderr)[-2:]
    assert error == "error: second results/joined.txt: it was killed; log results/logs/second.log"
    built.replace("Snakefile", '"python -m stemma run', '"no-such-program; python -m stemma run')
    error, _ = said(built.snakemake("--config", "times=3").stderr)[-2:]
    assert error == "error: first results/parts: its command failed; log results/logs/first.log"


@pytest.mark.parametrize("colour", [True, False])
def test_an_interrupted_run_says_what_is_kept(built: Toy, colour: bool):
    """On a terminal, with its colours unless NO_COLOR forbids them."""
    built.replace("scripts/s/second.py", "joined.write", "import time; time.sleep(60)\n    joined.write")
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        built.command("--config", "times=3"), cwd=built.path, stdin=theirs, stdout=theirs, stderr=theirs,
        start_new_session=True, preexec_fn=hears_interrupts,
        env=built.environment | {"TERM": "xterm"} | ({} if colour else {"NO_COLOR": "1"}),
    )  # fmt: skip
    os.close(theirs)
    text = ""
    while chunk := read(ours):
        if "1/3" in text + chunk and "1/3" not in text:
            os.killpg(process.pid, signal.SIGINT)
        text += chunk
    os.close(ours)
    assert process.wait() == 1
    assert ("\x1b[32mrun\x1b[0m" in text) == ("\x1b[" in text) == colour
    assert text.splitlines()[-1] == (
        "stopped: 1 of 3 jobs are done; what they gave is kept, the same command goes on from there"
    )
    built.replace("scripts/s/second.py", "time.sleep(60)", "time.sleep(0)")
    assert ("first", "run") not in built.build("--config", "times=3")


def hears_interrupts() -> None:
    """In the child: also where the tests run in the background, which has SIGINT ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def read(descriptor: int) -> str:
    """What has come from a terminal; nothing when the last process at its other side has ended."""
    try:
        return os.read(descriptor, 65536).decode()
    except OSError:
        return ""


def test_a_directory_that_cannot_be_written_is_named():
    """It was told as a mistake in the program."""
    frames = 'Traceback (most recent call last):\n\n  File "x.py", line 1, in f\n\n'
    line = essence(frames + "OSError: [Errno 30] Read-only file system: '/data/.snakemake'")
    assert line.startswith("/data/.snakemake: Read-only file system; make room or give write access")
    assert "a mistake in the program" in essence(frames + "KeyError: 'x'")
