"""Examines the places that a build writes to and reads from: results/, the stores, scratch, the signing key. In each it
makes a file and removes it again."""

import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from stemma.base.errors import StemmaError
from stemma.base.files import scratch_name
from stemma.base.settings import Settings, cache_of
from stemma.base.wording import size_text
from stemma.doctor.finding import Finding, fine, note, stop
from stemma.provenance.dsse import load_private, load_public
from stemma.store.remote import SharedDirectory, Unavailable, shared_of

FEW, FEWEST = 10 * 10**9, 10**9  # free bytes: worth knowing; a build is likely to end there
FILES = 10_000  # free inodes: a build of the default config makes some thousand files
PROBE = f"objects/00/{'0' * 62}"


def places_of(settings: Settings) -> dict[str, Path]:
    """Return what a build writes to, by its name in messages."""
    store = Path(settings.store)
    return {
        "results": Path("results"),
        "store": store,
        "cache": cache_of(store),
        ".snakemake": Path(".snakemake"),
        "temporary files": Path(tempfile.gettempdir()),
    }


def existing(path: Path) -> Path:
    """Return a path, or its nearest parent that exists."""
    path = path.absolute()
    while not os.path.lexists(path):
        path = path.parent
    return path


def disks(settings: Settings) -> Iterator[Finding]:
    """Examine the free space, once for each file system."""
    by_device: dict[int, list[str]] = {}
    for name, path in places_of(settings).items():
        place = existing(path)
        if place.exists():
            by_device.setdefault(place.stat().st_dev, []).append(name)
    found = places_of(settings)
    for names in by_device.values():
        place, called = existing(found[names[0]]), ", ".join(names)
        free, system = shutil.disk_usage(place).free, os.statvfs(place)
        text = f"{size_text(free)} free for {called} ({place})"
        if free < FEWEST:
            yield stop("disk", f"{text}; free some: `python -m stemma gc --dry-run` says what the store would give")
        elif free < FEW:
            yield note("disk", f"{text}; `python -m stemma gc --dry-run` says what the store would give")
        elif system.f_files and system.f_favail < FILES:
            yield stop("disk", f"room for {system.f_favail:,} more files alone for {called} ({place}); remove some")
        else:
            yield fine("disk", text)
    devices = [existing(found[name]) for name in ("results", "store")]
    if all(place.exists() for place in devices) and len({place.stat().st_dev for place in devices}) > 1:
        yield note(
            "disk", "results/ and the store are on two file systems: artifacts are copied and take twice the room"
        )


def permissions(settings: Settings) -> Iterator[Finding]:
    """Examine whether this user may write where a build does, and read what the store holds."""
    fault = False
    for name, path in places_of(settings).items():
        inner = [path / part for part in ("objects", "records", "tmp")] if name == "store" else []
        for place in (path, *(part for part in inner if os.path.lexists(part))):
            why = refused(place)
            if why:
                fault = True
                yield stop("permissions", f"{name}: {place} {why}")
                break
    if not fault:
        yield fine("permissions", f"{', '.join(places_of(settings))} can be written to")
    yield from unreadable(Path(settings.store))


def refused(path: Path) -> str | None:
    """Return why nothing can be written in a directory, existing or to be made, and what to do; None if it can."""
    place = existing(path)
    if not place.is_dir():
        return f"cannot be made: {place} is no directory; move it away" if place != path.absolute() else (
            "is no directory; move it away")  # fmt: skip
    file = place / scratch_name()
    try:
        os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        file.unlink()
    except OSError as error:
        owner = place.stat().st_uid
        whose = "" if owner == os.geteuid() else f" (it is user {owner}'s, you are {os.geteuid()})"
        return (
            f"cannot be written to: {(error.strerror or str(error)).lower()}{whose}; make it writable, or name another"
        )
    return None


def unreadable(store: Path) -> Iterator[Finding]:
    """Find folders of the store that another user made unreadable for others."""
    for kind in ("objects", "records"):
        folders = [folder for folder in (store / kind).glob("*") if not os.access(folder, os.R_OK | os.X_OK)]
        if folders:
            yield stop(
                "permissions",
                f"{folders[0]} cannot be read, as {len(folders):,} of the store's {kind}; let its owner say "
                f"chmod -R a+rX {store / kind}",
            )


def stores(settings: Settings) -> Iterator[Finding]:
    """Examine the shared store, if there is one. It is a cache: a build goes on without it."""
    shared = problem_of(lambda: shared_of(settings.shared))
    if isinstance(shared, StemmaError):
        yield stop("shared store", str(shared))
        return
    if shared is None:
        return
    try:
        shared.has(PROBE)
    except Unavailable as why:
        yield note("shared store", f"{shared.place}: {why}; builds go on without it")
        return
    if isinstance(shared, SharedDirectory) and not os.access(shared.path, os.W_OK):
        yield note("shared store", f"{shared.place} can be read alone: what is built here is shared with nobody")
    else:
        yield fine("shared store", f"{shared.place} answers")


def keys(settings: Settings) -> Iterator[Finding]:
    """Examine the signing key, and the keys that are trusted beside it."""
    path = Path(settings.key).expanduser()
    if os.path.lexists(path):
        found = problem_of(lambda: load_private(path))
        if isinstance(found, StemmaError):
            yield stop("signing key", str(found))
        elif path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            yield note("signing key", f"{path} can be read by others, who can sign as you do then; chmod 600 {path}")
        else:
            yield fine("signing key", str(path))
    else:
        why = refused(path.parent)
        if why:
            yield stop("signing key", f"{path} is to be made, but {path.parent} {why}")
        else:
            yield fine("signing key", f"{path} will be made by the first job")
    for name in settings.trusted:
        trusted = problem_of(partial(load_public, Path(name).expanduser()))
        if isinstance(trusted, StemmaError):
            yield stop("signing key", str(trusted))


def problem_of(question: Callable[[], object]):
    """Return the answer to a question, or the StemmaError that it raises."""
    try:
        return question()
    except StemmaError as error:
        return error
