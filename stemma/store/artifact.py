"""Artifacts at their declared paths: a file, or a directory that its `manifest.json` lists.

A manifest holds sorted relative names, sizes and SHA-256 digests, so its own digest stands for the whole directory.
For each artifact a pointer under results/.records/ names the record that made it and the digests it must have, so that
an edit is noticed. What a rule or a key contains does not matter here.
"""

import json
import os
import stat
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from stemma.base import digest
from stemma.base.digest import JSON_BYTES, read_json
from stemma.base.errors import StemmaError
from stemma.base.files import is_plain
from stemma.base.typed_json import made
from stemma.base.walk import kind_of, names_below, regular_below, shown
from stemma.store.local import Store
from stemma.store.manifest import MANIFEST, check_names, is_digest, leads_down, read_members
from stemma.store.open_beneath import write_beneath

# OpenSSF Model Signing's signature of a directory: it lies beside the manifest, which does not list it.
SIGNATURE = "model.sig"
POINTERS = Path("results/.records")
MARK = ".view"  # suffix of a view's mark; a view has no record
STAMP = 4  # numbers of a stamp
# Files there that are not pointers.
OWN = ("build", "calls", "config", "plan", "run", "settings", "sources", "sources-read", "stamps")
# Files that the engine put in place: name relative to the declared path's directory -> [sha256, *stamp].
Files = dict[str, list]


@dataclass(frozen=True)
class Pointer:
    """What the engine put at a path: its digest, the action key that made it and which of that action's outputs it is,
    the digest of the record and the id of the key that signed it, the expected key and config at that time, and the
    files. Anybody may have written a pointer: `stemma/provenance/trust.py` checks that a record stands behind it."""

    sha256: str
    action: str
    output: str
    position: int
    record: str
    signer: str
    expected: str
    config: str
    files: Files

    @staticmethod
    def of_json(value: object) -> "Pointer | None":
        """Parse the JSON of asdict; None for anything else."""
        found = made(Pointer, value)
        if found is None or not all(map(is_digest, (found.sha256, found.action, found.record, found.signer))):
            return None
        return found if (found.config == "" or is_digest(found.config)) and are_files(found.files) else None


@dataclass(frozen=True)
class Mark:
    """What the engine put at the path of a view, which is an output that the engine writes itself and no record covers:
    the expected key of the job that wrote it last, and the file."""

    expected: str
    files: Files


def are_files(files: Files) -> bool:
    """Are these well-formed entries of files, all at or below the declared path's directory?"""
    return all(leads_down(name) and is_entry(*entry) for name, entry in files.items())


def is_entry(sha256: object = None, *stamp: object) -> bool:
    """Are these a digest and a stamp?"""
    return is_digest(sha256) and len(stamp) == STAMP and all(type(number) is int for number in stamp)


def is_directory(path: Path) -> bool:
    """Is this declared path the manifest of a directory?"""
    return path.name == MANIFEST


def argument(path: Path) -> Path:
    """Return what a script gets for a declared path: the directory for a manifest, else the file itself."""
    return path.parent if is_directory(path) else path


def pointer_path(path: Path) -> Path:
    """Return where the pointer of a declared path lies: results/.records/ mirrors results/."""
    inside = path.relative_to("results") if path.is_relative_to("results") else Path(str(path).lstrip("/"))
    return POINTERS / f"{inside}.json"


def check_declared(path: str) -> None:
    """Raise StemmaError for a path that no output may have: outside results/, or with a name reserved for the
    engine."""
    results, _, inside = path.partition("/")
    if results != "results" or ".." in inside.split("/"):
        raise StemmaError(f"{path} lies outside results/, and the engine writes nowhere else; correct the rule")
    if inside == MANIFEST:
        raise StemmaError(f"{path}: results/ as a whole can be no artifact; give the rule a directory in it")
    if inside.startswith(".") or inside in OWN:
        kept = f"{POINTERS}/{inside}.json" if inside in OWN else f"results/{inside.partition('/')[0]}"
        raise StemmaError(f"{path}: the engine keeps something of its own in {kept}; give the output another name")


