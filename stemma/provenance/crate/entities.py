"""Makes the entities of a Provenance Run Crate: artifacts, and each job's action, tool, step, parameters and record.

Each function adds what it names to a Crate and returns a reference to it. The crate as a whole is put together and
written in stemma/provenance/crate/write.py. The only artifacts that are opened are manifests.
"""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from stemma.base import digest
from stemma.provenance.catalogue import Artifact
from stemma.provenance.record import Input, Record

USAGE = {"cpu_seconds": "https://qudt.org/vocab/unit/SEC", "peak_memory_bytes": "https://qudt.org/vocab/unit/BYTE"}
DONE = "http://schema.org/CompletedActionStatus"
UNKNOWN_FORMAT = "application/octet-stream"
FORMATS = {
    ".json": "application/json",
    ".jsonl": "application/jsonl",
    ".parquet": "application/vnd.apache.parquet",
    ".smk": "text/x-python",
    ".svg": "image/svg+xml",
    ".txt": "text/plain",
}

Entity = dict


@dataclass
class Job:
    """A record with the artifacts in results/ that it made."""

    record: Record
    artifacts: list[Artifact]

    @property
    def rule(self) -> str:
        """The rule that made them."""
        return self.record.rule

    @property
    def name(self) -> str:
        """The rule and its wildcards, unique among the jobs of one config."""
        wildcards = self.record.wildcards.items()
        return " ".join([self.rule, *(f"{name}={value}" for name, value in sorted(wildcards))])

    @property
    def id(self) -> str:
        """The @id of its CreateAction."""
        return "#job/" + "/".join(quote(part, safe="=") for part in self.name.split(" "))


@dataclass
class Crate:
    """The entities so far by @id, and the artifacts in results/ by path. `root` is the crate's directory."""

    root: Path
    standing: dict[str, Artifact]
    entities: dict[str, Entity] = field(default_factory=dict)

    def add(self, entity: Entity) -> Entity:
        """Add an entity unless one with its @id is there; return a reference to the one that is."""
        self.entities.setdefault(entity["@id"], entity)
        return {"@id": entity["@id"]}

    def append(self, reference: Entity, key: str, value: Entity) -> None:
        """Append a value to a list of an entity, unless it is in it."""
        values = self.entities[reference["@id"]].setdefault(key, [])
        if value not in values:
            values.append(value)


def add_artifact(crate: Crate, item: Artifact) -> Entity:
    """Add a file, or a directory with its manifest and the files that it lists."""
    place = relative(item.path, crate.root)
    if not item.is_directory:
        return crate.add(file_of(place, item.pointer.sha256, item.size))
    folder = relative(item.path.parent, crate.root) + "/"
    reference = crate.add({"@id": folder, "@type": "Dataset", "name": item.target, "hasPart": []})
    manifest = crate.add(file_of(place, item.pointer.sha256, item.path.stat().st_size))
    crate.append(reference, "hasPart", manifest)
    for file in item.files:
        listed = file_of(folder + quote(file.path), file.sha256, file.size)
        crate.append(reference, "hasPart", crate.add(listed))
    return reference


def file_of(identifier: str, sha256: str, size: int | None = None, name: str | None = None) -> Entity:
    """Make the entity of a file with its digest."""
    entity = {"@id": identifier, "@type": "File", "name": name or identifier.lstrip("./"), "sha256": sha256}
    if size is not None:
        entity["contentSize"] = str(size)
    entity["encodingFormat"] = FORMATS.get(Path(entity["name"]).suffix, UNKNOWN_FORMAT)
    return entity


def add_job(crate: Crate, job: Job, main: str) -> None:
    """Add a job's action, the ControlAction behind it, its tool and its step."""
    record = job.record
    step, tool = add_tool(crate, job, main)
    started, finished = times_of(record)
    action = crate.add(
        {
            "@id": job.id,
            "@type": "CreateAction",
            "name": job.name,
            "description": f"{record.script} run by the rule {job.rule}",
            "identifier": f"sha256:{record.action}",
            "instrument": tool,
            "startTime": started,
            "endTime": finished,
            "actionStatus": DONE,
            "object": [],
            "result": [],
            "resourceUsage": [],
            "subjectOf": add_record(crate, job),
        }
    )
    for item in record.inputs:
        given = add_input(crate, item)
        parameter = add_parameter(crate, job.rule, "input", item.argument, tool, given)
        crate.append(action, "object", given)
        maker = crate.standing.get(item.path)
        if maker:
            add_connection(crate, f"#parameter/{maker.rule}/output/{maker.pointer.output}", parameter, step, main)
    for name, value in record.told.items():
        crate.append(action, "object", add_value(crate, job.rule, name, value, tool))
    for made in job.artifacts:
        result = data_id(crate, made)
        add_parameter(crate, job.rule, "output", made.pointer.output, tool, result)
        crate.append(action, "result", result)
    for name, unit in USAGE.items():
        usage = {"@id": f"{job.id}/usage/{name}", "@type": "PropertyValue", "name": name, "unitCode": unit}
        identifier = f"urn:stemma:usage:{name}"
        value = {"propertyID": identifier, "value": str(record.usage[name])}
        crate.append(action, "resourceUsage", crate.add(usage | value))
    crate.append({"@id": "./"}, "mentions", action)
    control = {"@id": job.id.replace("#job/", "#control/"), "@type": "ControlAction", "name": f"orchestrate {job.name}"}
    crate.add(control | {"instrument": step, "object": action})


