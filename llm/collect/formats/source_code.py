"""Reads source code: one document per file, with its language and its licence.

What nobody wrote by hand is dropped. A file's language follows from its name or its `#!` line, its licence from its
SPDX header, else from the licence file of the nearest folder above it but below the source's own top (there the
config's word counts). Skipped and counted are vendored, generated and minified files, lock files, data literals and
unknown languages. Notebooks give their cells, without outputs. No program is parsed.

The table of suffixes is ours: of its 80, pygments 2.21 names 45 alike and one language, gives 12 (.h, .m, .pl, .t, .v
...) to several, and lacks 4; its other 645 take in prose and data.
"""

import json
import posixpath
import re
from collections.abc import Iterator

from llm.collect import licenses
from llm.collect.archive import Archive
from llm.collect.decode import decode, texts
from llm.collect.documents import Document, Report

SUFFIXES = {
    "Assembly": "s S asm", "C": "c h", "C#": "cs", "C++": "cc cpp cxx hpp hh hxx inl", "CMake": "cmake",
    "CUDA": "cu cuh", "Clojure": "clj cljs", "D": "d", "Dart": "dart", "Elixir": "ex exs", "Emacs Lisp": "el",
    "Erlang": "erl hrl", "Fortran": "f f90 f95 f03 F F90 for", "Go": "go", "Haskell": "hs", "Java": "java",
    "JavaScript": "js jsx mjs cjs", "Julia": "jl", "Jupyter": "ipynb", "Kotlin": "kt kts", "Lisp": "lisp lsp",
    "Lua": "lua", "Makefile": "mk", "OCaml": "ml mli", "Objective-C": "m mm", "PHP": "php", "Pascal": "pas pp",
    "Perl": "pl pm t", "Python": "py pyx pxd pyi", "R": "r R", "Ruby": "rb", "Rust": "rs", "SQL": "sql",
    "Scala": "scala", "Scheme": "scm ss rkt", "Shell": "sh bash zsh", "Swift": "swift", "Tcl": "tcl",
    "TypeScript": "ts tsx", "Verilog": "v sv", "Zig": "zig",
}  # fmt: skip
LANGUAGES = {suffix: language for language, suffixes in SUFFIXES.items() for suffix in suffixes.split()}
NAMES = {"Makefile": "Makefile", "makefile": "Makefile", "GNUmakefile": "Makefile", "Dockerfile": "Dockerfile",
         "CMakeLists.txt": "CMake", "Rakefile": "Ruby", "Gemfile": "Ruby", "BUILD": "Starlark"}  # fmt: skip
SHEBANG = re.compile(r"#![ \t]*\S*?/?(?:env[ \t]+(?:-\S+[ \t]+)*)?([a-z]+)[\d.]*(?:\s|$)")
PROGRAMS = {
    "python": "Python", "pypy": "Python", "sh": "Shell", "bash": "Shell", "dash": "Shell", "ksh": "Shell",
    "zsh": "Shell", "perl": "Perl", "ruby": "Ruby", "node": "JavaScript", "lua": "Lua", "php": "PHP", "awk": "Awk",
    "gawk": "Awk", "make": "Makefile", "tclsh": "Tcl", "wish": "Tcl", "guile": "Scheme", "julia": "Julia",
}  # fmt: skip
INCLUDE = ["**/*.{" + ",".join(sorted(LANGUAGES)) + "}", *(f"**/{name}" for name in NAMES)]
VENDORED = re.compile(
    r"(?:^|/)(?:vendor|vendored|_vendor|third[-_]?party|externals?|extern|node_modules|bower_components|site-packages|"
    r"deps|dist|\.git|__pycache__)/|(?:^|/)(?:jquery|bootstrap|d3|angular|react)[-.\d]*(?:\.min)?\.js$",
    re.IGNORECASE,
)
LOCK = re.compile(r"(?:^|/)[\w.-]*(?:[-.]lock(?:\.\w+)?|-lock\.json|npm-shrinkwrap\.json|go\.sum)$")
LARGEST = 1_000_000  # characters
DATA_LINE = re.compile(
    r"(?=.*\d)[0-9a-fA-FxXuUlL\s{}\[\](),;:\"'.|+-]+|[\s\"']*[A-Za-z0-9+/=\\]{60,}[\s\"',;)]*"
)  # numbers, or bytes in base64
GENERATED = re.compile(
    r"\bDO NOT (?:EDIT|MODIFY)\b|@generated\b|\b(?:auto(?:matically)?[- ]?|machine[- ])generated\b|"
    r"\bGenerated (?:automatically |on .* )?by\b",
    re.IGNORECASE,
)


