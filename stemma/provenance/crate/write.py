"""Writes a run as a Provenance Run Crate 0.5 (RO-Crate 1.1, Workflow Run RO-Crate), derived from its records alone.

Every job is a CreateAction: its script is the instrument, its inputs and params are the object, its artifacts the
result, each with the digest in its record. `write_crate` also copies the workflow's files into the crate, whose root is
the report's directory. Artifacts lie outside of it and are named by relative paths, `../clean/...`: they are the built
files themselves, not copies, and publishing a run means publishing results/. Of the artifacts only manifests are read,
and no clock: the same records give the same bytes, which the library rocrate does not (it states when it writes).
Signatures are verified elsewhere, by stemma/provenance/verify.py.
"""

import json
from pathlib import Path

from stemma.base import digest
from stemma.base.errors import StemmaError
from stemma.base.typed_json import made
from stemma.provenance.catalogue import Artifact, current
from stemma.provenance.crate.entities import (
    DONE,
    Crate,
    Entity,
    Job,
    add_artifact,
    add_input,
    add_job,
    data_id,
    file_of,
    times_of,
)
from stemma.provenance.trust import Records
from stemma.store import artifact
from stemma.store.local import Store
from stemma.store.placement import take_away, write_view

METADATA = "ro-crate-metadata.json"
WORKFLOW = "workflow"  # the directory of the workflow's own files, below the crate's root
CRATE = "https://w3id.org/ro/crate/1.1"
PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": "Process Run Crate",
    "https://w3id.org/ro/wfrun/workflow/0.5": "Workflow Run Crate",
    "https://w3id.org/ro/wfrun/provenance/0.5": "Provenance Run Crate",
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": "Workflow RO-Crate",
}
RUN_TERMS = ("ParameterConnection", "connection", "sourceParameter", "targetParameter", "sha256", "resourceUsage")
TERMS = {term: f"https://w3id.org/ro/terms/workflow-run#{term}" for term in RUN_TERMS}
SNAKEMAKE = "https://snakemake.github.io"


def write_crate(records: Records, root: Path, workflow: list[Path]) -> None:
    """Write root/ro-crate-metadata.json and root/workflow/. `workflow`: the Snakefile, then the files it includes.

    Artifacts' paths are relative to the current directory. Raises StemmaError where nothing with a record is in
    results/."""
    if absent := next((path for path in workflow if not path.is_file()), None):
        raise StemmaError(f"{absent} is no file here; name the Snakefile, then the files that it includes")
    files = {f"{WORKFLOW}/{name_of(path, workflow[0])}": path.read_bytes() for path in workflow}
    artifacts = current(records)
    if not artifacts:
        raise StemmaError("nothing that has a record stands in results/ here; build something first: snakemake")
    store = records.store
    graph = crate_of(artifacts, root, files, store)
    for path in artifact.marked_below(root / WORKFLOW):
        if str(path.relative_to(root)) not in files:  # left by a workflow that had more files
            take_away(store, path)
            artifact.mark_path(path).unlink()
    for name, data in files.items():
        write_view(store, root / name, data)
    text = json.dumps({"@context": [f"{CRATE}/context", TERMS], "@graph": graph}, indent=1, ensure_ascii=False)
    write_view(store, root / METADATA, f"{text}\n".encode())


def name_of(path: Path, main: Path) -> str:
    """Return a workflow file's name in the crate: its path below the Snakefile's directory, else its last component."""
    house = main.resolve().parent
    return str(path.resolve().relative_to(house)) if path.resolve().is_relative_to(house) else path.name


def crate_of(artifacts: list[Artifact], root: Path, workflow: dict[str, bytes], store: Store) -> list[Entity]:
    """Return the @graph. `workflow`: the workflow's files by their name in the crate, the main one first."""
    crate = Crate(root, {str(item.path): item for item in artifacts})
    jobs = jobs_of(artifacts)
    main = next(iter(workflow))
    descriptor = {"@id": METADATA, "@type": "CreativeWork", "about": {"@id": "./"}}
    crate.add(descriptor | {"conformsTo": [{"@id": CRATE}, {"@id": list(PROFILES)[-1]}]})
    crate.add(root_of(jobs, artifacts, main))
    for name, data in workflow.items():
        crate.append({"@id": "./"}, "hasPart", crate.add(file_of(name, digest.of_bytes(data), len(data))))
    crate.entities[main] |= main_workflow(jobs)
    for item in artifacts:
        crate.append({"@id": "./"}, "hasPart", add_artifact(crate, item))
    for job in jobs:
        add_job(crate, job, main)
    add_run(crate, jobs, main, store)
    add_licences(crate, jobs)
    for identifier, name in PROFILES.items():
        crate.add({"@id": identifier, "@type": "CreativeWork", "name": name, "version": identifier.split("/")[-1]})
    language = {"@id": "#snakemake", "@type": "ComputerLanguage", "name": "Snakemake", "alternateName": "SMK"}
    crate.add(language | {"identifier": {"@id": SNAKEMAKE}, "url": {"@id": SNAKEMAKE}})
    return [{key: plain(value) for key, value in entity.items()} for entity in crate.entities.values()]


