"""The short account at the end of a run: artifacts with sizes and digests, key figures, where to look next."""

from pathlib import Path

from stemma.catalogue import current, figure, short, size_text
from stemma.store import Store

PAGE = Path("results/report/index.html")


def print_summary(store: Store, targets: list[str], figures: list[str], hints: list[str]) -> None:
    """`targets`: the artifacts to list (none: all); `figures`: `label=target:metric`; `hints`: lines."""
    artifacts = current(store)
    shown = [item for item in artifacts if not targets or item.target in targets]
    print("\nArtifacts")
    for item in shown:
        print(f"  {item.target:<34} {size_text(item.size):>10}  sha256 {item.pointer.sha256[:16]}")
    lines = []
    for text in figures:
        label, _, place = text.partition("=")
        target, _, key = place.partition(":")
        value = figure(artifacts, target, key)
        if value is not None:
            lines.append(f"  {label:<44} {short(value)}")
    if lines:
        print("\nKey figures", *lines, sep="\n")
    if PAGE.is_file():
        print(f"\nReport\n  {PAGE}")
    if hints:
        print("\nNext", *(f"  {hint}" for hint in hints), sep="\n")
    print(flush=True)
