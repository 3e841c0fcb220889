"""Run one script for a peer of benchmarks/rebuilds.py, or put down what it gave when it ran before.

    python benchmarks/rebuilds_replay.py --outputs PATH ... --inputs PATH ... -- COMMAND

What is measured of the peers is what they decide to run, so a script need not run twice on the same code, with the same
arguments, on inputs of the same bytes: its outputs are copied from REPLAY_KEPT. The code is known by REPLAY_STATE, the
digest of all there is; for scripts of the first stages by that of all that these can import. Without REPLAY_KEPT a
script always runs. Of this project's own builds nothing is kept and none is served from here.
"""

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

NOT_OF_THE_JOB = ("manifest.json", "model.sig", ".snakemake_timestamp")  # what the systems add to a directory
DATA = ("scripts/collect/", "scripts/process/", "scripts/tokenize/")


def main() -> int:
    own, command = sys.argv[1 : sys.argv.index("--")], sys.argv[sys.argv.index("--") + 1 :]
    parser = argparse.ArgumentParser()
    parser.add_argument("--outputs", nargs="+", type=Path)
    parser.add_argument("--inputs", nargs="*", type=Path, default=[])
    options = parser.parse_args(own)
    if "REPLAY_KEPT" not in os.environ:
        return subprocess.call(command, stdout=subprocess.DEVNULL)
    data = any(word.startswith(DATA) for word in command)
    asked = [
        os.environ["REPLAY_STATE_OF_DATA" if data else "REPLAY_STATE"],
        command,
        [digest_of(path) for path in options.inputs],
    ]
    kept = Path(os.environ["REPLAY_KEPT"], hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:32])
    if not kept.exists():
        status = subprocess.call(command, stdout=subprocess.DEVNULL)
        if status:
            return status
        keep(options.outputs, kept)
        return 0
    for position, path in enumerate(options.outputs):
        copy(kept / str(position), path)
    return 0


def keep(outputs: list[Path], kept: Path) -> None:
    """At once or not at all; of two that keep the same the first counts."""
    temporary = kept.with_name(f"{kept.name}.{os.getpid()}")
    temporary.mkdir(parents=True)
    for position, path in enumerate(outputs):
        copy(path, temporary / str(position))
    try:
        temporary.rename(kept)
    except OSError:
        shutil.rmtree(temporary)


def copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, copy_function=shutil.copyfile, dirs_exist_ok=True)
    else:
        shutil.copyfile(source, target)


def digest_of(path: Path) -> str | None:
    """Of a file, or of all that a job put into a directory; None if it is not there."""
    if not path.exists():
        return None
    files = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())
    found = hashlib.sha256()
    for file in files:
        if file.name not in NOT_OF_THE_JOB:
            found.update(str(file.relative_to(path)).encode() + b"\0" + hashlib.sha256(file.read_bytes()).digest())
    return found.hexdigest()


if __name__ == "__main__":
    sys.exit(main())