def read_pointer(path: Path, directory: Path = Path()) -> Pointer | None:
    """Read the pointer of a declared path; None if it has none. `directory`: the build's directory, by default here."""
    value = read_json(directory / pointer_path(path))
    return Pointer.of_json(value) if value else None


def pointer_of(path: Path) -> Pointer:
    """Read the pointer of a declared path. Raises StemmaError where there is none."""
    pointer = read_pointer(path)
    if pointer is None:
        raise StemmaError(f"{path} has no record, so nobody knows what it was made from; {remedy(path)}")
    return pointer


def write_pointer(path: Path, pointer: Pointer) -> None:
    """Write the pointer of a declared path."""
    write_beneath(pointer_path(path), json.dumps(asdict(pointer), sort_keys=True).encode())


def mark_path(path: Path) -> Path:
    """Return where the mark of a view lies."""
    return pointer_path(path).with_suffix(MARK)


def read_mark(path: Path) -> Mark | None:
    """Read the mark of a view; None if it has none."""
    found = made(Mark, read_json(mark_path(path)))
    return found if found and are_files(found.files) else None


def write_mark(path: Path, mark: Mark) -> None:
    """Write the mark of a view."""
    write_beneath(mark_path(path), json.dumps(asdict(mark), sort_keys=True).encode())


def marked_below(directory: Path) -> list[Path]:
    """Return the views with a mark below a directory of results/, sorted."""
    marks = (POINTERS / directory.relative_to("results")).rglob(f"*{MARK}") if directory.parts[0] == "results" else ()
    return sorted(Path("results") / mark.relative_to(POINTERS).with_suffix("") for mark in marks)


def put_before(path: Path) -> tuple[dict[str, list[list]], set[str]]:
    """Return the files that the engine put at a declared path and, for a directory, at the paths below it: name
    relative to the path's directory -> [sha256, *stamp] of every time it put that file there; and those names that
    belong to artifacts which are declared below, but for what the path's own artifact has held: of a gathered directory
    a source that is not gathered any more leaves."""
    paths = {path}
    if is_directory(path):
        said = (file for kind in (".json", MARK) for file in pointer_path(path).parent.rglob(f"*{kind}"))
        paths |= {Path("results") / file.relative_to(POINTERS).with_suffix("") for file in said}
    found: dict[str, list[list]] = {}
    own: set[str] = set()
    others: set[str] = set()
    for declared in paths:
        for known in (read_pointer(declared), read_mark(declared)):
            for name, entry in (known.files if known else {}).items():
                inside = str((declared.parent / name).relative_to(path.parent))
                found.setdefault(inside, []).append(entry)
                if isinstance(known, Pointer):
                    (own if declared == path else others).add(inside)
    return found, others - own


def manifest_of(directory: Path, sha256_of: Callable[[Path], str] = digest.of_file) -> bytes:
    """Return the manifest of a directory's present files as JSON; `sha256_of` is called once a file and may move it."""
    files = []
    for name, entry in names_below(directory):
        if name != MANIFEST:
            size = entry.stat(follow_symlinks=False).st_size
            files.append({"path": name, "size": size, "sha256": sha256_of(directory / name)})
    return (json.dumps({"files": files}, indent=1) + "\n").encode()


def listed(manifest: Path) -> dict[str, str]:
    """Return relative name -> SHA-256 of the files that a manifest lists. Raises ValueError where it is malformed."""
    return {member.path: member.sha256 for member in read_members(manifest)}


def verify(path: Path) -> Pointer:
    """Check that an artifact has exactly the bytes its pointer states. Raises StemmaError, which names the file."""
    pointer = pointer_of(path)
    check(path, pointer)
    return pointer


