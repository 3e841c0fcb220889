"""Pages of articles: teasers, repeats, dialogs and lists beside them go; their own sentences and paragraphs stay."""

import pytest

from llm.collect.formats.html import extract

SENTENCE = "The council met on Tuesday evening and voted, after a long debate, to keep the old bridge open. "


def fast(markup: str) -> str:
    return extract(markup, "fast").text


def article(inside: str) -> str:
    return fast(
        f"<article><p>{SENTENCE * 9}</p>{inside}<p>The end of the story, which came on Wednesday.</p></article>"
    )


@pytest.mark.parametrize(
    "teaser",
    [
        '<div class="box"><h3><a href="/2">Bridges of the world</a></h3><p>{}</p></div>',
        '<div><div><h4><a href="/2">Bridges of the world</a></h4></div><p>{}</p></div>',
        '<div class="related-articles"><b>Bridges of the world</b><p>{}</p></div>',
        '<div class="site_footer"><p>{}</p></div>',
    ],
)
def test_a_teaser_within_an_article_goes(teaser: str) -> None:
    found = article(teaser.format("Which ones stand longest, and who pays for their upkeep in the end?"))
    assert "Which ones" not in found and "Bridges" not in found
    assert found.endswith("The end of the story, which came on Wednesday.")


def test_stories_below_linked_headlines_may_be_the_article() -> None:
    items = "".join(f'<div><h2><a href="/{k}">Bridge {k}</a></h2><p>{k}: {SENTENCE * 3}</p></div>' for k in range(9))
    assert all(f"{k}: {SENTENCE.strip()}" in article(items) for k in range(9))


def test_what_an_article_repeats_goes_but_for_choruses() -> None:
    twice = f"<div><p>One: {SENTENCE}</p><p>Oh, the bridge!</p></div>" * 2
    assert article(twice).count("One: ") == 1
    assert article("<p>Oh, the bridge!</p><p>Another line.</p>" * 3).count("Oh, the bridge!") == 3
    table = f"<tr><td>{SENTENCE}</td><td>1</td></tr>"
    assert article(f"<table>{table * 2}</table>").count(f"{SENTENCE.strip()} | 1") == 2


def test_a_consent_dialog_longer_than_the_page_goes() -> None:
    dialog = f'<div id="iubenda-cs-banner"><p>{"We and our partners use cookies, for which we ask. " * 40}</p></div>'
    assert fast(f"<p>{SENTENCE * 4}</p>{dialog}") == " ".join([SENTENCE.strip()] * 4)


def test_captions_of_slides_are_no_standfirst() -> None:
    slides = "".join(
        f"<p>Slide {k}: the bridge as seen from its {k}th pillar, before it was painted again.</p>" for k in range(9)
    )
    page = "<h1>The bridge</h1>{}<div class='article-body'><p>" + SENTENCE * 9 + "</p></div>"
    assert "Slide" not in fast(page.format(f"<div>{slides}</div>"))
    assert fast(page.format(f"<p>{SENTENCE}</p>")).count(SENTENCE.strip()) == 10


@pytest.mark.parametrize("name", ["popup", "related", "author", "share-link"])
def test_a_link_within_a_sentence_is_text_whatever_it_is_called(name: str) -> None:
    linked = (
        f'The nature of my <a class="{name}" href="/note">avocations</a> has brought me into contact with bridges, '
    )
    linked += f'and with <a class="{name}" href="/other">some singular men</a> who build them.'
    assert "The nature of my avocations has brought me" in fast(f"<p>{SENTENCE * 3}</p><p>{linked}</p>")
    assert "and with some singular men who build them." in article(f"<p>{linked}</p>")


def test_a_link_behind_a_paragraph_or_in_a_line_of_links_goes_by_its_name() -> None:
    assert "Read on" not in article(f'<p>{SENTENCE} <a class="popup" href="/2">Read on</a></p>')
    assert "Ann" not in article('<p>By <a class="author" href="/a">Ann</a> on Monday</p>')


def test_paragraphs_beside_the_part_that_holds_most_of_an_article_stay() -> None:
    """Below what is called the article's body the first paragraphs stand alone, the others in a box."""
    first = "".join(f"<p>First {k}: {SENTENCE}</p>" for k in range(5))
    rest = "".join(f"<p>Then {k}: {SENTENCE}</p>" for k in range(40))
    page = fast(f"<article><h1>Bridge</h1><div class='article-body'>{first}<div>{rest}</div></div></article>")
    assert page.count("First ") == 5 and page.count("Then ") == 40


