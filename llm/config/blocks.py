"""The blocks of the configuration, in the order in which config.yaml has them."""

from functools import cache
from pathlib import Path

import yaml

from llm.config.schema import schema_of
from llm.pretrain.segments import Pretrain

REST = Path(__file__).resolve().parents[2] / "rules/schema.yaml"  # the blocks whose keys are not dataclasses yet


@cache
def schema() -> dict:
    """What a run's config may hold, as a JSON Schema."""
    rules = yaml.safe_load(REST.read_text())
    rules["properties"]["pretrain"] = schema_of(Pretrain)
    return rules
