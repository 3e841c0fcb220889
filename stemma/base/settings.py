"""The engine's settings for a run: the stores, the signing key, the trusted keys, the numeric mode.

The Snakefile makes them from the config. Every job gets them on its command line; the last build's stand in
results/.records/settings.json, so that a question asked in the same directory needs no options.
"""

import json
import os
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from stemma.base.digest import read_json, write_atomically
from stemma.base.errors import StemmaError

ROOT = Path(os.environ.get("STEMMA_ROOT", Path(__file__).resolve().parents[2]))  # the repository's root
SETTINGS = Path("results/.records/settings.json")
CACHE = "STEMMA_CACHE"


@dataclass(frozen=True)
class Settings:
    """`store`: the directory of the local store. `shared`: a second store, a directory or s3://bucket/prefix. `key`:
    the private signing key, made on first use. `trusted`: files of public keys (PEM) whose records count beside one's
    own. `numeric`: see stemma/code/numeric.py. `config`: digest of the run's config (canonical JSON, an object of the
    store), which `why` compares with."""

    store: str = "results/.store"
    shared: str | None = None
    key: str = "~/.config/stemma/key.pem"
    trusted: tuple[str, ...] = ()
    numeric: str = "native"
    config: str = ""

    @staticmethod
    def of_json(text: str | bytes) -> "Settings":
        """Parse the output of to_json; missing keys take their defaults."""
        return Settings.of_value(json.loads(text))

    @staticmethod
    def of_value(value: dict) -> "Settings":
        """Make settings of parsed JSON; missing keys take their defaults, unknown ones are ignored."""
        known = {field.name: value[field.name] for field in fields(Settings) if field.name in value}
        return Settings(**known | {"trusted": tuple(known.get("trusted", ()))})

    @staticmethod
    def of(file: Path) -> "Settings":
        """Read the settings that a build has written to a file; defaults where there is none. Raises StemmaError for a
        file that no build wrote."""
        value = read_json(file) or {}
        texts = {name: text for name, text in value.items() if name not in ("shared", "trusted")}
        trusted = value.get("trusted", [])
        if (
            not all(isinstance(text, str) and "\0" not in text for text in texts.values())
            or not isinstance(value.get("shared"), str | None)
            or "\0" in (value.get("shared") or "")
            or not isinstance(trusted, list)
            or not all(isinstance(path, str) and "\0" not in path for path in trusted)
        ):
            raise StemmaError(f"{file} is not what a build writes there; run snakemake here again")
        return Settings.of_value(value)

    @staticmethod
    def here() -> "Settings":
        """Read the settings of the last build in this directory; defaults where there was none."""
        return Settings.of(SETTINGS)

    def check_places(self) -> None:
        """Raise StemmaError for a store or a key in results/ that an output could lie at or above: it would be in the
        way of that output and set aside. No output's name there begins with a dot."""
        trusted = [("signing.trusted", path) for path in self.trusted]
        for name, place in (("store", self.store), ("shared_store", self.shared), ("signing.key", self.key), *trusted):
            if not place or "://" in place:
                continue
            real = os.path.realpath(Path(place).expanduser())
            inside = os.path.relpath(real, os.path.realpath("results"))
            if inside == "." or not inside.startswith("."):
                raise StemmaError(
                    f"config: {name}: {place} lies where outputs do; name results/.NAME or a place outside results/"
                )

    def to_json(self) -> str:
        """Return the settings as one line of JSON."""
        return json.dumps(asdict(self), sort_keys=True)

    def save(self) -> None:
        """Write the settings for later commands in this directory."""
        write_atomically(SETTINGS, self.to_json().encode())


def cache_of(store: Path) -> Path:
    """Return the directory for caches that any job may reuse: machine code, unfinished downloads.

    It lies in the store, where there is room and all nodes see it, or where STEMMA_CACHE says, for several stores
    together. Each user of a store has their own: the code in it is executed."""
    place = Path(os.environ.get(CACHE) or store / "cache").absolute()
    mine = not os.path.lexists(place) or place.lstat().st_uid == os.geteuid()
    return place if mine else place.with_name(f"{place.name}-{os.geteuid()}")
