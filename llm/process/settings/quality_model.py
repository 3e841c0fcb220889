"""What scripts/process/quality_model.py is told."""

from dataclasses import dataclass

from llm.process.settings.sample import Sample


@dataclass(frozen=True, kw_only=True)
class QualitySettings(Sample):
    """The slice. seed: of the order of training."""

    seed: int
