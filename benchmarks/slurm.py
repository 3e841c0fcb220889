"""What Slurm costs over a local build of presets/tiny.yaml, and where the seconds go.

python benchmarks/slurm.py [--poll SECONDS]

Both builds run here, one after the other, from nothing but fetched archives; the Slurm is the tests' own, of two nodes
on this host (root, slurm-wlm and munge). The chain of jobs that the end waited for is followed backwards through the
times of Slurm and of the records, and its seconds are told apart. Slurm's times are whole seconds.
"""

import argparse
import contextlib
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from stemma.base.settings import Settings
from stemma.provenance.catalogue import current
from stemma.provenance.trust import Records
from tests.cluster import slurm
from tests.cluster.build import Build

PARTS = {
    "noticing": "the executor polls; then the next job is chosen and submitted",
    "queue": "Slurm schedules twice a second at best, and starts the job",
    "around": "srun and the ticket; runner, hashing, links",
    "script": "what the job is for",
}


@dataclass(frozen=True)
class Times:
    """Of one Slurm job, seconds since the epoch."""

    submitted: float
    started: float
    ended: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--poll", default="1", help="seconds before the executor's first look at a job")
    options = parser.parse_args()
    if reason := slurm.missing():
        raise SystemExit(f"error: {reason}")
    was_up = slurm.CONF.exists() and slurm.answers()
    slurm.up()
    try:
        with tempfile.TemporaryDirectory() as place:
            measure(Path(place), options.poll)
    finally:
        if not was_up:
            slurm.down()


def measure(place: Path, poll: str) -> None:
    """Both builds, then the account."""
    fetched = Build(place / "fetched")
    fetched.directory.mkdir()
    fetched.run("raw", "results/fetched/human-eval/archive", profile="default")
    fetched.forget("collect")
    local, remote = fetched.fork(place / "local"), fetched.fork(place / "remote")
    seconds = timed(lambda: local.run(profile="default"))
    with Watch() as watch:
        on_slurm = timed(lambda: remote.run("--slurm-init-seconds-before-status-checks", poll))
    chain = longest_chain(remote, watch.jobs)
    print(
        f"local, 2 cores: {seconds:.0f} s; Slurm: {on_slurm:.0f} s, {len(watch.jobs)} jobs ({on_slurm / seconds:.1f}x)"
    )
    print(f"the chain that the end waited for: {len(chain)} jobs, {sum(sum(c.values()) for c in chain):.0f} s")
    print("| part | seconds | a job | what it is |\n|---|---|---|---|")
    for part, meaning in PARTS.items():
        total = sum(parts[part] for parts in chain)
        print(f"| {part} | {total:.0f} | {total / len(chain):.1f} | {meaning} |")


def timed(work) -> float:
    begun = time.monotonic()
    work()
    return time.monotonic() - begun


class Watch:
    """Times of the Slurm jobs that begin and end while it lasts; Slurm forgets them within minutes."""

    def __enter__(self) -> "Watch":
        self.jobs: dict[str, Times] = {}
        self.over = threading.Event()
        self.before = set(self.lines())
        self.thread = threading.Thread(target=self.look)
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.thread.join()

    def look(self) -> None:
        while True:
            last = self.over.is_set()
            for number, times in self.lines().items():
                if number not in self.before:
                    self.jobs[number] = times
            if last:
                return
            self.over.wait(20)

    @staticmethod
    def lines() -> dict[str, Times]:
        command = ["squeue", "-h", "--states=COMPLETED", "-o", "%A|%V|%S|%e"]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        found = (line.split("|") for line in said.splitlines())
        return {number: Times(*(datetime.fromisoformat(t).timestamp() for t in times)) for number, *times in found}


def longest_chain(build: Build, times: dict[str, Times]) -> list[dict[str, float]]:
    """Parts of each Slurm job on the chain that ended last, the first job first."""
    with contextlib.chdir(build.directory):
        artifacts = {str(item.path): item for item in current(Records.of(Settings.here()))}
    maker = {path: item.usage["slurm_job_id"] for path, item in artifacts.items() if item.usage["slurm_job_id"]}
    parents: dict[str, set[str]] = {number: set() for number in times}
    scripts: dict[str, dict[str, float]] = {number: {} for number in times}
    for path, number in maker.items():
        item = artifacts[path]
        scripts[number][item.pointer.action] = item.usage["seconds"]
        parents[number] |= {maker[i["name"]] for i in item.inputs if i["name"] in maker} - {number}
    chain, number = [], max(times, key=lambda key: times[key].ended)
    while number:
        before = max(parents[number], key=lambda key: times[key].ended, default=None)
        job, script = times[number], sum(scripts[number].values())
        ready = times[before].ended if before else job.submitted
        seconds = (job.submitted - ready, job.started - job.submitted, job.ended - job.started - script, script)
        chain.append(dict(zip(PARTS, seconds, strict=True)))
        number = before
    return chain[::-1]


if __name__ == "__main__":
    main()
