"""What stands beside a page's content, and is as long as it: columns, boxes that say what they are, dialogs. And rows
of tables, whose cells stand or go together."""

import pytest

from llm.collect.formats.html import extract

SENTENCE = "The council met on Tuesday evening and voted, after a long debate, to keep the old bridge open. "
OTHER = "Another story, which is told elsewhere at length and has nothing to do with the council at all. "
TEXT = f"<p>{SENTENCE * 3}</p><p>{SENTENCE * 2}</p>"


def fast(markup: str) -> str:
    return extract(markup, "fast").text


@pytest.mark.parametrize(
    "beside",
    [
        '<aside class="sidebar"><h3>Programme</h3><div>{}</div></aside>',
        "<footer><div>{}</div></footer>",
        '<div class="sidebar"><p>{}</p></div>',
        "<nav><ul><li>{}</li></ul></nav>",
    ],
)
def test_a_column_longer_than_the_content_goes_where_another_element_is_called_content(beside: str) -> None:
    column = beside.format(OTHER * 12)
    found = fast(f"<body><main><h1>Bridge</h1><section>{TEXT}</section></main>{column}</body>")
    assert OTHER.strip() not in found and found.count(SENTENCE.strip()) == 5
    # without such an element, and inside it, a name may mean anything
    assert OTHER.strip() in fast(f"<body><div><h1>Bridge</h1>{TEXT}</div>{column}</body>")
    assert OTHER.strip() in fast(f"<body><main><h1>Bridge</h1>{TEXT}{column}</main></body>")


def test_replies_in_articles_of_their_own_do_not_outweigh_a_misnamed_element() -> None:
    replies = f'<div class="comments"><article>{TEXT}</article><article>{TEXT}</article></div>'
    assert "elsewhere" in fast(f'<div class="popup"><p>{OTHER * 12}</p></div>{replies}')


@pytest.mark.parametrize(
    "label", ["Related Posts", "You might also like", "27 commentaires", "Comments (12)", "5 Responses to “The bridge”"]
)
@pytest.mark.parametrize("name", ["related_posts", "x27", ""])
def test_a_box_that_begins_with_such_a_label_goes(label: str, name: str) -> None:
    items = "".join(f"<li><p>{OTHER}</p></li>" for _ in range(4))
    box = f'<div id="{name}"><div><h3>{label}</h3></div><ul>{items}</ul></div>'
    found = fast(f"<body><div><div><h1>Bridge</h1>{TEXT}</div>{box}</div></body>")
    assert OTHER.strip() not in found and label not in found
    assert found.count(SENTENCE.strip()) == 5


@pytest.mark.parametrize(
    "label",
    [
        "Related work",
        "Comments",
        "2. Comments",
        "2.1 Comments on it",
        "3 bridges",
        "3 Comments and docstrings",
        "Replies",
    ],
)
def test_a_section_under_a_heading_of_its_own_stays(label: str) -> None:
    found = fast(f"<div>{TEXT}<section><h2>{label}</h2><p>{OTHER * 3}</p></section></div>")
    assert label in found and OTHER.strip() in found


def test_columns_beside_the_heading_and_its_paragraphs_go() -> None:
    column = "".join(f"<div><b>Headline {k}</b><p>{OTHER}</p></div>" for k in range(5))
    page = f"<div><div><h1>Bridge</h1><div>{TEXT}</div></div><div>{column}</div></div>"
    assert "elsewhere" not in fast(f'<meta property="og:title" content="Bridge">{page}')
    assert "elsewhere" not in fast(page)
    # before the heading it may be a page of documentation that begins so
    before = f"<div><div>{column}</div><div><h1>Bridge</h1><div>{TEXT}</div></div></div>"
    assert "elsewhere" in fast(before)
    assert "elsewhere" not in fast(f'<meta property="og:title" content="Bridge">{before}')


def test_the_text_below_a_header_with_a_standfirst_stays() -> None:
    header = f"<header><h1>Bridge</h1><p>{SENTENCE * 2}</p></header>"
    notes = "".join(f"<p>Note {k} of the council on its bridge, as it was said.</p>" for k in range(3))
    found = fast(f'<meta property="og:title" content="Bridge"><article>{header}<div>{notes}</div></article>')
    assert all(f"Note {k}" in found for k in range(3))


def test_a_dialog_about_cookies_goes_and_documentation_of_cookies_stays() -> None:
    dialog = (
        "<div><h2>This website uses cookies</h2><p>Cookies are small files that your browser keeps for us.</p>"
        "<div><p>With a click you agree that cookies of third parties are used on your device.</p></div></div>"
    )
    page = f"<body><div><div>{TEXT}</div></div>{dialog}</body>"
    assert "ookies" not in fast(f'<meta property="og:title" content="Bridge">{page}')
    assert "third parties" in fast(page)


@pytest.mark.parametrize("declared", ["", '<meta property="og:type" content="article">'])
def test_a_row_of_a_table_keeps_its_name_that_is_a_link(declared: str) -> None:
    rows = "".join(
        f'<tr><td><a href="/{k}">A long name of product number {k}</a></td><td>{k}70 €</td><td>ja</td></tr>'
        for k in range(1, 9)
    )
    found = fast(f"{declared}<main><h1>Test</h1>{TEXT}<table>{rows}</table>{TEXT}</main>")
    assert "A long name of product number 3 | 370 € | ja" in found
    links = '<tr><td><a href="/1">A long name of one story</a></td><td><a href="/2">Of another</a></td></tr>' * 3
    article = f'<meta property="og:type" content="article"><main>{TEXT}<table>{links}</table>{TEXT}</main>'
    assert "one story" not in fast(article)
