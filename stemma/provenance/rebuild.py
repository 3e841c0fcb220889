"""Rebuilds targets from nothing, in a clean directory with an empty store, and compares them with what stands here.

The Snakefile, the config of the last build here and the sources (linked in) are the same; the lock, store and
environment variables of this directory are not used. Each artifact of the target's ancestry is compared by digest, then
by bytes where the digests differ. Which of two differing builds is right is for the reader to say.
"""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stemma.base import digest
from stemma.base.errors import StemmaError
from stemma.base.files import place
from stemma.base.settings import CACHE, ROOT, SETTINGS, Settings, cache_of
from stemma.provenance.difference import Difference, first_difference
from stemma.provenance.dsse import Keyring
from stemma.provenance.index import Index
from stemma.provenance.lineage import SOURCE, Graph, ancestors
from stemma.provenance.lookup import Key
from stemma.provenance.record import Record
from stemma.provenance.trust import Records
from stemma.store import artifact
from stemma.store.artifact import POINTERS
from stemma.store.local import Store

CONFIG = POINTERS / "config.json"  # written by the last build, see stemma/workflow/attach.py
OWN_STORE = Settings().store  # bypasses the cache, and the shared store
# Everything but ~/.cache.
SHARED = ("input-output", "persistence", "sources", "software-deployment", "storage-local-copies")
NOT_PASSED_ON = ("STEMMA_", "SNAKEMAKE_")  # so that a build within a build does not take itself for a part of it


@dataclass(frozen=True)
class Finding:
    """An artifact that came out different: why, as far as the records tell, and where the bytes first differ."""

    key: Key
    why: str
    name: str = ""  # the file that differs: the artifact or one in it
    difference: Difference | None = None
    files: tuple[Path, Path] | None = None


@dataclass(frozen=True)
class Comparison:
    """Everything that was compared, parents before children."""

    equal: list[Key]
    different: list[Finding]


def rebuild(
    targets: list[str],
    directory: Path,
    snakefile: Path | None = None,
    cores: str = "all",
    keep_downloads: bool = False,
) -> Comparison:
    """Build targets again in `directory`, which must be empty. Raises StemmaError where that cannot be done.

    `cores`: as for snakemake; `keep_downloads`: take pinned downloads from this store instead of fetching them."""
    settings = Settings.here()
    records = Records.of(settings)
    graph = lineage_of(Index(records.store), targets)
    check_sources(graph)
    if directory.exists() and any(directory.iterdir()):
        raise StemmaError(f"{directory} is not empty, and a rebuild starts from nothing; name another directory")
    prepare(graph, directory)
    if keep_downloads:
        take_downloads(graph, records.store, Store(directory / OWN_STORE))
    run_snakemake(graph.roots, directory, snakefile or default_snakefile(), cores, cache_of(records.store.path))
    clean = clean_records(directory)
    equal: list[Key] = []
    different: list[Finding] = []
    for key in oldest_first(graph):
        finding = compare(key, graph, records, directory, clean, {finding.key.path for finding in different})
        if finding:
            different.append(finding)
        else:
            equal.append(key)
    return Comparison(equal, different)


def default_snakefile() -> Path:
    """Return the Snakefile in this directory, else the repository's."""
    here = Path("Snakefile")
    return here if here.is_file() else ROOT / "Snakefile"


def lineage_of(index: Index, targets: list[str]) -> Graph:
    """Return the ancestry of all targets together. Raises StemmaError for one that does not stand here."""
    whole = Graph(", ".join(targets), downwards=False)
    for target in targets:
        graph = ancestors(index, target)
        if not graph.nodes[graph.roots[0]].current:
            raise StemmaError(f"{target} does not stand in results/ now, so nothing could be compared; build it first")
        whole.roots += graph.roots
        whole.nodes |= graph.nodes
        whole.edges |= graph.edges
    return whole