def add_tool(crate: Crate, job: Job, main: str) -> tuple[Entity, Entity]:
    """Add and return (step, tool) of a job: its rule, and its script with the closure that ran. A rule has one step; it
    has several tools where results/ holds artifacts of several versions of its script."""
    script, closure = job.record.script, job.record.closure
    name = f"{script}@{closure[:12]}"
    tool = crate.add(
        {
            "@id": f"#tool/{name}",
            "@type": "SoftwareApplication",
            "name": script,
            "softwareVersion": closure,
            "sha256": job.record.modules[script].sha256,
            "input": [],
            "output": [],
        }
    )
    position = len(crate.entities[main]["step"]) + 1
    step = crate.add(
        {
            "@id": f"#step/{job.rule}",
            "@type": "HowToStep",
            "name": job.rule,
            "position": str(position),
            "workExample": [],
        }
    )
    crate.append(step, "workExample", tool)
    crate.append({"@id": main}, "step", step)
    crate.append({"@id": main}, "hasPart", tool)
    return step, tool


def add_parameter(crate: Crate, rule: str, kind: str, name: str, tool: Entity, value: Entity) -> Entity:
    """Add the formal parameter of a rule of which `value` is an example. `kind`: input, output or param."""
    types = crate.entities[value["@id"]]["@type"]
    entity = {"@id": f"#parameter/{rule}/{kind}/{name}", "@type": "FormalParameter", "name": name}
    parameter = crate.add(entity | {"additionalType": types})
    crate.append(tool, "output" if kind == "output" else "input", parameter)
    crate.append(value, "exampleOfWork", parameter)
    return parameter


def add_value(crate: Crate, rule: str, name: str, value: object, tool: Entity) -> Entity:
    """Add a param's value; jobs with the same value share it."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)
    identifier = f"#value/{rule}/{name}/{digest.of_value(value)[:12]}"
    found = crate.add({"@id": identifier, "@type": "PropertyValue", "name": name, "value": text})
    add_parameter(crate, rule, "param", name, tool, found)
    return found


def add_input(crate: Crate, item: Input) -> Entity:
    """Add what a job consumed: the artifact in results/ if it has the consumed bytes; else a file that is known by its
    digest only (a source, or an artifact that has been replaced)."""
    artifact = crate.standing.get(item.path)
    if artifact and artifact.pointer.sha256 == item.sha256:
        return data_id(crate, artifact)
    return crate.add(file_of(f"#sha256/{item.sha256}", item.sha256, name=Path(item.path).name))


def data_id(crate: Crate, item: Artifact) -> Entity:
    """Return a reference to the data entity of an artifact."""
    place = relative(item.path.parent, crate.root) + "/" if item.is_directory else relative(item.path, crate.root)
    return {"@id": place}


def add_record(crate: Crate, job: Job) -> Entity:
    """Add the signed record, named by its digest."""
    sha256 = job.artifacts[0].pointer.record
    entity = {"@id": f"#record/{sha256}", "@type": "CreativeWork", "name": f"in-toto statement of {job.name}"}
    return crate.add(entity | {"sha256": sha256, "encodingFormat": "application/vnd.dsse.envelope.v1+json"})


def add_connection(crate: Crate, source: str, target: Entity, step: Entity, main: str) -> None:
    """Connect one rule's output to the input of another that reads it."""
    if source not in crate.entities:
        return
    names = [identifier.removeprefix("#parameter/") for identifier in (source, target["@id"])]
    entity = {"@id": f"#connection/{'/to/'.join(names)}", "@type": "ParameterConnection"}
    connection = crate.add(entity | {"sourceParameter": {"@id": source}, "targetParameter": target})
    crate.append(step, "connection", connection)
    crate.append({"@id": main}, "connection", connection)


def relative(path: Path, root: Path) -> str:
    """Return a path relative to the crate, percent-encoded."""
    return quote(os.path.relpath(path, root))


def times_of(record: Record) -> tuple[str, str]:
    """Return when the job started and ended, in ISO 8601 with a numeric offset."""
    return record.started.replace("Z", "+00:00"), record.finished.replace("Z", "+00:00")