def check(path: Path, pointer: Pointer) -> None:
    """Check an artifact against a pointer that is already at hand. Raises StemmaError, which names the file."""
    check_file(path, pointer.sha256)
    if not is_directory(path):
        return
    try:
        files = listed(path)
    except ValueError as error:
        raise StemmaError(f"{path} {error}; {remedy(path)}") from None
    for name, sha256 in files.items():
        check_file(path.parent / name, sha256, path)
    for found in digest.files_below(path.parent):
        name = str(found.relative_to(path.parent))
        known = name in files or name in (MANIFEST, SIGNATURE) or found.name.startswith(".")
        if not known and not is_of_another(found, path.parent):
            raise StemmaError(f"{found} is not listed in {path}; move it away, or {remedy(path)}")


def is_of_another(file: Path, directory: Path) -> bool:
    """Does a file in an artifact's directory belong to another artifact, declared below it?"""
    folders = [folder / MANIFEST for folder in file.parents if folder.is_relative_to(directory) and folder != directory]
    return any(pointer_path(path).is_file() for path in (file, *folders))


def remedy(path: Path) -> str:
    """Return the advice for an artifact that is not as it should be."""
    return f"delete {path} and run again: it comes back from the store or is built anew"


def check_file(path: Path, sha256: str, whole: Path | None = None) -> None:
    """Raise StemmaError unless the file is there with this digest. `whole`: the manifest that lists it."""
    if not is_plain(path):
        what = kind_of(path.lstat()) if os.path.lexists(path) else "missing"
        raise StemmaError(f"{path} is {what}; {remedy(whole or path)}")
    found = digest.of_file(path)
    if found != sha256:
        raise StemmaError(
            f"{path} was changed after it was built (sha256 {found[:12]}, recorded {sha256[:12]}); "
            f"{remedy(whole or path)}"
        )


def check_built(workspace: Path, built: Path, declared: Path) -> None:
    """Check that a script left a regular file, or a directory of such, at a declared path. Raises StemmaError for
    anything else: a link could lead out of the workspace, and a pipe or a device has no bytes to keep."""
    what, remedy = f"what was written for {declared}", "let the script write regular files alone"
    found = built.lstat() if os.path.lexists(built) else None
    if found is None:
        raise StemmaError(f"the script ended well but wrote no {declared}")
    if built.resolve() != workspace.resolve() / built.relative_to(workspace):
        raise StemmaError(f"{what} is reached through a link, {shown(built)}; {remedy}")
    wanted = "a directory" if is_directory(declared) else "a file"
    if kind_of(found) != wanted:
        raise StemmaError(f"{what} is {kind_of(found)} where {wanted} belongs; {remedy}")
    if not stat.S_ISDIR(found.st_mode):
        return
    names = regular_below(built, what, remedy)
    if not names:
        raise StemmaError(f"the script ended well but left {declared.parent} empty")
    try:
        check_names([name for name in names if name != MANIFEST])
    except ValueError as error:
        raise StemmaError(f"{what} {error}; let the script name it otherwise") from None


def absorb(store: Store, built: Path) -> str:
    """Move what a job built (a file, or a directory, which gets a manifest) into the store; return its digest."""
    if built.is_dir():
        return store.add_bytes(manifest_of(built, store.add))
    return store.add(built)


def restorable(store: Store, path: Path, sha256: str) -> bool:
    """Does the store hold, undamaged, every object of this artifact?"""
    if not is_directory(path):
        return store.is_sound(sha256)
    if not store.is_sound(sha256, JSON_BYTES):
        return False
    try:
        members = read_members(store.object_path(sha256))
    except ValueError as error:
        store.say(f"{path}: its manifest {store.object_path(sha256)} {error}: it is not used")
        return False
    sizes = {member.sha256: member.size for member in members}
    return all(store.is_sound(member, size) for member, size in sizes.items())
