"""The content store: objects named by the SHA-256 of their bytes, records named by their action key.

    objects/ab/cdef...      read-only files
    records/ab/cdef....json what one job made (stemma/provenance/record.py); also the cache entry
        roots/                  links to the pointers of every directory that builds with this store
                                (stemma/provenance/gc.py)
        tmp/<host>-<pid>-.../   where a job writes before its outputs have digests
        scratch/<action key>/   what a job leaves for its next attempt (stemma/execute/run.py); removed when it succeeds

Everything enters by atomic rename and leaves only through gc, so the store is valid at any instant; what a killed job
leaves in tmp is swept by the next. A missing or damaged object is looked up in the shared store, if there is one. Paths
in results/, the content of keys and trust in signatures are the business of other modules.
"""

import contextlib
import errno
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TypeVar

from stemma.base import digest
from stemma.base.digest import JSON_BYTES
from stemma.base.errors import warn
from stemma.base.files import copy, is_plain, move, move_to_free, place, scratch_directory, scratch_file, where_writable
from stemma.base.settings import Settings
from stemma.base.untrusted_files import Unusable, is_own, read_plain
from stemma.store.remote import Shared, Unavailable, shared_of

Answer = TypeVar("Answer")
RECORD_NAME = re.compile(r"records/([0-9a-f]{2})/([0-9a-f]{62})\.json")


