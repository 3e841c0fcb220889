"""Prints the summary at the end of a run: artifacts with sizes and digests, key figures, what to do next."""

from pathlib import Path

from stemma.base.errors import printable
from stemma.base.wording import size_text
from stemma.provenance import standing_build
from stemma.provenance.catalogue import Artifact, current
from stemma.provenance.trust import Records
from stemma.report.poster import load
from stemma.report.values import figures, notes

PAGE = Path("results/report/index.html")


def print_summary(records: Records, poster: Path | None, targets: list[str], hints: list[str]) -> None:
    """Print the summary. `poster`: whose headline figures to print; `targets`: artifacts to list (none: all); `hints`:
    lines of advice.

    Only what the last run asked for is listed; a partial run lists, beside the targets, the artifacts it ended with."""
    run = standing_build.here()
    asked = set(run.asked) if run else None
    artifacts = [item for item in current(records) if asked is None or str(item.path) in asked]
    goals = [] if run is None or run.complete else ends(artifacts)
    shown = [item for item in artifacts if not targets or item.target in targets or item in goals]
    print("\nArtifacts")
    for item in shown:
        print(f"  {printable(item.target):<34} {size_text(item.size):>10}  sha256 {item.pointer.sha256[:16]}")
    told = load(poster) if poster else None
    lines = [f"  {label:<44} {text}" for label, text in figures(artifacts, told.headline)] if told else []
    if told and lines:
        lines += [f"  {note}" for note in notes(artifacts, told.notes)]
        print("\nKey figures", *map(printable, lines), sep="\n")
    pages = [item.target for item in shown if item.path.suffix == ".html" and item in goals]
    if PAGE.is_file() and (asked is None or str(PAGE) in asked):
        pages.append(str(PAGE))
    if pages:
        print("\nReport", *(f"  {printable(page)}" for page in pages), sep="\n")
    if note := standing_build.divided().note:
        print(f"\nAlso in results/\n  {printable(note)}")
    if hints and (run is None or run.complete):
        print("\nNext", *(f"  {hint}" for hint in hints), sep="\n")
    print(flush=True)


def ends(artifacts: list[Artifact]) -> list[Artifact]:
    """Return the artifacts that no other one was made from."""
    read = {item.path for artifact in artifacts for item in artifact.record.inputs}
    return [item for item in artifacts if str(item.path) not in read]
