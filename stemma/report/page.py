"""Renders the page of a run: a poster filled from records, with a register of every artifact. One HTML file, no
network.

The template engine escapes every text; style and script are allowed by digest alone (Content-Security-Policy), so
nothing in a document, a name or a record can act on the page. The same records and artifacts give the same bytes.
"""

import base64
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from stemma.base import digest
from stemma.base.errors import StemmaError
from stemma.base.settings import Settings
from stemma.base.wording import duration, short, size_text
from stemma.planning.planned_jobs import call_for
from stemma.provenance.catalogue import Artifact, current
from stemma.provenance.slsa import statement_of
from stemma.provenance.trust import Records
from stemma.provenance.verify import Verifier
from stemma.report import poster as description
from stemma.report.family import Family, Line
from stemma.report.values import figures, notes, rows
from stemma.store.local import Store
from stemma.store.placement import write_view

TEMPLATES = Path(__file__).with_name("templates")
RECORDS = 1_500_000  # bytes of records on a page; beyond that the page names the command that prints one
ENTRIES = 500  # artifacts in the register; the poster's figures count all
PICTURES = 1_500_000  # bytes of the blocks' pictures; those beyond are named, and not drawn
IMAGE = 300_000  # bytes of the largest SVG artifact that is shown


@dataclass
class Entry:
    """An artifact as the register shows it."""

    item: Artifact
    id: str
    fault: str | None
    above: tuple[list[Line], int]
    below: tuple[list[Line], int]
    children: list[str]
    siblings: list[str]
    record: str | None
    image: str | None
    find: str


def write_report(settings: Settings, description_file: Path, page: Path) -> None:
    """Write the page: the poster's description filled with what stands in results/."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    poster = description.load(description_file)
    artifacts = current(Records.of(settings))
    faults = faults_of(settings, artifacts)
    readable = {item.path for item in artifacts if faults[item.path] is None}
    stages = [
        (stage, [description.filled(stage, block, artifacts, readable) for block in stage.blocks])
        for stage in poster.stages
    ]
    bound([plot for _, blocks in stages for filled in blocks for plot in filled.plots])
    named = {item.path for _, blocks in stages for filled in blocks for item in filled.artifacts}
    for stage, blocks in stages:
        add_rest(stage, blocks, [item for item in artifacts if item.path not in named])
    entries = register(artifacts, faults)
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"short": short, "size": size_text, "rows": rows, "seconds": duration}
    environment.filters |= {"svg": Markup, "path": breakable}
    style, script = ((TEMPLATES / name).read_text(encoding="utf-8") for name in ("report.css", "report.js"))
    text = environment.get_template("report.html").render(
        poster=poster,
        stages=stages,
        entries=entries,
        shelves=by_stage(entries, {stage.folder: stage.name for stage in poster.stages}),
        total=len(artifacts),
        faulty=sum(fault is not None for fault in faults.values()),
        places={str(entry.item.path): entry for entry in entries},
        headline=figures(artifacts, poster.headline),
        notes=notes(artifacts, poster.notes),
        glance=description.at_a_glance(poster, artifacts, readable),
        run=run_of(artifacts, page),
        spans=spans,
        reference=compared(artifacts, poster.reference),
        flows=[figures(artifacts, stage.flow) for stage in poster.stages],
        usage=usage(artifacts),
        beside=[name for name in BESIDE if (page.parent / name).is_file()],
        style=Markup(style),
        script=Markup(script),
        style_hash=source_hash(style),
        script_hash=source_hash(script),
    )
    write_view(Store.of(settings), page, text.encode())


def bound(plots: list[dict]) -> None:
    """Turn those plots whose pictures, with all before them, exceed PICTURES into a sentence."""
    left = PICTURES
    for plot in plots:
        svgs = [plot.get("svg", ""), *(svg for _, svg, *_ in plot.get("tiles", []) + plot.get("strips", []))]
        size = sum(map(len, svgs))
        if size > left:
            plot["kind"] = "omitted"
        else:
            left -= size


def breakable(path: object) -> str:
    """Return a path's HTML that a narrow window may break after a slash, where a browser would break within a name."""
    from markupsafe import Markup, escape

    return Markup("/<wbr>").join(escape(path).split("/"))


WIDE, NARROW = 5, 3  # blocks in a row at most, on a wide and on a narrower window


def spans(blocks: int) -> list[tuple[int, int]]:
    """Return for each block how many share its row, on a wide and on a narrower window: rows as even as they can be,
    so that none has a block alone."""
    return list(zip(in_rows(blocks, WIDE), in_rows(blocks, NARROW), strict=True))