def test_an_aside_longer_than_the_article_goes() -> None:
    live = "".join(f"<li>{k}: {SENTENCE}</li>" for k in range(12))
    page = f"<article><p>{SENTENCE * 9}</p></article><aside><ul>{live}</ul></aside>"
    assert fast(page).count(SENTENCE.strip()) == 9
    alone = f"<p>Short.</p><aside><p>{SENTENCE * 9}</p></aside>"  # no name decides alone
    assert fast(alone).count(SENTENCE.strip()) == 9


def test_readers_words_go_whatever_a_service_calls_its_parts() -> None:
    """A service for comments names their parts and not the whole; they may be four times the article."""
    replies = "".join(
        f'<article class="x-comment-article"><div class="x-comment-body"><p>I {k} disagree. {SENTENCE * 3}</p></div>'
        "</article>"
        for k in range(12)
    )
    page = f'<article><p>{SENTENCE * 9}</p></article><div class="x-comment-stream">{replies}</div>'
    assert "disagree" not in fast(page) and fast(page).count(SENTENCE.strip()) == 9


def test_a_paragraph_that_an_element_says_again_stays() -> None:
    """What is sent twice stands in two places; a text that repeats itself, in one."""
    refrain = f"<p>Refrain: {SENTENCE * 2}</p><p>Oh, the bridge!</p>" * 3
    assert article(f"<div>{refrain}</div>").count("Refrain: ") == 3
    assert article(f"<div>{refrain}</div>" * 2).count("Oh, the bridge!") == 3


@pytest.mark.parametrize("name", ["big_gallery", "slideshow-block", "photo-gallery"])
def test_captions_of_a_gallery_go_as_those_of_a_figure(name: str) -> None:
    slides = "".join(
        f"<li><img src={k}><p>The bridge from its {k}th pillar, seen at noon. (Photo: Ann)</p></li>" for k in range(5)
    )
    assert "pillar" not in article(f'<div class="{name}"><ul>{slides}</ul></div>')
    alone = f'<article><div class="{name}"><p>{SENTENCE * 9}</p></div></article>'  # no name decides alone
    assert fast(alone).count(SENTENCE.strip()) == 9


def test_an_article_in_two_parts_stays_whole_without_the_teasers_between() -> None:
    teasers = "".join(
        f"<div><h2><a href=/{k}>Bridge {k}</a></h2><p>A teaser of story {k}: {SENTENCE}</p></div>" for k in range(3)
    )
    first = f"<article><p>First: {SENTENCE * 2}</p><p>Second: {SENTENCE * 2}</p></article>"
    rest = f"<article><p>{SENTENCE * 20}</p><p>{SENTENCE * 9}</p></article>"
    page = f"<h1>Bridge</h1><div class='story-body'>{first}<div><div>{teasers}</div></div>{rest}</div>"
    found = fast(f"<meta property='og:type' content='article'>{page}")
    assert "First: " in found and "Second: " in found and "teaser" not in found


def test_the_heading_of_a_list_of_links_goes_with_it() -> None:
    links = "".join(
        f"<li><a href=/{k}>Another story about the bridges of the world, number {k}</a></li>" for k in range(4)
    )
    found = article(f"<p>{SENTENCE}</p><div><h3>More insights</h3><h3>Reports</h3><ul>{links}</ul></div>")
    assert "insights" not in found and "Reports" not in found
    assert "What it costs" in article(f"<h3>What it costs</h3><ul>{links}</ul><p>{SENTENCE}</p>")  # has text of its own


@pytest.mark.parametrize("name", ["nav-item", "drop-down-nav", "page-right-column"])
def test_headlines_in_menus_and_columns_go(name: str) -> None:
    box = (
        f'<div class="{name}"><p>Breakfast is served until noon, says a chain of restaurants in a statement.</p></div>'
    )
    assert "Breakfast" not in fast(f"{box}<div><p>{SENTENCE * 9}</p></div>")


LAST = "The end of the story, which came on Wednesday."


