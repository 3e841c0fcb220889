"""What does a change cost, and is what comes out what a build from nothing gives? Fifty changes, up to three systems.

    python -m benchmarks.rebuilds [--only WORD ...] [--half] [--systems Stemma Snakemake DVC] [--dvc PROGRAM]

presets/tiny.yaml with a source that can be edited (benchmarks/rebuilds.yaml). Each change is made to a copy of a built
workspace, which is then built again; its artifacts are compared with those that plain Snakemake builds of the changed
state from nothing. stale: artifacts that are not what they would be. in vain: jobs that ran and gave the bytes that
were there. needless: jobs that this project ran though its store had the answer to their action. A change that makes
other data is followed to the token shards; --half follows all so far. Exit status 1: Stemma kept something stale, ran
something needless or refused.
"""

import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.rebuilds_changes import CHANGES, Change
from benchmarks.rebuilds_replay import digest_of
from benchmarks.rebuilds_systems import Build, Dvc, PlainSnakemake, Stemma, shown, wait_for
from benchmarks.rebuilds_workspace import MANIFEST, Workspace

State = dict[str, str | None]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", metavar="WORD", help="changes whose names have one of these words")
    parser.add_argument(
        "--half", action="store_true", help="the changes that show up to the token shards, and no further"
    )
    parser.add_argument("--systems", nargs="+", choices=("Stemma", "Snakemake", "DVC"), default=["Stemma", "Snakemake"])
    parser.add_argument("--dvc", default="dvc", help="its program, for --systems DVC")
    parser.add_argument("--out", type=Path, default=Path("rebuilds.json"), help="what it holds is not done again")
    parser.add_argument("--work", type=Path, help="where what was built is kept for the next run")
    parser.add_argument("--at-once", type=int, default=1, help="changes tried side by side, two cores each")
    options = parser.parse_args()
    every = {"Stemma": Stemma(), "Snakemake": PlainSnakemake(), "DVC": Dvc(options.dvc)}
    systems = [every[name] for name in options.systems]
    changes = [change for change in CHANGES if change.data or not options.half]
    changes = [change for change in changes if not options.only or any(word in change.name for word in options.only)]
    found = {one["change"]: one for one in json.loads(options.out.read_text())} if options.out.exists() else {}
    with tempfile.TemporaryDirectory(prefix="rebuilds-") as name, ThreadPoolExecutor(options.at_once) as pool:
        yard = Yard((options.work or Path(name)).absolute(), systems, options.half)
        known = {change: found.get(change.name, {}).get("systems", {}) for change in changes}
        tried = [pool.submit(yard.outcomes, change, known[change]) for change in changes]
        for one in as_completed(tried):
            if one.exception():
                traceback.print_exception(one.exception())
                continue
            found[one.result()["change"]] = one.result()
            options.out.write_text(json.dumps([found[each.name] for each in CHANGES if each.name in found], indent=1))
            print(json.dumps(one.result()), flush=True)
    outcomes = [found[change.name] for change in CHANGES if change.name in found]
    print("\n" + table(outcomes, options.systems))
    own = [one["systems"].get("Stemma", {}) for one in outcomes]
    wrong = any(one.get("stale") or one.get("needless") or "refused" in one for one in own)
    return int(wrong or any(one.exception() for one in tried))


@dataclass
class Attempt:
    """What a system made of a change. plans: the jobs of the build before the change and of the one after it.
    before, after: what stood there. refused: the last build's error."""

    plans: list[list[dict]]
    ran: list[str] = field(default_factory=list)
    before: State = field(default_factory=dict)
    after: State = field(default_factory=dict)
    needless: list[str] | None = None
    refused: str = ""

    def beside(self, wanted: State) -> dict:
        """In words, beside what a build from nothing gives."""
        if self.refused:
            return {"refused": self.refused}
        outputs = {f"{job['rule']}|{shown(job)}": [path for _, path in job["outputs"]] for job in self.plans[1]}
        vain = [name for name in self.ran if all(self.before.get(path) == self.after[path] for path in outputs[name])]
        stale = sorted(path for path, sha256 in self.after.items() if sha256 != wanted[path])
        needless = {} if self.needless is None else {"needless": self.needless}
        return {"ran": len(self.ran), "stale": stale, "in vain": vain} | needless


