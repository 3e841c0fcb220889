"""One thing that was looked at: how it stands, and what to do about it."""

from dataclasses import dataclass

FINE, NOTE, STOP = "fine", "note", "stop"


@dataclass(frozen=True)
class Finding:
    """`level`: fine; note (a build goes on, and something is worth knowing); stop (a build would end there). `topic`:
    one word or two. `text`: one line, with what to do where it is not fine."""

    level: str
    topic: str
    text: str


def fine(topic: str, text: str) -> Finding:
    """All is well."""
    return Finding(FINE, topic, text)


def note(topic: str, text: str) -> Finding:
    """Worth knowing."""
    return Finding(NOTE, topic, text)


def stop(topic: str, text: str) -> Finding:
    """A build would end there."""
    return Finding(STOP, topic, text)
