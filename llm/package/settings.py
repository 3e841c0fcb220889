"""What the scripts that write model directories are told beside their own."""

from dataclasses import dataclass

from llm.settings import key


@dataclass(frozen=True, kw_only=True)
class PackageSettings:
    """Stage 7. Model directories: docs/package.md."""

    shard_bytes: int = key(5_000_000_000, minimum=1)
    """Of a safetensors file at most, unless one tensor is larger: a model beyond it is several files and an index."""