def in_rows(blocks: int, most: int) -> list[int]:
    """Return the length of the row that each block stands in."""
    count = -(-blocks // most)
    lengths = [blocks // count + (row < blocks % count) for row in range(count)]
    return [length for length in lengths for _ in range(length)]


def run_of(artifacts: list[Artifact], page: Path) -> dict[str, str]:
    """Return what this run is: its config files, the commit and the day of its latest job; what is unknown is left
    out."""
    found = {}
    call = call_for(str(page))
    if call is not None:
        found["config"] = " + ".join(Path(name).stem for name in call.configfiles) or "config"
    if artifacts:
        latest = max((item.record for item in artifacts), key=lambda record: record.finished)
        if latest.checkout:
            found["commit"] = latest.checkout.commit[:12]
        found["date"] = latest.finished[:10]
    return found


# These are linked from the page where they exist.
BESIDE = ("records.pem", "models.pem", "ro-crate-metadata.json", "../clean.croissant.json")


def faults_of(settings: Settings, artifacts: list[Artifact]) -> dict[Path, str | None]:
    """Return what is wrong with each artifact, its record or the records behind it, as `verify` says it; None:
    nothing."""
    verifier = Verifier(settings)
    found: dict[Path, str | None] = {}
    for item in artifacts:
        before = len(verifier.findings.faults)
        record = verifier.artifact(item.path)
        if record:
            verifier.chain(item.path, record)
        news = [fault.removeprefix(f"{item.path}: ") for fault in verifier.findings.faults[before:]]
        found[item.path] = "; ".join(news) or (None if record else "its record cannot be believed, as named above")
    return found


def add_rest(stage: description.Stage, blocks: list[description.Filled], nameless: list[Artifact]) -> None:
    """Give the artifacts of a stage that no block names a block of their own, so that nothing is hidden."""
    rest = [item for item in nameless if item.stage == stage.folder]
    if rest:
        block = description.Block("MORE", "Also built", "What this stage made besides")
        counted = [("artifacts", short(len(rest))), ("size", size_text(sum(item.size for item in rest)))]
        blocks.append(description.Filled(block, f"{stage.folder}-more", rest, counted, [], []))


def register(artifacts: list[Artifact], faults: dict[Path, str | None]) -> list[Entry]:
    """Return the artifacts with their families and records: the first ENTRIES, faulty ones before all others."""
    family = Family(artifacts)
    together: dict[str, list[str]] = {}
    for item in artifacts:
        together.setdefault(item.pointer.action, []).append(str(item.path))
    kept = {item.path for item in sorted(artifacts, key=lambda item: faults[item.path] is None)[:ENTRIES]}
    shown: set[str] = set()
    left = RECORDS
    entries = []
    for item in artifacts:
        if item.path not in kept:
            continue
        path = str(item.path)
        siblings = [other for other in together[item.pointer.action] if other != path]
        text = None
        if item.pointer.action not in shown:
            text = json.dumps(statement_of(item.record), indent=1, ensure_ascii=False, sort_keys=True)
            left -= len(text)
            shown.add(item.pointer.action)
        entries.append(
            Entry(
                item,
                f"a-{digest.of_bytes(path.encode())[:12]}",
                faults[item.path],
                family.ancestors(path),
                family.descendants(path),
                family.children.get(path, []),
                siblings,
                text if left >= 0 else None,
                image(item) if faults[item.path] is None else None,
                " ".join([path, item.rule, item.stage, item.pointer.sha256, *words(item.params)]).lower(),
            )
        )
    return entries


def by_stage(entries: list[Entry], names: dict[str, str]) -> dict[str, list[Entry]]:
    """Return the entries of each stage that has any, by its name: the poster's stages first, in its order."""
    shelves: dict[str, list[Entry]] = {name: [] for name in names.values()}
    for entry in entries:
        shelves.setdefault(names.get(entry.item.stage, entry.item.stage), []).append(entry)
    return {name: shelf for name, shelf in shelves.items() if shelf}


def words(params: object) -> list[str]:
    """Return the short texts among an artifact's params: its source, its licence, its domain."""
    if isinstance(params, dict):
        return [word for value in params.values() for word in words(value)]
    return [params] if isinstance(params, str) and len(params) < 80 else []


def image(item: Artifact) -> str | None:
    """Return an SVG artifact as a data URI (in an <img> it cannot act on the page); None for anything else."""
    if item.path.suffix != ".svg" or item.size > IMAGE:
        return None
    return "data:image/svg+xml;base64," + base64.b64encode(item.path.read_bytes()).decode()


def compared(artifacts: list[Artifact], reference: dict) -> dict:
    """Return this run's figures beside those of the poster's reference."""
    if not reference:
        return {}
    pairs = [(figures(artifacts, [row]), row["beside"]) for row in reference["rows"]]
    return {**reference, "rows": [(found[0][0], found[0][1], beside) for found, beside in pairs if found]}


def usage(artifacts: list[Artifact]) -> dict:
    """Return what all jobs cost together; a job with several outputs counts once."""
    jobs = list({item.pointer.action: item.usage for item in artifacts}.values())
    return {
        "jobs": len(jobs),
        "seconds": sum(job["seconds"] for job in jobs),
        "cpu": sum(job["cpu_seconds"] for job in jobs),
        "peak": max((job["peak_memory_bytes"] for job in jobs), default=0),
        "size": sum(item.size for item in artifacts),
    }


def source_hash(text: str) -> str:
    """Return the name of an inline style or script in a Content-Security-Policy: its SHA-256."""
    if "</" in text:
        raise StemmaError("stemma/report/templates: a style or script must not hold '</'; it would end itself")
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