class Store:
    """A store in one directory, made on first use, with `shared` behind it. `unused`: names in the shared store whose
    content is not what the name states. `said`: the warnings already given."""

    def __init__(self, path: Path, shared: Shared | None = None):
        self.path = path
        self.shared = shared
        self.unused: set[str] = set()
        self.said: set[str] = set()

    @staticmethod
    def of(settings: Settings) -> "Store":
        """Return the store that a run's settings name."""
        return Store(Path(settings.store), shared_of(settings.shared))

    def object_path(self, sha256: str) -> Path:
        """Return where the object with this digest lies or would lie."""
        return self.path / object_name(sha256)

    def record_path(self, key: str) -> Path:
        """Return where the record with this action key lies or would lie."""
        return self.path / record_name(key)

    def scratch_path(self, key: str) -> Path:
        """Return the directory where attempts of this action keep their recovery points. If another user owns or could
        have written what is there, it is a directory of this user's, or else of this process's."""
        user = f"{key}-{os.geteuid()}"
        places = [self.path / "scratch" / name for name in (key, user, f"{user}-{os.getpid()}")]
        found = next((place for place in places if is_own(place)), places[-1])
        if found != places[0]:
            self.say(f"{places[0]} holds what another user has left: it is not gone on from")
        return found

    def is_sound(self, sha256: str, limit: int | None = None) -> bool:
        """Can the object be served undamaged, from here or from the shared store? `limit`: its largest size in bytes,
        for `fetch`."""
        return self.holds(sha256) or self.fetch(sha256, limit)

    def holds(self, sha256: str) -> bool:
        """Is the object here and undamaged? A damaged one counts as missing until it is replaced."""
        try:
            return digest.of_plain(self.object_path(sha256)) == sha256
        except Unusable:
            return False
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            return False

    def read_json(self, sha256: str) -> dict | None:
        """Read the JSON object that a stored object holds; None where it is missing, damaged or something else."""
        try:
            data = read_plain(self.object_path(sha256), JSON_BYTES)
            value = digest.from_json(data) if data is not None and digest.of_bytes(data) == sha256 else None
        except (Unusable, ValueError):
            return None
        return value if isinstance(value, dict) else None

    def has(self, sha256: str) -> bool:
        """Is there an object of this name, here or in the shared store? Its bytes are not checked."""
        name = object_name(sha256)
        return is_plain(self.path / name) or self.ask(name, lambda shared: shared.has(name), False)

    def fetch(self, sha256: str, limit: int | None = None) -> bool:
        """Copy the object from the shared store; it enters only after its digest was checked. False if that fails.

        `limit`: its largest size in bytes; by default, what the disk has free."""
        if self.shared is None:
            return False
        name, place = object_name(sha256), self.shared.place
        with scratch_file(self.path / "tmp") as temporary:
            most = shutil.disk_usage(temporary.parent).free if limit is None else limit
            if not self.ask(name, lambda shared: shared.fetch(name, temporary, most), False):
                return False
            if digest.of_file(temporary) != sha256:
                self.unused.add(name)
                self.say(f"{place}/{name} is damaged: it is not used, and what is built instead replaces it")
                return False
            move(temporary, self.object_path(sha256))
            return True

    def ask(self, name: str, question: Callable[[Shared], Answer], otherwise: Answer) -> Answer:
        """Ask the shared store about one name. Content that cannot be used counts as missing: `otherwise` is
        returned."""
        place = self.shared.place if self.shared else ""
        try:
            return self.through(question, otherwise)
        except Unusable as why:
            self.unused.add(name)
            self.say(f"{place}/{name} {why}: it is not used, and what is built instead replaces it")
            return otherwise

    def through(self, ask: Callable[[Shared], Answer], otherwise: Answer) -> Answer:
        """Ask the shared store. If it is unavailable, warn once and go on without it: `otherwise` is returned."""
        if self.shared is None:
            return otherwise
        try:
            return ask(self.shared)
        except Unavailable as error:
            warn(f"the shared store {self.shared.place} cannot be used ({error}); going on without it")
            self.shared = None
            return otherwise

    def add(self, path: Path) -> str:
        """Move a file of the same file system into the store and return its digest; it is read once, to be hashed.

        A file with several hard links is copied: whoever writes to another name of it would change the object."""
        sha256 = digest.of_file(path)
        if self.holds(sha256):
            path.unlink()
        elif path.stat().st_nlink == 1:
            move(path, self.object_path(sha256))
        else:
            with scratch_file(self.path / "tmp") as temporary:
                copy(path, temporary)
                path.unlink()
                sha256 = self.add(temporary)
        return sha256

    def add_bytes(self, data: bytes) -> str:
        """Store some bytes and return their digest."""
        sha256 = digest.of_bytes(data)
        if not self.holds(sha256):
            self.write(self.object_path(sha256), data, move)
        return sha256

    def envelopes(self, key: str) -> Iterator[tuple[str, bytes]]:
        """Yield each signed record of an action as (its location, for messages; envelope), from this store first. The
        caller decides which to trust and keeps it with write_record: nothing from the shared store is installed
        unchecked."""
        own = self.own_envelope(key)
        if own is not None:
            yield str(self.record_path(key)), own
        other = self.shared_envelope(key)
        if self.shared is not None and other is not None and other != own:
            yield f"{self.shared.place}/{record_name(key)}", other

    def put(self, sha256: str, name: str, folder: int) -> None:
        """Make a new file in an open directory from an object. An object that another user could have changed since is
        hashed again. Raises FileNotFoundError where it is gone or has other bytes."""
        path = self.object_path(sha256)
        if not place(path, name, folder) and digest.of_plain(name, folder) != sha256:
            os.unlink(name, dir_fd=folder)
            path.unlink(missing_ok=True)
            raise FileNotFoundError(errno.ENOENT, "had other bytes than before", str(path))

    def own_envelope(self, key: str) -> bytes | None:
        """Return the signed record that this store has of an action; None if there is none or it cannot be used."""
        path = self.record_path(key)
        try:
            return read_plain(path, JSON_BYTES)
        except Unusable as why:
            self.say(f"{path} {why}: it is not used")
            return None

    def shared_envelope(self, key: str) -> bytes | None:
        """Return the signed record that the shared store has of an action; None if there is none or it cannot be
        used."""
        name = record_name(key)
        return self.ask(name, lambda shared: shared.read(name, JSON_BYTES), None)

    def say(self, text: str) -> None:
        """Warn of something that does not stop the build, once for each text."""
        if text not in self.said:
            self.said.add(text)
            warn(text)

    def has_record(self, key: str) -> bool:
        """Is there a record of an action here? Nothing is read: for who asks of thousands."""
        return os.path.lexists(f"{self.path}/{record_name(key)}")

    def actions(self) -> Iterator[str]:
        """Yield the action keys of all records here."""
        for file in (self.path / "records").glob("*/*.json"):
            key = action_named(f"records/{file.parent.name}/{file.name}")
            if key:
                yield key

    def has_envelope(self, sha256: str) -> bool:
        """Is there a record here whose envelope has this digest? All records are read, so it is for rare use."""
        envelopes = map(self.own_envelope, self.actions())
        return any(digest.of_bytes(envelope) == sha256 for envelope in envelopes if envelope)

    def write_record(self, key: str, envelope: bytes) -> None:
        """Write a signed record, replacing another; its objects must be in the store already. The file's time becomes
        that of its last use, by which gc keeps within a budget."""
        if self.own_envelope(key) != envelope:
            self.write(self.record_path(key), envelope, move)
            return
        with where_writable():  # it may be another user's, or of a store that only serves
            os.utime(self.record_path(key))

    def write_first_record(self, key: str, envelope: bytes) -> bool:
        """Write a signed record unless a record of this action exists. False if one does: the first of two racing jobs
        wins, and the second learns it."""
        try:
            self.write(self.record_path(key), envelope, move_to_free)
        except FileExistsError:
            return False
        return True

    def write(self, path: Path, data: bytes, enter: Callable[[Path, Path], None]) -> None:
        """Write a file of the store atomically: it is there with all its bytes or not at all. `enter` moves it in
        place."""
        with scratch_file(self.path / "tmp") as temporary:
            temporary.write_bytes(data)
            enter(temporary, path)

    def workspace(self) -> AbstractContextManager[Path]:
        """Yield a fresh directory to build in, on the store's file system. Directories that dead jobs of this host left
        go.

        While it exists, gc spares objects that enter the store."""
        return scratch_directory(self.path / "tmp")

    def register(self, pointers: Path) -> None:
        """Register a directory of pointers as a root for gc: what they name is in use."""
        target = pointers.absolute()
        link = self.path / "roots" / digest.of_bytes(os.fsencode(target))[:16]
        if link.is_symlink():
            return
        # Where this cannot be written, gc cannot delete either.
        with where_writable(), contextlib.suppress(FileExistsError):
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(target)


def object_name(sha256: str) -> str:
    """Return the name of an object, the same in both stores."""
    return f"objects/{sha256[:2]}/{sha256[2:]}"


def record_name(key: str) -> str:
    """Return the name of a record, the same in both stores."""
    return f"records/{key[:2]}/{key[2:]}.json"


def action_named(name: str) -> str | None:
    """Return the action key in a name of `record_name`; None for any other name."""
    found = RECORD_NAME.fullmatch(name)
    return found[1] + found[2] if found else None
