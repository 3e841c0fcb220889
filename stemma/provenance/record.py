"""The record of one job, as everything in the engine reads it.

It says what was made (outputs), from what (inputs with their own records, code, environment), how (params, numeric
class, threads), when, at what cost, and with what result (metrics).

A record is written once and never changed. stemma/provenance/describe.py makes one of a job that ran,
stemma/provenance/slsa.py knows how it is spelled in a file, docs/records.md describes that. Staleness is judged
elsewhere, from keys.
"""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Input:
    """Something that a job has read: the argument that took it, path, SHA-256, and the digest of the record that made
    it (None: a source). `form` and `outside` are a source's: file or tree, and whether it lies outside the run's
    directory, where only its last component is told."""

    argument: str
    path: str
    sha256: str
    record: str | None
    form: str = "file"
    outside: bool = False

    @property
    def is_source(self) -> bool:
        """Does it come from outside the workflow?"""
        return self.record is None


@dataclass(frozen=True)
class Output:
    """Something that a job has made: the argument that names it, path, SHA-256."""

    argument: str
    path: str
    sha256: str


@dataclass
class Job:
    """A job as it is asked for, before anything runs. `made_from`: what it expects to find, by path: prefixes of the
    closure's key, of each input's expected key, of each source's digest. If it is empty, anything will do."""

    rule: str
    script: str
    wildcards: dict
    params: dict
    inputs: dict[str, list[str]]
    sources: dict[str, list[str]]
    outputs: dict[str, list[str]]
    expected: str
    numeric: str
    threads: int
    shell: str = ""
    made_from: dict[str, str] = field(default_factory=dict)


@dataclass
class Outcome:
    """What happened when the script ran, the variables that its process was given, and what confined it to its
    inputs."""

    started: str
    finished: str
    seconds: float
    cpu_seconds: float
    peak_memory_bytes: int
    metrics: dict = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    guard: str = "no script ran"


@dataclass(frozen=True)
class Module:
    """A module of the script's closure: SHA-256 of its bytes, and of what it means (docstrings and comments left
    out)."""

    sha256: str
    meaning: str


@dataclass(frozen=True)
class Checkout:
    """The git checkout that the code was read from: its commit, and the digest of the uncommitted changes, if any."""

    commit: str
    changes: str | None


@dataclass(frozen=True)
class Record:
    """What a job did. Times are in UTC as RFC 3339 has it.

    `shell`: the rest of the rule's shell line; `objects`: digests of stored descriptions, by name: `environment` (the
    lock), `closure` (its parts, function by function); `usage`: seconds, CPU seconds, GPU seconds, peak memory in
    bytes, host, Slurm job; `metrics`: what the script returned. Older records have neither `shell` nor `guard`.
    """

    rule: str
    script: str
    wildcards: dict[str, str]
    params: dict[str, Any]
    shell: str | None

    seed: int | None
    numeric: str
    device: str
    threads: int
    environment: dict[str, str]
    guard: str | None
    distributions: dict[str, str]
    python: str

    outputs: tuple[Output, ...]
    inputs: tuple[Input, ...]
    modules: dict[str, Module]
    data_files: dict[str, str]
    objects: dict[str, str]
    checkout: Checkout | None

    action: str
    expected: str
    closure: str
    started: str
    finished: str
    usage: dict[str, Any]
    metrics: dict[str, Any]

    @property
    def digests(self) -> dict[str, list[str]]:
        """Output argument -> digests, in the order in which the rule declares them."""
        found: dict[str, list[str]] = {}
        for output in self.outputs:
            found.setdefault(output.argument, []).append(output.sha256)
        return found

    @property
    def told(self) -> dict[str, Any]:
        """What the script was told, by name."""
        return told(self.params)

    @property
    def code(self) -> dict[str, str]:
        """Path -> SHA-256 of the closure's files: modules, and data files that they declare."""
        return {path: module.sha256 for path, module in self.modules.items()} | self.data_files

    def states(self, argument: str, position: int, sha256: str) -> bool:
        """Does it state these bytes for the output at a position of an argument?"""
        return self.digests.get(argument, [])[position : position + 1] == [sha256]


def told(params: dict) -> dict:
    """Return what a job is told, by name: its params, and for those that are slices of the config their keys."""
    found: dict = {}
    for name, value in params.items():
        found |= value if isinstance(value, dict) else {name: value}
    return found
