"""Verifies that everything in results/ is what its records state, and that trusted keys have signed the records.

It walks from artifacts to the raw bytes: the file's bytes, the pointer, the signed record, and for each input the
record that the child names by digest, with that record's own parents (a Merkle chain); then to the installed packages
that the records state. A fault is forgery or damage. An honest artifact that is out of date (a source was edited, a
parent rebuilt) is stale: that is a note and no fault. Nothing is changed; how to rebuild is `python -m stemma why`'s
answer.
"""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from stemma.base import digest
from stemma.base.errors import StemmaError
from stemma.base.settings import Settings
from stemma.base.typed_json import made
from stemma.base.untrusted_files import Unusable
from stemma.code.closure import Description
from stemma.code.installed_files import examine
from stemma.provenance import model_signing, standing_build
from stemma.provenance.changed_tensors import described
from stemma.provenance.dsse import signer_of
from stemma.provenance.read_once import Envelopes, Hashes
from stemma.provenance.record import Input, Record
from stemma.provenance.trust import Records
from stemma.store import artifact
from stemma.store.artifact import MANIFEST, SIGNATURE, Pointer
from stemma.store.local import object_name


def verify(settings: Settings, targets: list[Path], everything: bool = False) -> "Findings":
    """Check the targets with all their ancestors. Without targets, check the build that stands in results/ and, with
    `everything`, what other builds left there. Raises StemmaError for a target that is no artifact."""
    verifier = Verifier(settings)
    found = [path for target in targets for path in declared(target)]
    if not targets:
        standing = standing_build.divided()
        found = [path for path, _ in standing.own + (standing.others if everything else [])]
        verifier.findings.others = None if everything else standing.note
    for path in found:
        verifier.walk(path)
    verifier.packages()
    return verifier.findings


def declared(target: Path) -> list[Path]:
    """Return the artifact at a path: a file, or a directory's manifest. Raises StemmaError where there is none."""
    for path in (target / MANIFEST, target):
        if artifact.pointer_path(path).is_file():
            return [path]
    raise StemmaError(f"{target} has no record here; build it first: snakemake {target}")


def misfit(record: Record, sha256: str, pointer: Pointer, path: Path, place: Path) -> str | None:
    """Return why a record at `place`, with this digest, is not the one that a pointer names; None if it is."""
    if record.action != pointer.action:
        return f"its record {place} is that of another action, {record.action[:12]}"
    if sha256 != pointer.record:
        then = f"(sha256 {sha256[:12]}, then {pointer.record[:12]})"
        return f"its record {place} is signed, but not the one that made it {then}"
    if not record.states(pointer.output, pointer.position, pointer.sha256):
        return f"its pointer {artifact.pointer_path(path)} states bytes that its record does not"
    return None


@dataclass
class Findings:
    """What was checked, and what is wrong with it. `keys`: ids of the keys that signed the records. `others`: a line
    about what was skipped because it does not belong to the build."""

    artifacts: set[str] = field(default_factory=set)
    records: set[str] = field(default_factory=set)
    keys: set[str] = field(default_factory=set)
    faults: list[str] = field(default_factory=list)
    stale: list[str] = field(default_factory=list)
    others: str | None = None

    def blame(self, fault: str) -> None:
        """Add a fault, in one line, once."""
        if fault not in self.faults:
            self.faults.append(fault)

    def note(self, text: str) -> None:
        """Add a note of something out of date, in one line, once."""
        if text not in self.stale:
            self.stale.append(text)

    @property
    def counts(self) -> str:
        """The counts as text: 44 artifacts, 44 records, 1 key."""
        numbers = {"artifact": self.artifacts, "record": self.records, "key": self.keys}
        return ", ".join(f"{len(found):,} {name}{'' if len(found) == 1 else 's'}" for name, found in numbers.items())


