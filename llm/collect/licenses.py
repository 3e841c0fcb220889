"""Licences by their SPDX identifiers: what a file states, what a licence's text is, and whether one is refused.

Recognises the common licences by sentences that no other has; does not weigh what a licence allows.
"""

import fnmatch
import re

import boolean
import license_expression

LICENSING = license_expression.Licensing()  # of any identifiers, LicenseRef-... too
HEADER = re.compile(r"SPDX-License-Identifier:[ \t]*([^\n]*)")
IDENTIFIER = r"\(*[A-Za-z0-9][\w.+-]*\)*"
EXPRESSION = re.compile(rf"{IDENTIFIER}(?:\s+(?:AND|OR|WITH)\s+{IDENTIFIER})*")
NAME = re.compile(r"(?:.*/)?(?:LICEN[CS]E|COPYING|UNLICENSE)(?:[-._][\w.-]*)?", re.IGNORECASE)
# the first that matches counts; "&" joins what must all stand in the text, blanks are any white space
SENTENCES = {
    "Apache-2.0": "Apache License Version 2.0",
    "AGPL-3.0-only": "GNU AFFERO GENERAL PUBLIC LICENSE Version 3",
    "LGPL-3.0-only": "GNU LESSER GENERAL PUBLIC LICENSE Version 3",
    "LGPL-2.1-only": "GNU LESSER GENERAL PUBLIC LICENSE Version 2.1",
    "LGPL-2.0-only": "GNU LIBRARY GENERAL PUBLIC LICENSE Version 2",
    "GPL-3.0-only": "GNU GENERAL PUBLIC LICENSE Version 3",
    "GPL-2.0-only": "GNU GENERAL PUBLIC LICENSE Version 2",
    "MPL-2.0": "Mozilla Public License Version 2.0",
    "EPL-2.0": "Eclipse Public License - v 2.0",
    "CC0-1.0": "CC0 1.0 Universal",
    "CC-BY-SA-4.0": "Creative Commons Attribution-ShareAlike 4.0",
    "CC-BY-4.0": "Creative Commons Attribution 4.0",
    "Unlicense": "This is free and unencumbered software released into the public domain",
    "BSL-1.0": "Boost Software License - Version 1.0",
    "PSF-2.0": "PYTHON SOFTWARE FOUNDATION LICENSE VERSION 2",
    "Zlib": "This software is provided 'as-is', without any express or implied warranty",
    "BSD-3-Clause": "Redistributions in binary form must reproduce & endorse or promote products derived from",
    "BSD-2-Clause": "Redistributions in binary form must reproduce",
    "0BSD": "Permission to use, copy, modify, and/or distribute this software for any purpose with or without fee is"
    " hereby granted. THE SOFTWARE",
    "ISC": "Permission to use, copy, modify, and/or distribute this software for any purpose",
    "MIT": "Permission is hereby granted, free of charge, to any person obtaining a copy of this software & "
    "The above copyright notice",
}


def stated(text: str) -> str | None:
    """Return the SPDX expression that a file's head states, or None."""
    found = HEADER.search(text[:4000])
    expression = EXPRESSION.match(found[1].strip()) if found else None
    return " ".join(expression[0].split()) if expression else None


def is_license_file(name: str) -> bool:
    return NAME.fullmatch(name) is not None


def recognised(text: str) -> str | None:
    """Return the SPDX identifier of a licence's text, or None. Where a text holds several, the first of SENTENCES
    counts."""
    squeezed = re.sub(r"[\s,]+", " ", text.replace("’", "'")).lower()
    for identifier, sentences in SENTENCES.items():
        if all(re.sub(r"[\s,]+", " ", part).strip().lower() in squeezed for part in sentences.split("&")):
            return identifier
    return None


def refuses(globs: tuple[str, ...], expression: str) -> bool:
    """Is there no way to choose among an SPDX expression's licences in which no identifier matches a glob (GPL-*)?

    `A OR B` is refused if both are, `A AND B` if one is, `A WITH B` as A or B. Of what is no
    expression any word counts.
    """

    def refused(node: boolean.Expression) -> bool:
        if isinstance(node, LICENSING.OR):
            return all(map(refused, node.args))
        if isinstance(node, LICENSING.AND):
            return any(map(refused, node.args))
        return any(matched(symbol.key) for symbol in node.decompose())

    def matched(identifier: str) -> bool:
        return any(fnmatch.fnmatchcase(identifier, glob) for glob in globs)

    try:
        tree = LICENSING.parse(expression)  # None for an empty text
    except (license_expression.ExpressionError, IndexError, AssertionError):  # the last two: of "()", of "NOT OR ("
        return any(map(matched, re.sub(r"[()]", " ", expression).split()))
    return tree is not None and refused(tree)