def check_sources(graph: Graph) -> None:
    """Raise StemmaError for a source that has changed since the targets were made from it."""
    for key, node in graph.nodes.items():
        path = Path(key.path)
        if node.kind == SOURCE and path.exists() and digest.of_tree(path) != key.sha256:
            raise StemmaError(
                f"source {path} was changed since {graph.roots[0].target} was built; restore it, or run snakemake first"
            )


def prepare(graph: Graph, directory: Path) -> None:
    """Fill the clean directory: the config, and links to the sources that rules name relative to this directory."""
    config = digest.read_json(CONFIG)
    if config is None:
        raise StemmaError(f"{CONFIG} is missing: it holds the config of the last build; run snakemake here first")
    past = {"store": OWN_STORE, "shared_store": None}
    own = {name: value for name, value in past.items() if name in config}
    digest.write_atomically(directory / CONFIG, digest.canonical(config | own))
    sources = {Path(key.path) for key, node in graph.nodes.items() if node.kind == SOURCE}
    for path in sorted(path for path in sources if not path.is_absolute() and path.exists()):
        if sources.isdisjoint(path.parents):  # else a link to its directory leads to it
            link = directory / path
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(path.resolve())


def take_downloads(graph: Graph, store: Store, clean: Store) -> None:
    """Put the files that a `sha256` param pins into the clean store, so that they need not be fetched again."""
    pinned = {key.sha256: key for key, node in graph.nodes.items() if (node.origin or {}).get("sha256") == key.sha256}
    for key in pinned.values():
        if store.is_sound(key.sha256):
            clean.object_path(key.sha256).parent.mkdir(parents=True, exist_ok=True)
            place(store.object_path(key.sha256), clean.object_path(key.sha256))


def run_snakemake(wanted: list[Key], directory: Path, snakefile: Path, cores: str, cache: Path) -> None:
    """Run snakemake in the clean directory, its output going to stderr. `cache`: only compiled code is reused from it:
    that is no result, and its name is a digest of all that it was made of."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(snakefile.resolve()), "--directory"]
    command += [str(directory.resolve()), "--configfile", str((directory / CONFIG).resolve()), "--cores", cores]
    command += ["--nolock", "--rerun-triggers", "params", "--shared-fs-usage", *SHARED]
    command += ["--", *(key.path for key in wanted)]
    variables = {name: value for name, value in os.environ.items() if not name.startswith(NOT_PASSED_ON)}
    variables[CACHE] = str(cache)
    # It runs inside the clean directory: relative paths in the Snakefile must be looked up there, never here.
    done = subprocess.run(
        command, cwd=directory, env=variables, stdin=subprocess.DEVNULL, stdout=sys.stderr, check=False
    )
    if done.returncode:
        raise StemmaError(f"{wanted[0].target} could not be built again, see above; --directory keeps what there is")


def clean_records(directory: Path) -> Records:
    """Return the rebuild's records. Raises StemmaError if it did not use its own store: a cache may have served it."""
    settings = Settings.of(directory / SETTINGS)
    path = (directory / settings.store).resolve()
    if not path.is_relative_to(directory.resolve()) or path == directory.resolve() or settings.shared:
        raise StemmaError(
            f"the Snakefile gives the engine a store of its own choice ({path}), so the rebuild was not past the cache;"
            " let the config keys `store` and `shared_store` decide"
        )
    return Records(Store(path), Keyring(directory / Path(settings.key).expanduser()))


def oldest_first(graph: Graph) -> list[Key]:
    """Return the artifacts of a lineage, parents before children."""
    done: dict[Key, None] = {}
    waiting = list(graph.roots)
    opened: set[Key] = set()
    while waiting:
        key = waiting[-1]
        parents = [parent for parent in graph.edges[key] if parent not in opened]
        if key not in opened and parents:
            opened.add(key)
            waiting += parents
            continue
        opened.add(key)
        done.setdefault(waiting.pop())
    return [key for key in done if graph.nodes[key].kind != SOURCE]


