"""What does a change cost, and is what comes out what a build from nothing gives? Forty changes, up to three systems.

    python -m benchmarks.rebuilds [--only WORD ...] [--data] [--systems Stemma Snakemake DVC] [--dvc PROGRAM]

presets/tiny.yaml with a source that can be edited (benchmarks/rebuilds.yaml). Each change is made to a copy of a built
workspace, which is then built again; its artifacts are compared with those of a build from nothing of the same state.
stale: artifacts that are not what they would be. in vain: jobs that ran and gave the bytes that were there. --data: the
changes that the first three stages show, and those stages alone. Exit status 1: Stemma kept something stale.
"""

import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from benchmarks.rebuilds_changes import CHANGES, Change
from benchmarks.rebuilds_systems import DATA, PLAN, Build, Dvc, PlainSnakemake, Stemma, Workspace, digest_of, wait_for

State = dict[str, str | None]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", metavar="WORD", help="changes whose names have one of these words")
    parser.add_argument("--data", action="store_true")
    parser.add_argument("--systems", nargs="+", choices=("Stemma", "Snakemake", "DVC"), default=["Stemma", "Snakemake"])
    parser.add_argument("--dvc", default="dvc", help="its program, for --systems DVC")
    parser.add_argument("--out", type=Path, default=Path("rebuilds.json"))
    options = parser.parse_args()
    every = {"Stemma": Stemma(), "Snakemake": PlainSnakemake(), "DVC": Dvc(options.dvc)}
    systems = [every[name] for name in options.systems]
    changes = [change for change in CHANGES if change.data or not options.data]
    changes = [change for change in changes if not options.only or any(word in change.name for word in options.only)]
    found: list[dict] = []
    with tempfile.TemporaryDirectory(prefix="rebuilds-") as name:
        yard = Yard(Path(name), systems, options.data)
        for change in changes:
            begun = time.monotonic()
            found.append({"change": change.name, "kind": change.kind} | yard.outcomes(change))
            options.out.write_text(json.dumps(found, indent=1) + "\n")
            print(f"{change.name} ({time.monotonic() - begun:.0f} s): {found[-1]['systems']}", flush=True)
    print("\n" + table(found, options.systems))
    return int(any(one["systems"].get("Stemma", {}).get("stale") for one in found))