def documents(archive: Archive, names: list[str], report: Report) -> Iterator[Document]:
    """Yield one document per file; its title is the file's name in the archive, with the language if that does not say
    it."""
    top = posixpath.commonpath([posixpath.dirname(name) for name in archive.names]) if archive.names else ""
    trees = licensed_trees(archive, top)
    wanted = [name for name in names if not skipped_by_name(name, report)]
    for name, text in texts(archive, wanted, report):
        language = language_of(name, text)
        if language == "Jupyter":
            text = notebook(text)
        if language is None:
            report.skipped["unknown language"] += 1
            continue
        if reason := unwanted(text):
            report.skipped[reason] += 1
            continue
        report.languages[language] += 1
        title = name if language_of(name, "") else f"{name} ({language})"
        yield Document(text, title, name, license=licenses.stated(text) or nearest(trees, name))


def skipped_by_name(name: str, report: Report) -> bool:
    """Count and refuse copies of other people's code and lists of pinned versions."""
    reason = "vendored" if VENDORED.search(name) else "lock file" if LOCK.search(name) else None
    report.skipped.update([reason] if reason else [])
    return reason is not None


def language_of(name: str, text: str) -> str | None:
    """Return the language by the file's name, else by the program that its first line names; None if neither is
    known."""
    base = posixpath.basename(name)
    by_name = NAMES.get(base) or LANGUAGES.get(base.rpartition(".")[2] if "." in base else "")
    shebang = SHEBANG.match(text[:200])
    return by_name or (PROGRAMS.get(shebang[1]) if shebang else None)


def licensed_trees(archive: Archive, top: str) -> dict[str, str]:
    """Return folder -> the licence that its licence file grants, for folders below `top`."""
    found: dict[str, str] = {}
    for name in archive.names:
        folder = posixpath.dirname(name)
        if folder != top and licenses.is_license_file(name):
            with archive.open(name) as file:
                text = decode(file.read(1 << 16), Report())
            if folder not in found and (license := licenses.recognised(text)):
                found[folder] = license
    return found


def nearest(trees: dict[str, str], name: str) -> str | None:
    """Return the licence of the deepest licensed folder that holds the file."""
    folder = posixpath.dirname(name)
    while folder and folder not in trees:
        folder = posixpath.dirname(folder)
    return trees.get(folder)


def notebook(text: str) -> str:
    """Return a Jupyter notebook's cells: prose as it is, code in fences, outputs left out; '' if it is none."""
    try:
        book = json.loads(text)
        language = book.get("metadata", {}).get("kernelspec", {}).get("language", "python")
        sheets = book["worksheets"] if "cells" not in book else [book]  # up to version 3 of the format
        cells = [
            (cell["cell_type"], "".join(cell["source"] if "source" in cell else cell["input"]).strip("\n"))
            for sheet in sheets
            for cell in sheet["cells"]
        ]
    except (ValueError, AttributeError, KeyError, TypeError, RecursionError):
        return ""
    kept = [f"```{language}\n{source}\n```" if kind == "code" else source for kind, source in cells if source]
    return "\n\n".join(kept)


def unwanted(text: str) -> str | None:
    """Return why nobody wrote this file by hand for people to read, or None."""
    if len(text) > LARGEST:
        return "too large"
    lines = text.split("\n")
    if GENERATED.search("\n".join(lines[:8])[:2000]):
        return "generated"
    if max(map(len, lines)) > 1000 or len(text) > 200 * len(lines):
        return "minified"
    return "data" if mostly_data(lines) else None


def mostly_data(lines: list[str]) -> bool:
    """Is it a table of numbers or encoded bytes: do most lines of a long file hold little else?"""
    filled = [line for line in lines if line.strip()]
    return len(filled) > 40 and sum(DATA_LINE.fullmatch(line) is not None for line in filled) > 0.7 * len(filled)
