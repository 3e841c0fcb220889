"""What scripts/process/toxicity_model.py is told."""

from dataclasses import dataclass

from llm.process.settings.sample import Sample
from llm.settings import key


@dataclass(frozen=True, kw_only=True)
class Labels:
    """How labelled examples are read."""

    text: str = key()
    """Column of the text."""
    label: str = key()
    """Column of the label: 1 toxic, 0 not."""


@dataclass(frozen=True, kw_only=True)
class ToxicitySettings(Labels, Sample):
    """The slice. source: its name, for errors. file: the name of the one member if the archive is a
    plain file. include: globs over member names."""

    source: str
    file: str
    include: list[str]
    seed: int
