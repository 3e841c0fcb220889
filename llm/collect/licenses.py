"""Licences by their SPDX identifiers: what a file states, what a licence's text is, and whether one is refused.

Recognises the common licences by sentences that no other has; does not weigh what a licence allows.
"""

import fnmatch
import re

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
    """The SPDX expression that a file's head states, or None."""
    found = HEADER.search(text[:4000])
    expression = EXPRESSION.match(found[1].strip()) if found else None
    return " ".join(expression[0].split()) if expression else None


def is_license_file(name: str) -> bool:
    return NAME.fullmatch(name) is not None


def recognised(text: str) -> str | None:
    """The SPDX identifier of a licence's text, or None. Where a text holds several, the first of SENTENCES counts."""
    squeezed = re.sub(r"[\s,]+", " ", text.replace("’", "'")).lower()
    for identifier, sentences in SENTENCES.items():
        if all(re.sub(r"[\s,]+", " ", part).strip().lower() in squeezed for part in sentences.split("&")):
            return identifier
    return None


def refuses(globs: tuple[str, ...], expression: str) -> bool:
    """True if an identifier of the SPDX expression matches a glob (GPL-*) and no other can be chosen in its place:
    `A OR B` is refused if both are, an expression that mixes AND and OR already if one is."""
    words = re.sub(r"[()]", " ", expression).split()
    matched = [
        any(fnmatch.fnmatchcase(word, glob) for glob in globs) for word in words if word not in ("AND", "OR", "WITH")
    ]
    return all(matched) if "OR" in words and "AND" not in words else any(matched)