def plain(value: object) -> object:
    """Replace a list of one by its element, as RO-Crate 1.1 requires."""
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def jobs_of(artifacts: list[Artifact]) -> list[Job]:
    """Return the jobs in the order of their first artifact, parents before children."""
    found: dict[str, Job] = {}
    for item in artifacts:
        found.setdefault(item.pointer.action, Job(item.record, [])).artifacts.append(item)
    return list(found.values())


def root_of(jobs: list[Job], artifacts: list[Artifact], main: str) -> Entity:
    """Make the root dataset. It is published when the last job ended: later times would be those of a view."""
    return {
        "@id": "./",
        "@type": "Dataset",
        "name": "A Stemma run",
        "description": f"{len(artifacts)} artifacts, what they were made from and how: {len(jobs)} recorded jobs.",
        "datePublished": times_of(last(jobs).record)[1],
        "conformsTo": [{"@id": identifier} for identifier in PROFILES],
        "mainEntity": {"@id": main},
        "mentions": [],
        "hasPart": [],
    }


def main_workflow(jobs: list[Job]) -> Entity:
    """Make the Snakefile's properties as a workflow. Its version is the commit of the checkout that the last job ran
    in."""
    checkout = last(jobs).record.checkout
    return {
        "@type": ["File", "SoftwareSourceCode", "ComputationalWorkflow", "HowTo"],
        "name": "Snakefile",
        "programmingLanguage": {"@id": "#snakemake"},
        "hasPart": [],
        "step": [],
        "connection": [],
        **({"version": checkout.commit} if checkout else {}),
    }


def add_run(crate: Crate, jobs: list[Job], main: str, store: Store) -> None:
    """Add the run as a whole: from the sources to what no job consumes, organized by Snakemake."""
    begun = min(times_of(job.record)[0] for job in jobs)
    consumed = {item.path for job in jobs for item in job.record.inputs}
    sources = [add_input(crate, item) for job in jobs for item in job.record.inputs if item.is_source]
    ended = crate.entities["./"]["datePublished"]
    run: Entity = {
        "@id": "#run",
        "@type": "CreateAction",
        "name": "the run",
        "description": "every job that made what stands",
        "instrument": {"@id": main},
        "startTime": begun,
        "endTime": ended,
        "actionStatus": DONE,
        "object": unique(sources),
        "result": [data_id(crate, item) for path, item in crate.standing.items() if path not in consumed],
    }
    crate.entities["./"]["mentions"].insert(0, crate.add(run))
    engine = {"@id": "#engine", "@type": "SoftwareApplication", "name": "Snakemake", "url": {"@id": SNAKEMAKE}}
    version = version_of("snakemake", jobs, store)
    organize: Entity = {
        "@id": "#organize",
        "@type": "OrganizeAction",
        "name": "orchestrate the run",
        "startTime": begun,
        "instrument": crate.add(engine | ({"softwareVersion": version} if version else {})),
        "endTime": ended,
    }
    controls = [{"@id": job.id.replace("#job/", "#control/")} for job in jobs]
    crate.add(organize | {"object": controls, "result": {"@id": "#run"}})


def add_licences(crate: Crate, jobs: list[Job]) -> None:
    """License each artifact by what its job is told as `license` (SPDX), and the run by all of them together."""
    found = []
    for job in jobs:
        name = job.record.told.get("license")
        if not isinstance(name, str):
            continue
        address = f"#{name}" if name.startswith("LicenseRef-") else f"https://spdx.org/licenses/{name}"
        licence = crate.add({"@id": address, "@type": "CreativeWork", "name": name, "identifier": name})
        for item in job.artifacts:
            crate.entities[data_id(crate, item)["@id"]]["license"] = licence
        found.append(licence)
    crate.entities["./"]["license"] = sorted(unique(found), key=lambda one: one["@id"]) or "No record states a licence."


def unique(references: list[Entity]) -> list[Entity]:
    """Return the references without duplicates, in order."""
    return [{"@id": identifier} for identifier in dict.fromkeys(one["@id"] for one in references)]


def last(jobs: list[Job]) -> Job:
    """Return the job that ended last."""
    return max(jobs, key=lambda job: times_of(job.record)[1])


def version_of(distribution: str, jobs: list[Job], store: Store) -> str | None:
    """Return a distribution's version in the last job's environment; None where the store has lost that."""
    lock = made(dict[str, str], store.read_json(last(jobs).record.objects.get("environment", "")))
    return lock.get(distribution) if lock else None