def compare(
    key: Key, graph: Graph, records: Records, directory: Path, clean: Records, changed: set[str]
) -> Finding | None:
    """Compare one artifact with what the clean build made at its path; None where they are equal. `changed`: the paths
    found different so far."""
    pointer = artifact.read_pointer(Path(key.path), directory)
    if pointer is None:
        return Finding(key, "was not made this time: the workflow does not need it for the target any more")
    here, there = Path(key.path), directory / key.path
    if graph.nodes[key].current:
        try:
            artifact.verify(here)
        except StemmaError as error:
            return located(key, str(error), parts(here), parts(there))
    if pointer.sha256 == key.sha256:
        return None
    reason = why(graph, key, records, clean.read(pointer.action), changed)
    if not graph.nodes[key].current:  # overwritten since: its bytes are in the store, if anywhere
        return located(key, reason, stored_parts(records.store, key), parts(there))
    return located(key, reason, parts(here), parts(there))


def why(graph: Graph, key: Key, records: Records, new: Record | None, changed: set[str]) -> str:
    """Return the cause, as far as the two records tell it."""
    node = graph.nodes[key]
    old = records.read(node.action) if node.action else None
    if old is None or new is None:
        return "differs; a record is gone, so nothing tells why"
    parents = [item.path for item in new.inputs if item.path in changed]
    causes = [f"its input {Path(parents[0]).as_posix()} differs"] if parents else []
    causes += [f"{what} changed" for what in differences(old, new)]
    return "; ".join(causes) or "same code, params, inputs and numeric class: its script is not deterministic"


def differences(old: Record, new: Record) -> list[str]:
    """Return which components of the action key differ between two records, except the inputs' contents."""
    found = []
    if old.closure != new.closure:
        found.append(f"code ({', '.join(unequal(old.code, new.code)[:3]) or 'a package'})")
    if old.told != new.told:
        found.append(f"params ({', '.join(unequal(old.told, new.told))})")
    if old.numeric != new.numeric:
        found.append(f"numeric class ({old.numeric} -> {new.numeric})")
    return found


def unequal(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """Return the names under which two mappings have different values, sorted."""
    return [name for name in sorted(one | other) if one.get(name) != other.get(name)]


def parts(path: Path) -> dict[str, Path]:
    """Return name -> file of what stands at a declared path: the file, or all files of the directory but its
    manifest."""
    if not artifact.is_directory(path):
        return {"": path} if path.is_file() else {}
    files = digest.files_below(path.parent) if path.parent.is_dir() else []
    names = {str(file.relative_to(path.parent)): file for file in files}
    return {name: file for name, file in names.items() if name not in (artifact.MANIFEST, artifact.SIGNATURE)}


def stored_parts(store: Store, key: Key) -> dict[str, Path]:
    """Return name -> file of an artifact's objects in the store; missing ones are left out."""
    path = store.object_path(key.sha256)
    try:
        members = artifact.listed(path) if artifact.is_directory(Path(key.path)) else {"": key.sha256}
    except (FileNotFoundError, ValueError):  # it is gone or damaged
        return {}
    found = {name: store.object_path(sha256) for name, sha256 in members.items()}
    return {name: file for name, file in found.items() if file.is_file()}


def located(key: Key, reason: str, here: dict[str, Path], there: dict[str, Path]) -> Finding:
    """Make a finding with the first file and the first byte that differ."""
    if not here:
        return Finding(key, f"{reason}; its bytes here are gone, so only the digests could be compared")
    for name in sorted(here.keys() | there.keys()):
        shown = str(artifact.argument(Path(key.path)) / name) if name else key.path
        if name not in here or name not in there:
            return Finding(key, f"{reason}; {shown} is only {'here' if name in here else 'in the rebuild'}", shown)
        difference = first_difference(here[name], there[name])
        if difference:
            return Finding(key, reason, shown, difference, (here[name], there[name]))
    return Finding(key, reason)
