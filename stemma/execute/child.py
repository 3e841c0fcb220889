"""Runs a script in a child process: its output goes to the log, its progress to the terminal, its cost is measured.

A child never outlives the build it belongs to: it is killed when the runner dies and when the snakemake process named
in STEMMA_PARENT is gone. A runner that is told to stop passes that on, and kills what has not ended GRACE seconds
later: so long training can save what it did.
"""

import importlib.util
import json
import os
import re
import resource
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from stemma.base.errors import StemmaError, no_space, printable
from stemma.base.files import PARENT
from stemma.base.process import die_with_parent, is_alive
from stemma.execute.landlock import Ruleset
from stemma.execute.sandbox import Sandbox
from stemma.store.placement import fresh

PROGRESS = "… "
ERROR = "error: "
GRACE = 60
MOMENT = 0.5
FULL = "No space left on device"
DENIED = "ermission denied"
MISSING = re.compile(r"^ModuleNotFoundError: No module named '(\w+)'")
CONFINED = "a job may read what is declared, and write to its own places, alone; docs/engine.md says what those are"


@dataclass(frozen=True)
class Result:
    """What a script returned and what it cost; memory is the peak resident set of its largest process."""

    metrics: dict
    cpu_seconds: float
    peak_memory_bytes: int


def run_script(sandbox: Sandbox, log: Path, target: str) -> Result:
    """Run the script of a sandbox to its end.

    Raises StemmaError with the script's own error line, or with what killed it, and the log.
    """
    before, rules = resource.getrusage(resource.RUSAGE_CHILDREN), sandbox.confinement.ruleset()
    with fresh(log) as file:
        child = subprocess.Popen(
            sandbox.command(),
            cwd=sandbox.here,
            env=sandbox.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
            preexec_fn=lambda: enter(rules),
        )
        assert child.stdout is not None and child.stderr is not None
        if rules:
            rules.close()
        stopped = watch(child)
        printed: list[str] = []
        reader = threading.Thread(target=printed.extend, args=(child.stdout,), daemon=True)
        reader.start()
        last = ""
        for line in map(sandbox.shown, child.stderr):
            file.write(line)
            file.flush()
            if not last.startswith(ERROR) or line.startswith(ERROR):  # Python may warn of something as it ends
                last = line.strip() or last
            if line.startswith(PROGRESS):
                print(f"  {target}  {printable(line.removeprefix(PROGRESS).rstrip())}", file=sys.stderr, flush=True)
        reader.join()
        file.writelines(printed)
        status = ended(child)
    if status == -signal.SIGTERM and not stopped:
        time.sleep(MOMENT)  # who ends all processes of a job, as Slurm does, ends them one after the other
    if stopped and status and not last.startswith(ERROR):
        sys.exit(128 + stopped[0])
    if status:
        raise StemmaError(explain(status, last, log))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Result(metrics_in(printed, sandbox.script), round(cpu, 3), after.ru_maxrss * 1024)


def ended(child: subprocess.Popen) -> int:
    """Wait for the script; return its status. What it has started and left behind is killed with it: such a process
    could go on writing to an output that is hashed by then."""
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # as long as it is not reaped, its group is no other's
    os.killpg(child.pid, signal.SIGKILL)
    return child.wait()


def metrics_in(printed: list[str], script: str) -> dict:
    """Parse the script's result: JSON in the last line that it prints. Raises StemmaError."""
    try:
        return json.loads(printed[-1])
    except (IndexError, ValueError):
        raise StemmaError(f"{script} printed no result; end it with `command(main)` from llm/command.py") from None


def explain(status: int, last: str, log: Path) -> str:
    """Return in one line why a script failed."""
    if last.startswith(ERROR):
        return f"{last.removeprefix(ERROR)} (the log is {log})"
    if status == -signal.SIGKILL:
        return f"the script was killed (SIGKILL; perhaps for want of memory); the log is {log}"
    if status < 0:
        return f"the script was ended by {signal.Signals(-status).name}; the log is {log}"
    if FULL in last:
        return no_space(f"the log is {log}")
    hint = f"; {CONFINED}" if DENIED in last else hidden(last)
    return f"{last or 'no message'}{hint} (exit status {status}; the log is {log})"


def hidden(last: str) -> str:
    """What to do where a job did not find a module that is installed; nothing for any other last line."""
    found = MISSING.search(last)
    if not found or importlib.util.find_spec(found[1]) is None:
        return ""
    return (
        f"; {found[1]} is installed, but nothing that the script imports requires it, so it is in no key: import it by "
        "name in one of the script's modules"
    )


def enter(rules: Ruleset | None) -> None:
    """Run in the child before it executes the script: confine it, and ask the kernel to kill it when the runner
    dies."""
    if rules:
        rules.enforce()
    die_with_parent()


def watch(child: subprocess.Popen) -> list[int]:
    """Forward SIGTERM, SIGINT and SIGUSR1 to the child's process group as SIGTERM, and kill the group when the
    snakemake that asked for the job is gone. The returned list is filled with the signals that arrive."""
    came: list[int] = []

    def stop(number: int, frame: object) -> None:
        if not came:
            signal_group(child, signal.SIGTERM)
            timer = threading.Timer(GRACE, signal_group, (child, signal.SIGKILL))
            timer.daemon = True
            timer.start()
        came.append(number)

    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
            signal.signal(number, stop)
    parent = int(os.environ.get(PARENT, 0))
    if not parent:
        return came

    def poll() -> None:
        while is_running(child):
            if not is_alive(parent):
                signal_group(child, signal.SIGKILL)
                os._exit(1)
            threading.Event().wait(0.5)

    threading.Thread(target=poll, daemon=True).start()
    return came


def signal_group(child: subprocess.Popen, number: int) -> None:
    """Send a signal to the child and all that it started, unless it has ended."""
    if is_running(child):
        os.killpg(child.pid, number)


def is_running(child: subprocess.Popen) -> bool:
    """Has the child not ended? It is not reaped by this question, so its number stays its own."""
    try:
        return os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None
    except ChildProcessError:  # it was reaped
        return False
