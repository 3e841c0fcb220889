"""Programs: languages, licences of trees and files, and what nobody wrote by hand."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from llm.collect import licenses
from llm.collect.documents import Report
from llm.collect.extract import collect
from llm.collect.formats import source_code
from tests.llm.collect.formats.test_formats import archive
from tests.llm.collect.read_shards import read_documents
from tests.llm.collect.test_extract import RECIPE

MIT = "MIT License\n\nPermission is hereby granted, free of charge, to any person obtaining a copy\nof this software"
MIT += " ...\nThe above copyright notice and this permission notice shall be included in all copies."
PROGRAM = "def f():\n    return 1\n"


def made(tmp_path: Path, files: dict[str, str], **changes) -> tuple[dict, dict[str, dict]]:
    for name, text in files.items():
        (tmp_path / "tree" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "tree" / name).write_text(text)
    (tmp_path / "raw").mkdir()
    recipe = replace(RECIPE, format="code", license="BSD-3-Clause", **changes)
    metrics = collect(tmp_path / "tree", tmp_path / "raw", recipe)
    rows = [row for frame in read_documents(tmp_path / "raw") for row in frame.to_dicts()]
    return metrics, {row["url"].removeprefix("pypi:tales==1/"): row for row in rows}


@pytest.mark.parametrize(
    ("name", "head", "language"),
    [
        ("a.py", "", "Python"),
        ("a.rs", "", "Rust"),
        ("Makefile", "", "Makefile"),
        ("bin/tool", "#!/usr/bin/env python3\n", "Python"),
        ("bin/tool", "#!/bin/sh -e\n", "Shell"),
        ("bin/tool", "#! /usr/bin/perl -w\n", "Perl"),
        ("bin/tool", "#!/usr/bin/env -S node --x\n", "JavaScript"),
        ("bin/tool", "#!/opt/strange\n", None),
        ("notes", "python", None),
    ],
)
def test_language(name: str, head: str, language: str | None) -> None:
    assert source_code.language_of(name, head) == language


def test_licences_of_files_and_trees(tmp_path: Path) -> None:
    files = {
        "p/LICENSE": "whatever the config says", "p/a.py": PROGRAM,
        "p/part/COPYING": "GNU GENERAL PUBLIC LICENSE\n   Version 3, 29 June 2007", "p/part/deep/b.py": PROGRAM,
        "p/part/deep/own.py": "# SPDX-License-Identifier: (MIT OR Apache-2.0)\n" + PROGRAM,
        "p/other/LICENSE.txt": MIT, "p/other/c.py": PROGRAM, "p/run": "#!/bin/sh\necho\n",
    }  # fmt: skip
    metrics, rows = made(tmp_path, files, include=["**/*.py", "**/run"])
    assert {name: row["license"] for name, row in rows.items()} == {
        "p/a.py": "BSD-3-Clause", "p/part/deep/b.py": "GPL-3.0-only", "p/part/deep/own.py": "(MIT OR Apache-2.0)",
        "p/other/c.py": "MIT", "p/run": "BSD-3-Clause",
    }  # fmt: skip
    assert rows["p/run"]["title"] == "p/run (Shell)"
    assert metrics["languages"] == {"Python": 4, "Shell": 1}
    assert metrics["licenses"] == {"(MIT OR Apache-2.0)": 1, "BSD-3-Clause": 2, "GPL-3.0-only": 1, "MIT": 1}


def test_refused_licences_are_counted(tmp_path: Path) -> None:
    files = {"a.py": PROGRAM, "b.py": "# SPDX-License-Identifier: GPL-2.0-only\n" + PROGRAM}
    metrics, rows = made(tmp_path, files, refused_licenses=["GPL-*", "AGPL-*"])
    assert list(rows) == ["a.py"]
    assert metrics["skipped"] == {"licence refused": 1}


@pytest.mark.parametrize(
    ("expression", "refused"),
    [
        ("GPL-2.0-only", True), ("MIT", False), ("MIT OR GPL-2.0-only", False), ("MIT AND GPL-2.0-only", True),
        ("GPL-2.0 WITH Linux-syscall-note", True), ("(GPL-2.0 OR GPL-3.0)", True), ("LGPL-2.1", False),
        ("MIT AND (GPL-2.0 OR BSD-2-Clause)", False), ("MIT OR (GPL-2.0-only AND BSD-3-Clause)", False),
        ("GPL-2.0 AND (MIT OR BSD-2-Clause)", True), ("GPL-2.0-only OR (MIT AND GPL-3.0-only)", True),
        ("GPL-2.0-or-later+", True), ("LicenseRef-mine", False), ("GPL-2.0 (see below", True), ("", False),
        ("( )", False), ("NOT OR( AND  NOT GPL-2.0 ", True),
    ],
)  # fmt: skip
def test_refusal_of_expressions(expression: str, refused: bool) -> None:
    assert licenses.refuses(("GPL-*",), expression) is refused


@pytest.mark.parametrize(
    ("line", "expression"),
    [
        ("/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */", "GPL-2.0 WITH Linux-syscall-note"),
        ("<!-- SPDX-License-Identifier: MIT -->", "MIT"),
        ("// SPDX-License-Identifier: MIT see LICENSE", "MIT"),
        ("# SPDX-License-Identifier:", None),
        ("# no licence", None),
    ],
)
def test_stated_licence(line: str, expression: str | None) -> None:
    assert licenses.stated(line + "\ncode\n") == expression


def test_what_nobody_wrote_by_hand(tmp_path: Path) -> None:
    numbers = "\n".join("0x1f, 0x2e, 0x3d, 0xff," for _ in range(60))
    base64 = "\n".join('"' + "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWZnaGlqa2xtbm9wcXJz" + '"' for _ in range(60))
    files = {
        "src/a.py": PROGRAM, "vendor/b.py": PROGRAM, "x/node_modules/c.js": "f();\n", "js/jquery-3.1.min.js": "f();\n",
        "package-lock.json": "{}", "go.sum": "x", "t/data.c": f"int x[] = {{\n{numbers}\n}};\n", "t/blob.c": base64,
        "gen.py": "# Automatically generated by tool\nx = 1\n", "min.js": "f();" * 1000,
    }  # fmt: skip
    metrics, rows = made(tmp_path, files, include=["**"])
    assert list(rows) == ["src/a.py"]
    assert metrics["skipped"] == {"vendored": 3, "lock file": 2, "data": 2, "generated": 1, "minified": 1}


def test_notebooks_give_their_cells() -> None:
    cells = [
        {"cell_type": "markdown", "source": ["# Title\n", "Prose."]},
        {"cell_type": "code", "source": "x = 1\n", "outputs": [{"data": {"image/png": "QUJD" * 9999}}]},
    ]
    book = json.dumps({"cells": cells, "metadata": {}})
    opened, report = archive(a__ipynb=book, b__ipynb="{broken"), Report()
    found = list(source_code.documents(opened, opened.names, report))
    assert found[0].text == "# Title\nProse.\n\n```python\nx = 1\n```"
    assert [document.text for document in found[1:]] == [""]  # the writer counts it as empty


def test_data_lines_take_linear_time() -> None:
    assert not source_code.mostly_data(["1, " * 20_000 + "?"] * 60)


def test_notebooks_of_version_3_give_their_cells() -> None:
    cells = [{"cell_type": "heading", "level": 1, "source": "T"}, {"cell_type": "code", "input": ["x = 1"]}]
    book = json.dumps({"worksheets": [{"cells": cells}], "metadata": {}, "nbformat": 3})
    assert source_code.notebook(book) == "T\n\n```python\nx = 1\n```"