@pytest.mark.parametrize(
    "line",
    [
        "(Reporting by A. Writer in London; Editing by B. Reader)",
        "[This story was corrected on Thursday.]",
        "Copyright 2013 The Agency. All rights reserved. This may not be published, broadcast or rewritten.",
        "&copy; The Agency",
        "&#169; 2013",
        "© The Agency",
        "Alle Rechte vorbehalten.",
        "Tous droits réservés",
        "Follow A. Writer on Twitter: @awriter.",
        "To contact the reporter on this story: A. Writer in London at awriter@example.org",
        "More from the paper:",
        "<b>ALSO:</b>",
    ],
)
def test_a_line_that_closes_an_article_goes(line: str) -> None:
    assert article(f"<p>{LAST}</p></article><p></p>").endswith(LAST)
    page = f"<article><p>{SENTENCE * 9}</p><p>{LAST}</p><p>{line}</p><p>(END)</p></article>"
    assert fast(page).endswith(LAST)
    assert fast(page.replace("article>", "div>")).endswith("(END)")  # a page that is no article keeps all


@pytest.mark.parametrize(
    "line",
    [
        "The copyright of the bridge, said the mayor, who follows nobody, is not for sale.",
        "(He laughs.) Then he went home.",
        "(And then, in the end, he went home.)",
        "These are the tips of Anna:",
        "He wrote @ in place of a.",
        "<table><tr><td>(1)</td></tr></table>",
        "<pre>write(a@b)</pre>",
    ],
)
def test_a_last_sentence_that_only_looks_like_a_closing_line_stays(line: str) -> None:
    said = "".join(fast(f"<p>{line}</p>").split())
    assert "".join(fast(f"<article><p>{SENTENCE * 9}</p><p>{LAST}</p><p>{line}</p></article>").split()).endswith(said)


@pytest.mark.parametrize(
    "label",
    ["Related stories", "You may also like", "More from the region", "Comments", "3 Comments", "Don't miss",
     "Lesen Sie auch", "À lire aussi", "Notícias relacionadas", "Читайте также", "相关推荐"],
)  # fmt: skip
@pytest.mark.parametrize("tag", ["h3", "p", "div"])
def test_what_follows_a_label_of_other_articles_goes_with_it(label: str, tag: str) -> None:
    below = (
        f"<section><{tag}>{label}</{tag}><p>Another story of another bridge, told at some length here.</p></section>"
    )
    assert fast(f"<article><p>{SENTENCE * 9}</p><p>{LAST}</p>{below}</article>").endswith(LAST)
    middle = fast(f"<article><p>{SENTENCE * 9}</p><{tag}>{label}</{tag}><p>{SENTENCE * 4}</p></article>")
    assert middle.count(SENTENCE.strip()) == 13  # among the article's own paragraphs it stands over a box at most
    first = fast(f"<article><p>{LAST}</p>{below}<p>{SENTENCE * 9}</p></article>")
    # before the article's half it may be anything, if it is not sure (kernels/boxes.py)
    assert ("Another story" in first) == (
        label in ("More from the region", "Comments", "Don't miss", "Lesen Sie auch", "相关推荐")
    )


@pytest.mark.parametrize(
    "sentence", ["More from the mayor came on Friday.", "Related works cost a million!", "Read more: a bridge of old"]
)
def test_a_sentence_is_no_label(sentence: str) -> None:
    last = f"<p>{sentence}</p><p>{LAST}</p>"
    assert fast(f"<article><p>{SENTENCE * 9}</p>{last}</article>").endswith(f"{sentence}\n\n{LAST}")


def test_a_page_of_paragraphs_that_names_itself_to_networks_is_an_article() -> None:
    paragraphs = f"<p>{SENTENCE}</p>" * 4 + "<div>Print</div>" + f"<p>{LAST * 3}</p><p>&copy; The Agency</p>"
    page = '<meta property="OG:title" content=x><h1>Bridge</h1><div>{}</div>'
    found = fast(page.format(paragraphs))
    assert "Print" not in found and found.endswith(LAST) and found.startswith("Bridge")
    plain = page.replace("OG:title", "og_title")
    for kept in (
        plain.format(paragraphs),
        page.format(paragraphs + "<pre>x = 1</pre>"),
        page.format("<p>a" + paragraphs[-60:]),
    ):
        assert "The Agency" in fast(kept)


def test_short_lines_among_paragraphs_without_elements_of_their_own_stay() -> None:
    lines = "<br><br>".join([SENTENCE * 3, "A bridge on sale", SENTENCE * 3])
    assert "\n\nA bridge on sale\n\n" in fast(f"<article><div>{lines}</div></article>")
