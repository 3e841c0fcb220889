"""Fuzzing of everything that is read where others may write: records, envelopes, manifests, pointers, markers, indexes.

Each check takes what hypothesis makes of something valid (bytes changed, or one node of its JSON) and must end well or
say in its own way what is wrong; anything else is a traceback at somebody's terminal. So must every command and whole
builds (tests/stemma/fuzzed_commands.py). `python -m tests.stemma.fuzz 60` goes on for so many seconds, with new
examples each time; tests/stemma/test_fuzz.py looks at a few.
"""

import contextlib
import io
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stemma.base import digest
from stemma.base.digest import SOURCES, StatCache
from stemma.base.errors import StemmaError, refusal
from stemma.base.settings import Settings
from stemma.base.typed_json import made
from stemma.base.untrusted_files import Unusable
from stemma.cluster import status
from stemma.code.source import Reader
from stemma.planning import planned_jobs
from stemma.planning.expected_keys import Keys
from stemma.provenance import gc, standing_build
from stemma.provenance.catalogue import current
from stemma.provenance.dsse import Keyring, opened, seal, signed, spelled
from stemma.provenance.index import Index, rows_of
from stemma.provenance.lineage import ancestors, descendants
from stemma.provenance.publish import objects_of
from stemma.provenance.render_tree import as_json, dot, text
from stemma.provenance.slsa import mistake, statement_of
from stemma.provenance.trust import Records, shaped
from stemma.provenance.verify import verify
from stemma.store import artifact
from stemma.store.manifest import members
from stemma.workflow.why import Inquiry
from tests.stemma.conftest import ALL_RUN, Toy, planted
from tests.stemma.fuzzed_commands import ASKING, BUILDING, WRITING, Site

DEEP: list = []
for _ in range(70):
    DEEP = [DEEP]
JUNK = [None, True, -1, 0, 1 << 63, 10**30, 1e308, float("nan"), float("inf"), "", "/etc/passwd", "../../x", "a\nb"]
JUNK += ["\ud800", "\x1b[2J", "\u202e", "x" * 5000, "ab" * 32, [], {}, [[]], {"": None}, DEEP]
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()) | st.sampled_from(JUNK)
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3))


@st.composite
def changed_value(draw, value: object) -> object:
    """A JSON value in which one node is another, is gone, is there twice, or has another name."""
    if not isinstance(value, dict | list) or not value or draw(st.integers(0, 4)) == 0:
        return draw(VALUES)
    if isinstance(value, dict):
        key = draw(st.sampled_from(sorted(value)))
        how = draw(st.sampled_from(["inside", "inside", "inside", "gone", "renamed", "more"]))
        if how == "inside":
            return value | {key: draw(changed_value(value[key]))}
        rest = {name: inner for name, inner in value.items() if name != key or how == "more"}
        return rest if how == "gone" else rest | {draw(st.text()): value[key]}
    place = draw(st.integers(0, len(value) - 1))
    how = draw(st.sampled_from(["inside", "inside", "gone", "twice"]))
    middle = {"gone": [], "twice": [value[place]] * 2}.get(how)
    return [*value[:place], *([draw(changed_value(value[place]))] if middle is None else middle), *value[place + 1 :]]


@st.composite
def changed_bytes(draw, data: bytes) -> bytes:
    """Some bytes, with a piece of them replaced."""
    begin = draw(st.integers(0, len(data)))
    end = draw(st.integers(begin, min(len(data), begin + draw(st.sampled_from([0, 1, 8, len(data)])))))
    piece = draw(
        st.binary(max_size=8) | st.sampled_from([b"[" * 100_000, b'{"a":' * 2000, b"\xed\xa0\x80", b"\\ud800"])
    )
    return data[:begin] + piece + data[end:]


@st.composite
def changed(draw, data: bytes) -> bytes:
    """Some bytes or, where they are JSON, a text in its one spelling with a node that is another."""
    try:
        value = None if draw(st.booleans()) else json.loads(data)
    except (ValueError, RecursionError):
        value = None
    return draw(changed_bytes(data)) if value is None else text_of(draw(changed_value(value)))