class Yard:
    """The built workspaces of each system, and what a build from nothing gives for each state."""

    def __init__(self, root: Path, systems: list, data_only: bool) -> None:
        self.root, self.systems, self.data_only = root, systems, data_only
        self.stemma = Stemma()
        first = Workspace.new(root / "base-Stemma")
        self.base, self.jobs = self.from_nothing(first)
        self.built = {"Stemma": first}
        for system in systems:
            if system.name not in self.built:
                self.built[system.name] = workspace = Workspace.new(root / f"base-{system.name}")
                system.prepare(workspace, self.jobs)
                done = system.finish(workspace, system.start(workspace, data_only))
                if done.status:
                    raise SystemExit(f"error: {system.name} does not build the base: {done.said}")
                different = [
                    path
                    for path, sha256 in self.state(system, workspace, self.jobs).items()
                    if sha256 != self.base[path]
                ]
                if different:
                    raise SystemExit(f"error: {system.name} builds other bytes of {different[0]}")

    def from_nothing(self, workspace: Workspace) -> tuple[State, list[dict]]:
        done = self.stemma.finish(workspace, self.stemma.start(workspace, self.data_only))
        if done.status:
            raise SystemExit(f"error: a build from nothing fails: {done.said}")
        jobs = json.loads((workspace.root / PLAN).read_text())["jobs"]
        jobs = [job for job in jobs if job["script"] and (not self.data_only or stage_of(job) in DATA)]
        return self.state(self.stemma, workspace, jobs), jobs

    def state(self, system: object, workspace: Workspace, jobs: list[dict]) -> State:
        """Digest of every output. A directory counts with what its own job put there: not with other jobs' outputs."""
        nested = {path for job in jobs for _, path in job["outputs"]}
        found: State = {}
        for path in nested:
            place = system.place(workspace, path)
            place = place.parent if place.name == "manifest.json" else place
            found[path] = digest_of(place)
        return found

    def outcomes(self, change: Change) -> dict:
        """For each system what it ran, what it left stale, what it ran in vain."""
        wanted, jobs = self.wanted(change)
        places = {}
        for system in self.systems:
            copy = self.root / f"try-{system.name}"
            workspace = self.built[system.name].copy(copy)
            places[system.name] = self.outcome(system, workspace, change, wanted, jobs)
            shutil.rmtree(copy, ignore_errors=True)
        differ = sum(wanted[path] != self.base.get(path) for path in wanted)
        return {"differ": differ, "artifacts": len(wanted), "systems": places}

    def wanted(self, change: Change) -> tuple[State, list[dict]]:
        """What a build from nothing of the changed state gives."""
        if change.neutral:
            return self.base, self.jobs
        workspace = Workspace.new(self.root / "nothing")
        if change.first:
            change.first(workspace)
        change.edit(workspace)
        try:
            return self.from_nothing(workspace)
        finally:
            shutil.rmtree(workspace.root)

    def outcome(self, system: object, workspace: Workspace, change: Change, wanted: State, jobs: list[dict]) -> dict:
        if change.first:
            change.first(workspace)
            self.build(system, workspace, jobs if change.first is not change.edit else self.jobs)
        before = self.state(system, workspace, self.jobs)
        if getattr(change.edit, "damage", False):
            change.edit(workspace, lambda path: system.place(workspace, path))
        else:
            change.edit(workspace)
        ran: list[str] = []
        if change.during:
            ran += self.disturbed(system, workspace, change, jobs)
        done = self.build(system, workspace, jobs)
        ran += done.ran
        if done.status:
            return {"refused": done.said}
        after = self.state(system, workspace, jobs)
        stale = sorted(path for path, sha256 in after.items() if sha256 != wanted[path])
        moved = {
            job["outputs"][0][1] for job in jobs if any(before.get(path) != after[path] for _, path in job["outputs"])
        }
        vain = [name for name in ran if not any(same(name, path) for path in moved)]
        return {"ran": len(ran), "stale": len(stale), "in vain": len(vain), "stale paths": stale, "vain jobs": vain}

    def build(self, system: object, workspace: Workspace, jobs: list[dict]) -> Build:
        system.prepare(workspace, jobs)
        return system.finish(workspace, system.start(workspace, self.data_only))

    def disturbed(self, system: object, workspace: Workspace, change: Change, jobs: list[dict]) -> list[str]:
        """A build during which something happens; what it ran."""
        rule, happening, undo = change.during
        system.prepare(workspace, jobs)
        since = time.time() - 0.01
        process = system.start(workspace, self.data_only)
        if wait_for(lambda: system.has_begun(workspace, rule, since), process):
            if happening == "kill":
                os.killpg(process.pid, signal.SIGKILL)
            else:
                happening(workspace)
        done = system.finish(workspace, process)
        undo(workspace)
        return done.ran


def stage_of(job: dict) -> str:
    return Path(job["script"]).parent.name


def same(name: str, path: str) -> bool:
    """Is a job that ran, `rule|place`, the one whose first output this is?"""
    place = name.partition("|")[2]
    return place in (path, path.removesuffix("/manifest.json"))


def table(found: list[dict], systems: list[str]) -> str:
    """Markdown; the sums last."""
    lines = [
        "| change | artifacts that differ | " + " | ".join(f"{name}: ran, stale, in vain" for name in systems) + " |"
    ]
    lines.append("|---|---|" + "---|" * len(systems))
    sums: dict[str, Counter] = {name: Counter() for name in systems}
    for one in found:
        cells = []
        for name in systems:
            outcome = one["systems"][name]
            if "refused" in outcome:
                sums[name]["refused"] += 1
                cells.append("refused")
                continue
            stale = outcome["stale"]
            sums[name].update(ran=outcome["ran"], vain=outcome["in vain"], wrong=bool(stale))
            cells.append(f"{outcome['ran']}, {f'**{stale}**' if stale else stale}, {outcome['in vain']}")
        lines.append(f"| {one['change']} | {one['differ']} of {one['artifacts']} | {' | '.join(cells)} |")
    total = [
        f"{n['ran']} ran, {n['vain']} in vain; stale after {n['wrong']} changes, {n['refused']} refused"
        for n in sums.values()
    ]
    return "\n".join([*lines, f"| all {len(found)} | | {' | '.join(total)} |"])


if __name__ == "__main__":
    sys.exit(main())