class Verifier:
    """One verification: each file is hashed once and each record checked once, however many names and children it
    has."""

    def __init__(self, settings: Settings):
        self.settings = settings
        self.records = Records.of(settings)
        self.store = self.records.store
        self.envelopes = Envelopes(self.store)
        self.findings = Findings()
        self.hashes = Hashes()
        self.sound: dict[str, Record | None] = {}  # envelope's digest -> its record, None if not trusted
        self.objects: set[str] = set()
        self.linked: set[str] = set()  # envelopes whose parents were checked
        self.closures: Counter[str] = Counter()  # digest of a closure's description -> number of records that state it

    def walk(self, path: Path) -> None:
        """Check an artifact, then its parents as they stand, then theirs, and the chain of records behind them."""
        waiting = [path]
        while waiting:
            path = waiting.pop()
            if str(path) in self.findings.artifacts:
                continue
            self.findings.artifacts.add(str(path))
            record = self.artifact(path)
            if record is None:
                continue
            self.chain(path, record)
            for item in record.inputs:
                parent = Path(item.path)
                if item.is_source:
                    self.source(path, item)
                elif not parent.is_file():
                    self.findings.note(f"{parent} is gone; {path} was made from it")
                else:
                    waiting.append(parent)
                    pointer = artifact.read_pointer(parent)
                    if pointer and pointer.sha256 != item.sha256:
                        self.findings.note(f"{path} was made from other bytes of {parent} than stand there now")

    def artifact(self, path: Path) -> Record | None:
        """Check one artifact against its pointer and its record; return the record if it can be trusted."""
        pointer = artifact.read_pointer(path)
        if pointer is None:
            self.findings.blame(f"{path}: its pointer {artifact.pointer_path(path)} is missing or not whole")
            return None
        self.content(path, pointer)
        place = self.store.record_path(pointer.action)
        envelope = self.envelopes.of_action(pointer.action)
        if envelope is None:
            self.findings.blame(f"{path}: its record {place} is missing")
            return None
        record = self.believed(envelope, f"{path}: its record {place}")
        wrong = misfit(record, digest.of_bytes(envelope), pointer, path, place) if record else None
        if wrong:
            self.findings.blame(f"{path}: {wrong}")
        return None if wrong else record

    def content(self, path: Path, pointer: Pointer) -> None:
        """Check that the file, and all files that a manifest lists, have the recorded bytes."""
        if not self.has(path, pointer.sha256) or not artifact.is_directory(path):
            return
        try:
            files = artifact.listed(path)
        except ValueError as error:
            self.findings.blame(f"{path} {error}")
            return
        for name, sha256 in files.items():
            self.has(path.parent / name, sha256)
        for found in digest.files_below(path.parent):
            name = str(found.relative_to(path.parent))
            if name == SIGNATURE:
                wrong = model_signing.fault(path.parent, {**files, MANIFEST: pointer.sha256}, self.settings)
                if wrong:
                    self.findings.blame(f"{found} {wrong}")
            elif name not in files and name != MANIFEST and not artifact.is_of_another(found, path.parent):
                self.findings.blame(f"{found} is not listed in {path}")

    def has(self, path: Path, sha256: str) -> bool:
        """Check that the file has this digest; if not, it is a fault."""
        if not path.is_file():
            self.findings.blame(f"{path} is missing")
            return False
        found = self.hashes.of(path)
        if found != sha256:
            where = described(path, self.store.object_path(sha256))
            digests = f"(sha256 {found[:12]}, recorded {sha256[:12]})"
            self.findings.blame(f"{path} was changed after it was built {digests}{where}")
        return found == sha256

    def believed(self, envelope: bytes, what: str) -> Record | None:
        """Return the record in an envelope if signature, schema and stored objects are in order; otherwise it is a
        fault."""
        sha256 = digest.of_bytes(envelope)
        if sha256 not in self.sound:
            self.sound[sha256] = self.opened(envelope, what)
        return self.sound[sha256]

    def opened(self, envelope: bytes, what: str) -> Record | None:
        """Check an envelope that was not met yet, and the stored descriptions that its record names."""
        try:
            record = self.records.checked(envelope)
        except Unusable as why:
            self.findings.blame(f"{what} {why}")
            return None
        self.findings.records.add(digest.of_bytes(envelope))
        signer = signer_of(envelope)
        assert signer is not None
        self.findings.keys.add(signer)
        for name, sha256 in record.objects.items():
            self.object(sha256, name, what)
        if "closure" in record.objects:
            self.closures[record.objects["closure"]] += 1
        return record

    def object(self, sha256: str, name: str, what: str) -> None:
        """Check that something a record refers to is in the store or the shared store; the own copy must be
        undamaged."""
        if sha256 in self.objects:
            return
        self.objects.add(sha256)
        path = self.store.object_path(sha256)
        here = path.is_file() and self.hashes.of(path) == sha256
        if not here and not self.store.through(lambda shared: shared.has(object_name(sha256)), False):
            self.findings.blame(f"{what} refers to the {name} {path}, which is missing or damaged")

    def chain(self, path: Path, record: Record) -> None:
        """Check that every record a record descends from exists, is trusted, and made the bytes that its child
        consumed."""
        waiting = [(str(path), record)]
        while waiting:
            child, record = waiting.pop()
            for item in record.inputs:
                if item.record is None:
                    continue
                parent = self.parent(child, item, item.record)
                if parent and item.record not in self.linked:
                    self.linked.add(item.record)
                    waiting.append((f"{item.path} ({item.record[:12]})", parent))

    def parent(self, child: str, item: Input, link: str) -> Record | None:
        """Return the record that a child names as its input's, by its digest. It is no fault here where the artifact at
        that path has one."""
        if link not in self.sound:
            pointer = artifact.read_pointer(Path(item.path))
            stands = pointer is not None and pointer.record == link
            envelope = self.envelopes.of_digest(link, pointer.action if pointer and stands else None)
            if envelope is None:
                if not stands:
                    self.findings.blame(
                        f"{child}: the record {link[:12]} of its input {item.path} is missing, or was changed since"
                    )
                return None
            self.believed(envelope, f"{item.path}: its record {link[:12]}")
        record = self.sound[link]
        if record and item.sha256 not in {made.sha256 for made in record.outputs}:
            self.findings.blame(
                f"{child}: its input {item.path} ({item.sha256[:12]}) was not made by the record that it names"
            )
            return None
        return record

    def source(self, path: Path, item: Input) -> None:
        """Note a source in this directory that is gone or changed; one elsewhere is not looked for."""
        if item.outside:
            return
        name = Path(item.path)
        if not name.exists():
            self.findings.note(f"source {name} is gone; {path} was made from it")
        elif self.hashes.of_source(name) != item.sha256:
            self.findings.note(f"source {name} was changed since {path} was made from it")

    def packages(self) -> None:
        """Check the installed files of each package that a record states with the installed version. Whether they were
        edited before a job loaded them or after cannot be known."""
        stated: Counter[tuple[str, str]] = Counter()
        for sha256, records in self.closures.items():
            description = made(Description, self.store.read_json(sha256))
            for package in description.distributions.items() if description else ():
                stated[package] += records
        for (name, version), records in sorted(stated.items()):
            found = examine(name)
            if found and found.version == version and found.faults:
                of = "1 record states" if records == 1 else f"{records:,} records state"
                self.findings.blame(f"package {name} {version}: {found.told}, and {of} that version; {found.remedy}")