class Yard:
    """The workspaces that each system has built, and what a build from nothing gives.

    pristine: the workspace that nothing was built in, from which all others are copied. What an earlier run built in
    `root` is not built again. jobs: those of the base, base: its outputs."""

    def __init__(self, root: Path, systems: list, half: bool) -> None:
        self.root, self.systems, self.half = root, systems, half
        self.stemma, self.plain = Stemma(), PlainSnakemake()
        self.pristine = Workspace(root / "pristine", root)
        if not self.pristine.root.exists():
            self.pristine = Workspace.new(root / "pristine", root)
        self.jobs: list[dict] = []
        self.base: State = {}
        self.built: dict[str, Workspace] = {}
        for system in {each.name: each for each in (self.stemma, self.plain, *systems)}.values():
            self.built[system.name] = workspace = Workspace(root / f"base-{system.name}", root)
            if not workspace.root.exists():
                self.build_base(system)
            if system.name == self.plain.name:
                keep_compiled(workspace.root, self.pristine.root)
            self.jobs = self.jobs or self.stemma.jobs(workspace)
            state = self.state(system, workspace, self.jobs)
            self.base = self.base or state
            different = [path for path in state if state[path] != self.base[path]]
            if different:
                raise SystemExit(f"error: {system.name} builds other bytes of {', '.join(different)}")

    def build_base(self, system: object) -> None:
        workspace = self.pristine.copy(self.root / f"new-{system.name}")
        done = self.build(system, workspace, self.jobs, self.half)
        if done.status:
            raise SystemExit(f"error: {system.name} does not build the base: {done.said}")
        workspace.root.rename(self.built[system.name].root)

    def state(self, system: object, workspace: Workspace, jobs: list[dict]) -> State:
        """Digest of every output; None where there is none."""
        places = {path: system.place(workspace, path) for job in jobs for _, path in job["outputs"]}
        return {path: digest_of(at.parent if at.name == MANIFEST else at) for path, at in places.items()}

    def outcomes(self, change: Change, known: dict[str, dict]) -> dict:
        """What each system ran, left stale, ran in vain; `known` of an earlier run."""
        number = CHANGES.index(change)
        own, kept = self.root / f"try-{number}", self.root / f"plans-{number}.json"
        shutil.rmtree(own, ignore_errors=True)
        half = self.half or (change.data and not change.neutral)
        tried: dict[str, Attempt] = {}
        if Stemma.name not in known or not kept.exists():
            tried[Stemma.name] = self.attempt(self.stemma, change, own, [self.jobs, self.jobs], half)
            kept.write_text(json.dumps(tried[Stemma.name].plans))
        plans = json.loads(kept.read_text())
        for system in self.systems:
            if system.name not in {*known, *tried}:
                tried[system.name] = self.attempt(system, change, own, plans, half)
        wanted = {path: self.base[path] for path in outputs_of(plans[1])} if change.neutral else {}
        wanted = wanted or self.from_nothing(change, own, plans[1], half)
        differ = sum(wanted[path] != self.base.get(path) for path in wanted)
        shutil.rmtree(own, ignore_errors=True)
        what = {"change": change.name, "kind": change.kind, "differ": differ, "artifacts": len(wanted)}
        return what | {"systems": known | {name: attempt.beside(wanted) for name, attempt in tried.items()}}

    def from_nothing(self, change: Change, own: Path, jobs: list[dict], half: bool) -> State:
        """What a build of the changed state in a fresh workspace gives."""
        workspace = self.pristine.copy(own / "nothing")
        change.edit(workspace)
        done = self.build(self.plain, workspace, jobs, half)
        if done.status:
            raise SystemExit(f"error: a build from nothing fails after {change.name}: {done.said}")
        return self.state(self.plain, workspace, jobs)

    def attempt(self, system: object, change: Change, own: Path, plans: list[list[dict]], half: bool) -> Attempt:
        """Make a change to a built workspace and build it again."""
        workspace = self.built[system.name].copy(own / system.name)
        workspace.like = self.pristine.state() if change.neutral and not change.around and not change.first else ""
        attempt = Attempt(list(plans))
        if change.first:
            change.first(workspace)
            self.build(system, workspace, plans[0], half)
            if system.name == Stemma.name:
                attempt.plans[0] = self.stemma.jobs(workspace)
        attempt.before = self.state(system, workspace, self.jobs)
        answered = self.stemma.actions(workspace)
        change.edit(workspace)
        if change.around:
            change.around(workspace)
        if change.damage:
            change.damage(lambda path: system.place(workspace, path), outputs_of(plans[1]))
        disturbed = self.disturbed(system, workspace, change, plans[1], half) if change.during else []
        done = self.build(system, workspace, plans[1], half)
        attempt.ran = [*disturbed, *done.ran]
        attempt.refused = done.said if done.status else ""
        if system.name == Stemma.name:
            attempt.plans[1] = jobs = self.stemma.jobs(workspace)
            made = {f"{job['rule']}|{shown(job)}": job["outputs"][0][1] for job in jobs}
            attempt.needless = [
                name for name in done.ran if self.stemma.action(workspace, made[name]) in answered and not done.status
            ]
        attempt.after = {} if done.status else self.state(system, workspace, attempt.plans[1])
        return attempt

    def build(self, system: object, workspace: Workspace, jobs: list[dict], half: bool) -> Build:
        system.prepare(workspace, jobs)
        return system.finish(workspace, system.start(workspace, half))

    def disturbed(
        self, system: object, workspace: Workspace, change: Change, jobs: list[dict], half: bool
    ) -> list[str]:
        """A build during which something happens; what it ran."""
        job, happening, undo = change.during
        system.prepare(workspace, jobs)
        since = time.time() - 0.01
        process = system.start(workspace, half, replay=False)
        if not wait_for(lambda: system.has_begun(workspace, job, since), process):
            said = system.finish(workspace, process).said
            raise SystemExit(f"error: {system.name} did not run {job} after {change.name}: {said}")
        if happening == "kill":
            os.killpg(process.pid, signal.SIGKILL)
        else:
            happening(workspace)
        done = system.finish(workspace, process)
        undo(workspace)
        return done.ran


