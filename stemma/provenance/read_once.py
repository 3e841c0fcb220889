"""Reads what a verification compares: digests of files, and envelopes by their digest. Each is read once."""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from stemma.base import digest
from stemma.store.local import Store, action_named


@dataclass
class Hashes:
    """SHA-256 of files, each read once; one with several hard links is one file."""

    known: dict[tuple[int, int], str] = field(default_factory=dict)

    def of(self, path: Path) -> str:
        """Return the SHA-256 of a file."""
        stat = path.stat()
        place = (stat.st_dev, stat.st_ino)
        if place not in self.known:
            self.known[place] = digest.of_file(path)
        return self.known[place]

    def of_source(self, path: Path) -> str:
        """Return the digest of a source: a file's SHA-256, or a directory's tree digest."""
        return self.of(path) if path.is_file() else digest.of_tree(path)


@dataclass(frozen=True)
class Envelopes:
    """The envelopes of a store and of the shared one behind it, found by their digest."""

    store: Store

    def of_action(self, action: str) -> bytes | None:
        """Return the envelope that is kept for an action, in the own store or else in the shared one."""
        return next((envelope for _, envelope in self.store.envelopes(action)), None)

    def of_digest(self, sha256: str, action: str | None) -> bytes | None:
        """Return the envelope with this digest: mostly that of the action, else it is searched for among all."""
        envelope = self.of_action(action) if action else None
        if envelope and digest.of_bytes(envelope) == sha256:
            return envelope
        return self.own.get(sha256) or self.shared.get(sha256)

    @cached_property
    def own(self) -> dict[str, bytes]:
        """Every envelope of the store by its digest; read only where a record is not the one that stands."""
        envelopes = map(self.store.own_envelope, self.store.actions())
        return {digest.of_bytes(envelope): envelope for envelope in envelopes if envelope}

    @cached_property
    def shared(self) -> dict[str, bytes]:
        """Every envelope of the shared store by its digest: an ancestor's record may never have been needed here."""
        names = self.store.through(lambda shared: list(shared.names("records/")), list[str]())
        keys = filter(None, map(action_named, names))
        return {digest.of_bytes(envelope): envelope for envelope in map(self.store.shared_envelope, keys) if envelope}