def text_of(value: object) -> bytes:
    """Canonical JSON, of what UTF-8 cannot hold too."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode(errors="surrogatepass")


class Grounds:
    """A built toy in a directory, and what is checked there."""

    def __init__(self, path: Path, around: Path):
        self.path = path
        self.site = Site(path, around)
        with contextlib.chdir(path):
            self.settings = Settings.here()
            self.keyring = Keyring(Path(self.settings.key).absolute())
            self.call = planned_jobs.call_for("results/final.txt")
            self.config = Records.of(self.settings).store.read_json(self.settings.config)
        store = path / self.settings.store
        self.envelopes = [file.read_bytes() for file in sorted((store / "records").glob("*/*.json"))]
        self.manifest = (path / "results/parts/manifest.json").read_bytes()
        kept = [*(path / "results/.records").rglob("*.json"), *(path / "results/.records").rglob("*.job")]
        self.files = sorted([*kept, *(store / "records").glob("*/*.json"), *self.json_objects(store)])

    def json_objects(self, store: Path) -> list[Path]:
        """Manifests, descriptions of closures and environments, configs."""
        return [file for file in (store / "objects").glob("*/*") if file.read_bytes()[:1] == b"{"]

    def manifests(self, data: st.DataObject) -> None:
        """A manifest gives names that are safe, or a ValueError."""
        with contextlib.suppress(ValueError):
            for one in members(data.draw(changed(self.manifest))):
                assert one.path.isprintable() and not Path(one.path).is_absolute() and ".." not in Path(one.path).parts

    def envelope(self, data: st.DataObject) -> None:
        """No envelope but the very one is believed."""
        whole = data.draw(st.sampled_from(self.envelopes))
        envelope = data.draw(changed(whole))
        assert opened(envelope) is None or isinstance(opened(envelope), dict)
        try:
            signed(envelope, self.keyring)
        except Unusable as why:
            assert str(why)
        else:
            assert envelope == whole

    def record(self, data: st.DataObject) -> None:
        """Of what a trusted key has signed, what is taken can be read by everyone; nothing else is."""
        payload = digest.canonical(opened(data.draw(st.sampled_from(self.envelopes))))
        envelope = seal(data.draw(changed(payload)), self.keyring)
        with contextlib.chdir(self.path):
            records = Records.of(self.settings)
            try:
                record = records.checked(envelope)
            except Unusable as why:
                assert str(why)
                assert shaped(envelope) is None
                return
            assert mistake(statement_of(record)) is None
            rows_of(record), list(objects_of(records.store, record)), record.digests, record.told
            assert shaped(envelope) == record

    def forgery(self, data: st.DataObject) -> None:
        """Any payload, any signature: an envelope by nobody who is trusted is never believed."""
        signer = data.draw(st.sampled_from([*self.keyring.public, "0" * 64]))
        with contextlib.suppress(Unusable):
            signed(spelled(data.draw(st.binary()), signer, data.draw(st.binary(max_size=70))), self.keyring)
            raise AssertionError("a forgery is believed")

    def pointer(self, data: st.DataObject) -> None:
        """A pointer names digests, or is none."""
        whole = (self.path / "results/.records/joined.txt.json").read_bytes()
        with contextlib.suppress(ValueError):
            found = artifact.Pointer.of_json(digest.from_json(data.draw(changed(whole))))
            assert found is None or len(found.sha256) == len(found.action) == len(found.record) == 64

    def everything(self, data: st.DataObject) -> None:
        """One file of the directory or its store is another: every reader ends well or says what is wrong."""
        file = data.draw(st.sampled_from(self.files))
        whole = file.read_bytes()
        other = data.draw(changed(whole))
        mode = file.stat().st_mode
        file.unlink()
        file.write_bytes(other)
        try:
            with contextlib.chdir(self.path), contextlib.redirect_stderr(io.StringIO()):
                self.read_all()
        finally:
            file.unlink()
            file.write_bytes(whole)
            file.chmod(mode)

    def read_all(self) -> None:
        """What the commands do, short of starting anything."""
        for reader in (
            lambda: gc.plan(Records.of(Settings.here()).store),
            lambda: verify(Settings.here(), []),
            lambda: [(item.size, item.rule, item.stage, item.params) for item in current(Records.of(Settings.here()))],
            lambda: (
                standing_build.divided().note,
                planned_jobs.call_for("results/final.txt"),
                planned_jobs.call_for("results"),
            ),
            status.look,
            self.lineage,
            self.why,
            lambda: StatCache(SOURCES).digest(Path("text.txt")),
            lambda: Reader(self.path).module(Path("scripts/s/first.py")),
        ):
            try:
                reader()
            except StemmaError as error:
                assert str(error)
            except OSError as error:
                if refusal(error) is None:  # the command line says what is not None in a line, stemma/__main__.py
                    raise

    def lineage(self) -> None:
        """Both questions, in all forms."""
        index = Index(Records.of(Settings.here()).store)
        for graph in (ancestors(index, "results/final.txt", True), descendants(index, "text.txt", True)):
            assert text(graph) and as_json(graph) and dot(graph)

    def why(self) -> None:
        """By the plan that was kept, if it still is one."""
        kept, here = made(planned_jobs.Kept, digest.read_json(planned_jobs.KEPT)), Settings.here()
        assert planned_jobs.kept_plan(self.call) is None or kept
        jobs = planned_jobs.KeptPlan(kept.jobs if kept else ())
        job = jobs.maker("results/final.txt")
        if job:
            Inquiry(Keys(jobs, self.path, here.numeric), Records.of(here), self.config).chain(job)

    def asking(self, data: st.DataObject) -> None:
        """A question, where something is other than it was."""
        self.site.command(data, changed, ASKING)

    def writing(self, data: st.DataObject) -> None:
        """A job, or what writes and removes otherwise."""
        self.site.command(data, changed, WRITING)

    def building(self, data: st.DataObject) -> None:
        """A whole build."""
        self.site.command(data, changed, BUILDING)


# Each check with the number of its examples in a round.
CHECKS = dict.fromkeys(("manifests", "envelope", "record", "forgery", "pointer", "everything"), 50)
CHECKS |= {"asking": 20, "writing": 20, "building": 1}


def check_of(grounds: Grounds, name: str, examples: int) -> Callable[[], None]:
    """One check as a test of hypothesis, with so many new examples."""
    checks = list(HealthCheck)

    @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=checks)
    @given(st.data())
    def check(data):
        getattr(grounds, name)(data)

    return check


def main() -> None:
    """Build a toy, then check in turns until the time is over."""
    ends = time.monotonic() + float(sys.argv[1])
    with tempfile.TemporaryDirectory() as directory, tempfile.TemporaryDirectory() as around:
        toy = Toy(planted(Path(directory)).path)
        assert toy.build() == ALL_RUN
        grounds, examples = Grounds(toy.path, Path(around)), 0
        while time.monotonic() < ends or not examples:
            for name, number in CHECKS.items():
                check_of(grounds, name, number)()
                examples += number
    print(f"{examples} examples, nothing found")


if __name__ == "__main__":
    main()
