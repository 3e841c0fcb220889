"""Explains in one line why a workflow cannot be read: a config file that is missing, not YAML, or not a mapping, or
has a key twice.

Snakemake shows a traceback for the first and names neither file nor line for the others. Its log record holds only
text, but the exception is still being handled when it is logged.
"""

import difflib
import glob
import logging
import re
import sys
import traceback
from collections.abc import Iterable, Iterator
from pathlib import Path

import yaml

from stemma.base.errors import StemmaError, reason

LOADERS = ("load_configfile", "_load_configfile")  # of snakemake.common.configfile
MISSING = re.compile(
    r"Missing input files for rule (?P<rule>\w+):(?:.*?wildcards: (?P<of>[^\n]+))?.*affected files:\s*(?P<files>\S.*)",
    re.DOTALL,
)
PLACE = re.compile(r'in "(?P<file>.+)", line (?P<line>\d+), column \d+')


def explain_early() -> None:
    """Make Snakemake's logger explain these errors from now on."""
    logging.getLogger("snakemake.logging").addFilter(explained)


def explained(record: logging.LogRecord) -> bool:
    """Replace an error's text by a line of ours where there is one; keep every record."""
    error = sys.exc_info()[1]
    line = mishap(error) if record.levelno >= logging.ERROR and error else None
    if line:
        record.msg, record.args = f"error: {line}", ()
    return True


def mishap(error: BaseException) -> str | None:
    """Return the line for an error that a config file has caused; None for any other."""
    if isinstance(error, ValueError) and str(error).startswith("Invalid config definition"):
        return "--config takes key=value, and a block's key so: --config 'pretrain={steps: 10}'"
    file = config_file_of(error)
    if file is None:
        return None
    broken = next((cause for cause in chain(error) if isinstance(cause, yaml.YAMLError)), None)
    if broken:
        return f"config file {file}{fault(str(broken))}"
    if isinstance(error, FileNotFoundError) and not Path(file).suffix:
        return f"config file {file} does not exist: --configfile takes all that follow; put targets first or after --"
    if isinstance(error, FileNotFoundError):
        return f"config file {file} does not exist; {nearest(file)}"
    if isinstance(error, OSError):
        return f"config file {file}: {reason(error)}; name another"
    if isinstance(error, UnicodeDecodeError):
        return f"config file {file} is not UTF-8 (byte {error.start}); save it so"
    return f"config file {file} holds no mapping; write lines of `key: value`, as in config.yaml"


def refuse_repeated_keys(files: Iterable[Path]) -> None:
    """Raise StemmaError if a mapping in one of these YAML files has a key twice: YAML's readers take the last in
    silence. A file that cannot be read is left to Snakemake, which names it."""
    for file in files:
        waiting = [yaml.compose(file.read_text(encoding="utf-8"), yaml.CSafeLoader)] if file.suffix != ".json" else []
        seen: set[int] = set()  # an alias is the node that it names, perhaps one that holds it
        while waiting:
            node = waiting.pop()
            if id(node) in seen:
                continue
            seen.add(id(node))
            if isinstance(node, yaml.SequenceNode):
                waiting += node.value
            if not isinstance(node, yaml.MappingNode):
                continue
            lines: dict[str, int] = {}
            for name, value in node.value:
                waiting.append(value)
                if not isinstance(name, yaml.ScalarNode):
                    continue
                line = name.start_mark.line + 1
                if name.value in lines and name.value != "<<":
                    raise StemmaError(
                        f"config file {file}, line {line}: {name.value} stands in line {lines[name.value]} already, "
                        "and only one of them would count; delete one"
                    )
                lines[name.value] = line


def config_file_of(error: BaseException) -> str | None:
    """Return the config file that Snakemake was reading when the error occurred; None if it was none."""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        if frame.f_code.co_name in LOADERS:
            names = frame.f_locals
            return str(names.get("configpath") or names.get("configpath_or_obj"))
    return None


def chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and its causes."""
    cause: BaseException | None = error
    while cause:
        yield cause
        cause = cause.__cause__ or cause.__context__


def fault(text: str) -> str:
    """Return line, problem and remedy of a YAML error."""
    place = list(PLACE.finditer(text))
    where = f", line {place[-1]['line']}" if place else ""
    if r"'\t'" in text:
        return f"{where}: a tab stands before it; YAML is indented with spaces"
    problem = [line.strip() for line in text.splitlines() if line.strip() and not PLACE.search(line)]
    return f"{where}: {' '.join(problem[:2])}; correct it, or put the value in quotes"


def missing_input(text: str) -> str | None:
    """Return the line for an input that is neither there nor made by a rule (usually a source); None for other
    texts."""
    found = MISSING.search(text)
    if not found:
        return None
    file, *others = (line.strip() for line in found["files"].splitlines() if line.strip())
    more = f" (nor do {len(others)} others)" if others else ""
    reader = f"{found['rule']} ({found['of']})" if found["of"] else found["rule"]
    return f"{file} does not exist{more}, and {reader} reads it; {nearest(file, 'put it there, or correct the path')}"


def nearest(file: str, remedy: str = "correct --configfile, or write it") -> str:
    """Suggest a replacement for a missing file: one of its name in a folder here, or one with a similar name."""
    folder, name = Path(file).parent, Path(file).name
    found = sorted(Path().glob(f"*/{glob.escape(name)}"))
    names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    found += [folder / near for near in difflib.get_close_matches(name, names, 1, 0.75)]
    return f"did you mean {found[0]}?" if found else remedy
