"""The engine's command line: `python -m stemma COMMAND --help`."""

import argparse
import json
import os
import sys
from pathlib import Path

from stemma.errors import StemmaError

ROOT = Path(os.environ.get("STEMMA_ROOT", Path(__file__).resolve().parent.parent))


def main(arguments: list[str] | None = None) -> int:
    """Dispatch to a command. An error that the user can mend is one line and exit status 2."""
    parsed = parser().parse_args(arguments)
    try:
        parsed.handler(parsed)
    except StemmaError as error:
        print(f"error: {getattr(parsed, 'what', '')}{error}", file=sys.stderr)
        return 2
    except OSError as error:
        if error.errno != 28:
            raise
        print(
            f"error: no space left on the device ({error.filename}); free some and run again, nothing is lost",
            file=sys.stderr,
        )
        return 2
    return 0


def parser() -> argparse.ArgumentParser:
    """All commands with their options."""
    top = argparse.ArgumentParser(prog="python -m stemma", description=__doc__, allow_abbrev=False)
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    run = commands.add_parser("run", help="run one job through the store (what a rule's shell line calls)")
    run.add_argument("script")
    for name in ("rule", "expected", "store", "numeric", "log"):
        run.add_argument(f"--{name}", required=True)
    run.add_argument("--threads", type=int, required=True)
    for name in ("wildcards", "params"):
        run.add_argument(f"--{name}", type=json.loads, default={})
    for name in ("input", "source", "output"):
        run.add_argument(f"--{name}", action="append", default=[], metavar="NAME=PATH")
    run.set_defaults(handler=handle_run)

    closure = commands.add_parser("closure", help="print what a script's result depends on in code")
    closure.add_argument("script", type=Path)
    closure.set_defaults(handler=handle_closure)

    show = commands.add_parser("show", help="print the record of an artifact")
    show.add_argument("target", type=Path)
    show.add_argument("--store", type=Path, default=Path("results/.store"))
    show.set_defaults(handler=handle_show)

    summary = commands.add_parser("summary", help="what was built: artifacts, sizes, digests, key figures")
    summary.add_argument("--store", type=Path, default=Path("results/.store"))
    for name in ("target", "figure", "hint"):
        summary.add_argument(f"--{name}", action="append", default=[])
    summary.set_defaults(handler=handle_summary)

    report = commands.add_parser("report", help="write the HTML page of a run from its records")
    report.add_argument("page", type=Path)
    report.add_argument("--store", type=Path, default=Path("results/.store"))
    report.add_argument("--figure", action="append", default=[], metavar="LABEL=TARGET:METRIC")
    report.set_defaults(handler=handle_report)
    return top


def handle_run(parsed: argparse.Namespace) -> None:
    """`run`: see stemma/run.py."""
    from stemma.record import Job
    from stemma.run import describe, run_job
    from stemma.store import Store

    job = Job(
        parsed.rule,
        parsed.script,
        parsed.wildcards,
        parsed.params,
        paired(parsed.input),
        paired(parsed.source),
        paired(parsed.output),
        parsed.expected,
        parsed.numeric,
        parsed.threads,
    )
    parsed.what = f"{job.rule} {describe(job)}: "
    run_job(job, Store(Path(parsed.store)), ROOT, Path(parsed.log))


def handle_closure(parsed: argparse.Namespace) -> None:
    """`closure`: modules, data files and distributions with digests and versions."""
    from stemma.closure import closure_of

    script = parsed.script.resolve()
    closure = closure_of(script.relative_to(ROOT) if script.is_relative_to(ROOT) else parsed.script, ROOT)
    for name, sha256 in {**closure.modules, **closure.data_files}.items():
        print(f"{sha256[:12]}  {name}")
    for name, version in closure.distributions.items():
        print(f"{'':12}  {name}=={version}")
    print(f"{closure.key[:12]}  (the whole)")


def handle_show(parsed: argparse.Namespace) -> None:
    """`show`: the record as indented JSON."""
    from stemma.artifact import read_pointer
    from stemma.store import Store

    pointer = read_pointer(parsed.target)
    record = Store(parsed.store).read_record(pointer.action) if pointer else None
    if record is None:
        raise StemmaError(f"{parsed.target} has no record here; build it first: snakemake {parsed.target}")
    print(json.dumps(record, indent=2, ensure_ascii=False))


def handle_summary(parsed: argparse.Namespace) -> None:
    """`summary`: see stemma/summary.py."""
    from stemma.store import Store
    from stemma.summary import print_summary

    print_summary(Store(parsed.store), parsed.target, parsed.figure, parsed.hint)


def handle_report(parsed: argparse.Namespace) -> None:
    """`report`: see stemma/report.py."""
    from stemma.report import write_report
    from stemma.store import Store

    write_report(Store(parsed.store), parsed.page, parsed.figure)


def paired(options: list[str]) -> dict[str, list[str]]:
    """["name=path", ...] -> {"name": ["path", ...]}, in the order given."""
    found: dict[str, list[str]] = {}
    for option in options:
        name, _, path = option.partition("=")
        found.setdefault(name, []).append(path)
    return found


if __name__ == "__main__":
    sys.exit(main())
