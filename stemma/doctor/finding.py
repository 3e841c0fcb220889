"""A finding: what was examined, how it stands, and what to do about it."""

from dataclasses import dataclass

FINE, NOTE, STOP = "fine", "note", "stop"


@dataclass(frozen=True)
class Finding:
    """`level`: fine; note (a build goes on, but something is worth knowing); stop (a build would end there). `topic`:
    one word or two. `text`: one line, with what to do where it is not fine."""

    level: str
    topic: str
    text: str


def fine(topic: str, text: str) -> Finding:
    """Make a finding that all is well."""
    return Finding(FINE, topic, text)


def note(topic: str, text: str) -> Finding:
    """Make a finding that is worth knowing."""
    return Finding(NOTE, topic, text)


def stop(topic: str, text: str) -> Finding:
    """Make a finding that would stop a build."""
    return Finding(STOP, topic, text)
