"""What went wrong before a workflow could be read, in one line: a config file that is missing, no YAML, no mapping.

Snakemake shows a traceback for the first and names neither file nor line for the others. Its log record holds a text
alone, but the error is still at hand where it is logged.
"""

import difflib
import glob
import logging
import re
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path

import yaml

LOADERS = ("load_configfile", "_load_configfile")  # of snakemake.common.configfile
MISSING = re.compile(
    r"Missing input files for rule (?P<rule>\w+):(?:.*?wildcards: (?P<of>[^\n]+))?.*affected files:\s*(?P<files>\S.*)",
    re.DOTALL,
)
PLACE = re.compile(r'in "(?P<file>.+)", line (?P<line>\d+), column \d+')


def explain_early() -> None:
    """From now on let Snakemake's logger say so."""
    logging.getLogger("snakemake.logging").addFilter(explained)


def explained(record: logging.LogRecord) -> bool:
    """Put a line in the place of an error's text where we know what to say."""
    error = sys.exc_info()[1]
    line = mishap(error) if record.levelno >= logging.ERROR and error else None
    if line:
        record.msg, record.args = f"error: {line}", ()
    return True


def mishap(error: BaseException) -> str | None:
    """What to say of an error that a config file has caused; None for any other."""
    file = config_file_of(error)
    if file is None:
        return None
    broken = next((cause for cause in chain(error) if isinstance(cause, yaml.YAMLError)), None)
    if broken:
        return f"config file {file}{fault(str(broken))}"
    if isinstance(error, FileNotFoundError):
        return f"config file {file} does not exist; {nearest(file)}"
    if isinstance(error, OSError):
        return f"config file {file}: {error.strerror.lower()}; name another"
    if isinstance(error, UnicodeDecodeError):
        return f"config file {file} is not UTF-8 (byte {error.start}); save it so"
    return f"config file {file} holds no mapping; write lines of `key: value`, as in config.yaml"


def config_file_of(error: BaseException) -> str | None:
    """The config file that Snakemake was reading when this came about."""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        if frame.f_code.co_name in LOADERS:
            names = frame.f_locals
            return str(names.get("configpath") or names.get("configpath_or_obj"))
    return None


def chain(error: BaseException) -> Iterator[BaseException]:
    """An error and those that it came from."""
    while error:
        yield error
        error = error.__cause__ or error.__context__


def fault(text: str) -> str:
    """Line, problem and remedy of a YAML error."""
    place = list(PLACE.finditer(text))
    where = f", line {place[-1]['line']}" if place else ""
    if r"'\t'" in text:
        return f"{where}: a tab stands before it; YAML is indented with spaces"
    problem = [line.strip() for line in text.splitlines() if line.strip() and not PLACE.search(line)]
    return f"{where}: {' '.join(problem[:2])}; correct it, or put the value in quotes"


def missing_input(text: str) -> str | None:
    """What Snakemake says of an input that neither stands there nor is made by a rule: a source, as a rule."""
    found = MISSING.search(text)
    if not found:
        return None
    file, *others = (line.strip() for line in found["files"].splitlines() if line.strip())
    more = f" (nor do {len(others)} others)" if others else ""
    reader = f"{found['rule']} ({found['of']})" if found["of"] else found["rule"]
    return f"{file} does not exist{more}, and {reader} reads it; {nearest(file, 'put it there, or correct the path')}"


def nearest(file: str, remedy: str = "correct --configfile, or write it") -> str:
    """What to give instead of a file that is not there: one of its name in a folder here, or one called almost so."""
    folder, name = Path(file).parent, Path(file).name
    found = sorted(Path().glob(f"*/{glob.escape(name)}"))
    names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    found += [folder / near for near in difflib.get_close_matches(name, names, 1, 0.75)]
    return f"did you mean {found[0]}?" if found else remedy
