"""Stack Exchange dumps: questions with their answers wherever those stand, licences by date, damaged dumps."""

import bz2
import html
import io
import random
import tracemalloc

import pytest

from llm.collect.archive import Archive
from llm.collect.decompress import LIMITS
from llm.collect.documents import Document, Report
from llm.collect.formats import stackexchange
from llm.errors import InputError


def escaped(value: object) -> str:
    return html.escape(str(value)).replace("\n", "&#xA;")  # a bare line end in an attribute would be read as a blank


def row(number: object, kind: int, body: str = "", **more: object) -> str:
    fields = {"Id": number, "PostTypeId": kind, "Body": body, "CreationDate": "2019-01-01T00:00:00.000"} | more
    return "  <row " + " ".join(f'{name}="{escaped(value)}"' for name, value in fields.items()) + " />\n"


def posts(*rows: str) -> bytes:
    return ('<?xml version="1.0" encoding="utf-8"?>\n<posts>\n' + "".join(rows) + "</posts>").encode()


def read(data: bytes, report: Report | None = None) -> list[Document]:
    archive = Archive("it", ["Posts.xml"], [], lambda name: io.BytesIO(data), LIMITS)
    return list(stackexchange.documents(archive, archive.names, report or Report()))


def test_answers_join_their_question_best_first_with_code_kept() -> None:
    code = "<p>Use <code>sorted</code>:</p><pre class='lang-py'><code>for x in y:\n    print(x &lt; 3)\n</code></pre>"
    data = posts(
        row(7, 2, "<p>Poor.</p>", ParentId=4, Score=-2),
        row(4, 1, "<p>How?</p>", Title="Sorting", Tags="<python><sorting>", Score=3),
        row(5, 1, "<p>Alone?</p>", Title="Other", Tags="|c++|"),
        row(9, 2, code, ParentId=4, Score=11),
    )
    first, second = read(bz2.compress(data))
    assert (first.title, first.part, first.license) == ("Sorting", "Posts.xml#4", "CC-BY-SA-4.0")
    assert first.text == (
        "Sorting\n\nTags: python, sorting\n\nHow?\n\nAnswer:\n\nUse sorted:\n\n"
        "```\nfor x in y:\n    print(x < 3)\n```\n\nAnswer:\n\nPoor."
    )
    assert second.text == "Other\n\nTags: c++\n\nAlone?"


@pytest.mark.parametrize(
    ("date", "license"),
    [
        ("2008-08-01T00:00:00", "CC-BY-SA-2.5"),
        ("2011-04-07T23:59:59", "CC-BY-SA-2.5"),
        ("2011-04-08T00:00:00", "CC-BY-SA-3.0"),
        ("2018-05-01T23:59:59", "CC-BY-SA-3.0"),
        ("2018-05-02T00:00:00", "CC-BY-SA-4.0"),
    ],
)
def test_licence_follows_from_the_date_unless_the_post_states_it(date: str, license: str) -> None:
    question = row(1, 1, "q", Title="t", CreationDate=date)
    assert read(posts(question))[0].license == license
    stated = row(2, 2, "a", ParentId=1, ContentLicense="CC BY-SA 3.0")
    found = read(posts(question, stated))[0].license
    assert found == " AND ".join(sorted({license, "CC-BY-SA-3.0"}))


def test_odd_posts_are_counted() -> None:
    report = Report()
    data = posts(
        row(1, 1, "q", Title="t"), row(1, 1, "again", Title="t"), row(2, 2, "lost", ParentId=99),
        row(3, 2, "no parent"), row("x", 1, "no number"), row("²", 1, "none to compute with"),
        row("9" * 30, 1, "none that a database holds"), row(7, 2, "nor this", ParentId="9" * 30),
        row(4, 5, "wiki"), row(6, 2, "a", ParentId=1, Score="many"),
    )  # fmt: skip
    assert [document.text for document in read(data, report)] == ["t\n\nq\n\nAnswer:\n\na"]
    assert report.skipped == {
        "number used twice": 1, "answer without its question": 1, "post without a number": 5,
        "neither question nor answer": 1,
    }  # fmt: skip


def test_damaged_dumps() -> None:
    whole = posts(*(row(number, 1, "q" * 500, Title="t") for number in range(1, 60)))
    for data in (whole[:-300], whole[:-8], bz2.compress(whole)[:-30], b"no xml"):
        with pytest.raises(InputError, match="not a whole <posts>|truncated"):
            read(data)


@pytest.mark.parametrize(
    "broken",
    [b'<row Id="8" PostTypeId="1" Body="a & b"/>', b'<row Id="8" Body="a < b"/>', b'<row Id="8"', b"<row \xff/>",
     b'<row Body="&e9;"/>', b"<row Body='\0'/>"],
)  # fmt: skip
def test_a_broken_row_is_counted_and_the_others_stay(broken: bytes) -> None:
    report, whole = Report(), posts(row(1, 1, "one", Title="t"), row(2, 1, "two", Title="t"))
    data = whole.replace(b"  <row", b"  " + broken + b"\n  <row")
    assert [document.text for document in read(data, report)] == ["t\n\none", "t\n\ntwo"]
    assert report.skipped == {"broken row": 2}
    assert report.problem.startswith("it: Posts.xml: a row is not well-formed XML (")


def test_entity_bombs_do_not_go_off() -> None:
    entities = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 10))
    bomb = f'<!DOCTYPE p [<!ENTITY e0 "ha">{entities}]><posts><row Id="1" PostTypeId="1" Body="&e9;"/></posts>'
    report = Report()
    assert read(bomb.encode(), report) == []
    assert report.skipped == {"broken row": 1}


def test_memory_does_not_grow_with_the_dump() -> None:
    randomly = random.Random(0)

    def peak(count: int) -> int:
        rows = [row(n, 1 + n % 2, "x" * 2000, ParentId=randomly.randrange(1, count) // 2 * 2) for n in range(count)]
        data = posts(*rows)
        archive = Archive("it", ["Posts.xml"], [], lambda name: io.BytesIO(data), LIMITS)
        tracemalloc.start()
        for _ in stackexchange.documents(archive, archive.names, Report()):
            pass
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    assert peak(4000) < 1.5 * peak(400) + (2 << 20)