def keep_compiled(built: Path, fresh: Path) -> None:
    """Numba's code beside the modules, so that no build compiles it again. No change here edits what a compiled
    function calls in another file, which numba would not see."""
    for folder in built.rglob("__pycache__"):
        shutil.copytree(folder, fresh / folder.relative_to(built), dirs_exist_ok=True)


def outputs_of(jobs: list[dict]) -> list[str]:
    return [path for job in jobs for _, path in job["outputs"]]


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
            outcome = one["systems"].get(name)
            if outcome is None:
                cells.append("")
                continue
            if "refused" in outcome:
                sums[name]["refused"] += 1
                cells.append("refused")
                continue
            stale, vain = len(outcome["stale"]), len(outcome["in vain"])
            sums[name].update(ran=outcome["ran"], vain=vain, wrong=int(bool(stale)))
            cells.append(f"{outcome['ran']}, {f'**{stale}**' if stale else stale}, {vain}")
        lines.append(f"| {one['change']} | {one['differ']} of {one['artifacts']} | {' | '.join(cells)} |")
    total = [
        f"{n['ran']} ran, {n['vain']} in vain; stale after {n['wrong']} changes, {n['refused']} refused"
        for n in sums.values()
    ]
    return "\n".join([*lines, f"| all {len(found)} | | {' | '.join(total)} |"])


if __name__ == "__main__":
    sys.exit(main())
