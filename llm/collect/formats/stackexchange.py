"""Reads a Stack Exchange dump (Posts.xml): one document per question, with its answers, the best voted first.

In the dump answers stand anywhere after their question, so posts go into a temporary database on disk first: memory
stays small whatever the dump's size. Code blocks stay, between fences. The licence of a post follows from the attribute
ContentLicense, else from its date: CC BY-SA 2.5 until 2011-04-07, 3.0 until 2018-05-01, 4.0 since then. No user is
named. Dumps are published as .7z, which must be unpacked first (Posts.xml, or packed again as .gz, .bz2, .xz, .zst).
"""

import re
import sqlite3
import tempfile
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path

from llm.collect.archive import Archive
from llm.collect.documents import Document, Report
from llm.collect.formats.html_text import whole_text
from llm.collect.formats.records import empty_elements

INCLUDE = ["**/Posts.xml", "**/Posts.xml.{gz,bz2,xz,zst}"]
LICENSES = [("2018-05-02", "CC-BY-SA-4.0"), ("2011-04-08", "CC-BY-SA-3.0"), ("", "CC-BY-SA-2.5")]  # since
QUESTION, ANSWER = "1", "2"
NUMBER = re.compile("[0-9]{1,18}")  # what the database holds as one
TABLES = """
    CREATE TABLE questions (id INTEGER PRIMARY KEY, title TEXT, tags TEXT, body TEXT, license TEXT);
    CREATE TABLE answers (id INTEGER PRIMARY KEY, question INTEGER, score INTEGER, body TEXT, license TEXT);
"""


def documents(archive: Archive, names: list[str], report: Report) -> Iterator[Document]:
    """Yield one document per question, in the order of their numbers."""
    for name in names:
        with tempfile.TemporaryDirectory() as directory:
            posts = sqlite3.connect(Path(directory) / "posts.sqlite")
            try:
                posts.executescript(
                    "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA cache_size=-65536;" + TABLES
                )
                with archive.open(name) as file:
                    load(file, posts, f"{archive.label}: {name}", archive.limits.member, report)
                yield from questions(posts, name, archive.limits.member, report)
            finally:
                posts.close()


def load(file: BufferedReader, posts: sqlite3.Connection, where: str, limit: int, report: Report) -> None:
    """Stream the rows of Posts.xml into the database. Wikis, tag texts, rows without a number and rows that are not
    well-formed are counted."""
    for data in empty_elements(file, "row", "posts", where, limit):
        if data is None:
            report.skipped["too large"] += 1
            continue
        try:
            row = ElementTree.fromstring(data)  # of libxml2, attributes take time by the square of their number
        except ElementTree.ParseError as error:
            report.broken("broken row", f"{where}: a row is not well-formed XML ({error})")
            continue
        store(row.attrib, posts, report)
    posts.execute("CREATE INDEX by_question ON answers (question, score DESC, id)")


def store(row: dict[str, str], posts: sqlite3.Connection, report: Report) -> None:
    number, kind, body = row.get("Id", ""), row.get("PostTypeId", ""), row.get("Body", "")
    if not NUMBER.fullmatch(number) or (kind == ANSWER and not NUMBER.fullmatch(row.get("ParentId", ""))):
        report.skipped["post without a number"] += 1
        return
    license = row.get("ContentLicense") or ""
    license = license.replace(" ", "-") if license else dated(row.get("CreationDate", ""))
    if kind == QUESTION:
        question = (int(number), row.get("Title", ""), row.get("Tags", ""), body, license)
        done = posts.execute("INSERT OR IGNORE INTO questions VALUES (?, ?, ?, ?, ?)", question)
    elif kind == ANSWER:
        score = row.get("Score", "0")
        votes = int(score) if re.fullmatch(r"-?\d{1,9}", score) else 0
        answer = (int(number), int(row["ParentId"]), votes, body, license)
        done = posts.execute("INSERT OR IGNORE INTO answers VALUES (?, ?, ?, ?, ?)", answer)
    else:
        report.skipped["neither question nor answer"] += 1
        return
    if not done.rowcount:
        report.skipped["number used twice"] += 1


def dated(created: str) -> str:
    """Return the licence under which posts of that day were given."""
    return next(license for since, license in LICENSES if created >= since)


def questions(posts: sqlite3.Connection, name: str, limit: int, report: Report) -> Iterator[Document]:
    """Yield the questions with their answers; one that has more than `limit` characters of them is counted."""
    for number, title, tags, body, license in posts.execute("SELECT * FROM questions ORDER BY id"):
        (size,) = posts.execute("SELECT sum(length(body)) FROM answers WHERE question = ?", (number,)).fetchone()
        if len(body) + (size or 0) > limit:
            report.skipped["too large"] += 1
            continue
        answers = posts.execute(
            "SELECT body, license FROM answers WHERE question = ? ORDER BY score DESC, id", (number,)
        ).fetchall()
        licenses = sorted({license, *(given for _, given in answers)})
        words = ", ".join(re.findall(r"[^<>|\s]+", tags))
        pieces = [title, f"Tags: {words}" if words else "", text_of(body)]
        pieces += [f"Answer:\n\n{text_of(answer)}" for answer, _ in answers]
        text = "\n\n".join(piece for piece in pieces if piece)
        yield Document(text, title or None, f"{name}#{number}", license=" AND ".join(licenses))
    lost = "SELECT count(*) FROM answers WHERE question NOT IN (SELECT id FROM questions)"
    (orphans,) = posts.execute(lost).fetchone()
    report.skipped.update({"answer without its question": orphans} if orphans else {})


def text_of(body: str) -> str:
    """Return a post's HTML as text, its code blocks between fences."""
    body = re.sub(r"<pre\b[^<>]*+>\s*+<code\b[^<>]*+>", "<pre>```\n", body)
    body = re.sub(r"\n?</code>\s*+</pre>", "\n```</pre>", body)
    return whole_text(body)
