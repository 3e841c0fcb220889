"""docs/collect.md: its examples are sources that the schema accepts, and it names every format."""

import re
from pathlib import Path

import jsonschema
import yaml

from llm.collect.config import origin_of
from llm.collect.extract import FORMATS
from llm.collect.settings import Source
from llm.config.schema import schema_of

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs/collect.md").read_text()
SCHEMA = schema_of(Source)


def test_examples_and_preset_are_valid_sources() -> None:
    blocks = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)]
    blocks.append(yaml.safe_load((ROOT / "presets/corpus-debian.yaml").read_text()))
    sources = {name: source for block in blocks for name, source in block.get("sources", {}).items()}
    assert len(sources) > 20
    for name, source in sources.items():
        jsonschema.validate(source, SCHEMA)
        assert source["format"] in FORMATS
        assert origin_of(name, source)


def test_every_format_is_in_the_page_and_in_the_schema() -> None:
    assert set(SCHEMA["properties"]["format"]["enum"]) == set(FORMATS)
    assert all(f"`{name}`" in PAGE for name in FORMATS)
