"""Decides which records count: those that a trusted key has signed, that keep to the schema and are of their action.

Everything that serves, chains, shows or compares records reads them here. A record that does not count is named in one
warning and then treated as missing. The store only keeps bytes and has no notion of trust.
"""

from collections.abc import Iterator
from pathlib import Path

from stemma.base import digest
from stemma.base.errors import StemmaError
from stemma.base.settings import Settings
from stemma.base.untrusted_files import Unusable
from stemma.provenance.dsse import Keyring, opened, signed
from stemma.provenance.record import Record
from stemma.provenance.slsa import mistake, record_in
from stemma.store import artifact
from stemma.store.artifact import Pointer
from stemma.store.local import Store


def shaped(envelope: bytes) -> Record | None:
    """Return the record in an envelope if it keeps to the schema. Its signature is not checked: it may be counted, not
    served."""
    statement = opened(envelope)
    return record_in(statement) if statement is not None and mistake(statement) is None else None


class Records:
    """The trusted records of a store and of the shared one behind it."""

    def __init__(self, store: Store, keyring: Keyring):
        self.store = store
        self.keyring = keyring

    @staticmethod
    def of(settings: Settings) -> "Records":
        """Return the records that a run's settings give access to."""
        return Records(Store.of(settings), Keyring(Path(settings.key), tuple(map(Path, settings.trusted))))

    def of_action(self, key: str) -> Iterator[tuple[bytes, Record]]:
        """Yield the trusted records of an action, each with its envelope, that of the own store first."""
        for where, envelope in self.store.envelopes(key):
            record = self.believed(envelope, key, where)
            if record:
                yield envelope, record

    def read(self, key: str) -> Record | None:
        """Return the trusted record of an action; None where there is none."""
        return next((record for _, record in self.of_action(key)), None)

    def counts(self, pointer: Pointer) -> bool:
        """Is the record of a pointer there, and signed by a key that is trusted now? Its signature is not checked: that
        is done when a job takes the artifact for an input."""
        return self.store.has_record(pointer.action) and pointer.signer in self.keyring.public

    def believed(self, envelope: bytes, key: str, where: str) -> Record | None:
        """Return the record in an envelope that was found under an action key; warn and return None if it does not
        count."""
        try:
            record = self.checked(envelope)
            if record.action != key:
                raise Unusable(f"is that of another action, {record.action[:12]}")
        except Unusable as why:
            self.store.say(f"{where} {why}: it is not used")
            return None
        return record

    def checked(self, envelope: bytes) -> Record:
        """Return the record in an envelope, of whatever action. Raises Unusable, which says what is wrong."""
        statement = signed(envelope, self.keyring)
        wrong = mistake(statement)
        if wrong:
            raise Unusable(f"does not keep to the schema: {wrong}")
        return record_in(statement)

    def verified(self, path: Path) -> tuple[Pointer, str]:
        """Check that an artifact has exactly the bytes that a trusted record states; return its pointer and the
        record's digest. Raises StemmaError, which names the file."""
        pointer = artifact.pointer_of(path)
        link = self.link(path, pointer)
        artifact.check(path, pointer)
        return pointer, link

    def link(self, path: Path, pointer: Pointer) -> str:
        """Return the digest of the trusted record that states what a pointer does. Raises StemmaError where none
        does."""
        for envelope, record in self.of_action(pointer.action):
            if record.states(pointer.output, pointer.position, pointer.sha256):
                return digest.of_bytes(envelope)
        raise StemmaError(
            f"{path}: no record that counts here says that it was made with these bytes "
            f"(sha256 {pointer.sha256[:12]}), so nobody knows what it was made from; {artifact.remedy(path)}"
        )
