"""The page in a real browser, headless Chromium: every block by mouse and by keyboard, light and dark, narrow and wide.

The browser is Debian's; tests/browser.py looks at any page, tests/test_pipeline.py gives it that of the tiny run.
"""

import re
from functools import partial

import pytest
from playwright.sync_api import expect

from stemma.report.page import in_rows
from tests.browser import CHROMIUM, SIZES, THEMES, examine, started
from tests.browser import opened as opened_in
from tests.stemma.hostile import ATTACK, page_of, prepared

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium here: apt-get install chromium")


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    return page_of(prepared(tmp_path_factory.mktemp("browser")))


@pytest.fixture(scope="module")
def browser():
    with started() as chromium:
        yield chromium


@pytest.fixture
def opened(browser):
    return partial(opened_in, browser=browser)


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("width", SIZES)
def test_every_block(page, theme, width, browser):
    assert examine(page, theme, width, browser) == 5


def test_search_by_keyboard(page, opened):
    with opened(page, "light", 1600) as tab:
        tab.keyboard.press("/")
        assert tab.evaluate("document.activeElement.id") == "query"
        tab.keyboard.type("joined")
        assert tab.locator("#count").inner_text() == "2 found"
        assert tab.locator("#found a").all_inner_texts() == ["Joined", "results/joined.txt"]
        tab.keyboard.press("ArrowDown")
        tab.keyboard.press("ArrowDown")
        tab.keyboard.press("Enter")
        assert tab.locator("#sheet h3").inner_text() == "results/joined.txt"
        tab.keyboard.press("Escape")
        assert not tab.locator("#sheet").is_visible()
        expect(tab.locator(".entry > article")).to_have_count(3)  # the sheet gave its article back
        tab.keyboard.press("/")
        tab.keyboard.type("no such thing")
        assert tab.locator("#count").inner_text() == "0 found"
        tab.keyboard.press("Escape")
        assert tab.locator("#query").input_value() == ""


def test_lineage_links_walk_and_back_returns(page, opened):
    with opened(page, "light", 1600) as tab:
        tab.locator("#t-whole > summary").click()
        tab.locator("#t-whole .artifacts a", has_text="results/final.txt").first.click()
        assert tab.locator("#sheet h3").inner_text() == "results/final.txt"
        tab.locator("#sheet .tree a", has_text="results/joined.txt").first.click()
        assert tab.locator("#sheet h3").inner_text() == "results/joined.txt"
        tab.go_back()
        tab.wait_for_function("document.querySelector('#sheet h3').textContent === 'results/final.txt'")
        tab.locator("#sheet .record summary").click()
        assert "in-toto.io/Statement/v1" in tab.locator("#sheet .record pre").inner_text()
        tab.locator("#close").click()
        tab.locator("#t-whole .artifacts a", has_text="results/final.txt").first.click()
        assert tab.locator("#sheet").is_visible(), "the same link opens it again"


def test_arrow_keys_move_between_blocks(page, opened):
    with opened(page, "light", 1600) as tab:
        tab.locator("#s-parts > summary").focus()
        for key, place in (("ArrowRight", "s-joined"), ("ArrowDown", "t-pictures"), ("ArrowUp", "s-joined")):
            tab.keyboard.press(key)
            assert tab.evaluate("document.activeElement.parentElement.id") == place


def test_a_small_picture_opens_by_keyboard_with_the_names_of_its_rows(page, opened):
    with opened(page, "light", 400) as tab:
        tab.locator("#t-pictures > summary").click()
        tile = tab.locator("#t-pictures details.tile").nth(2)
        before = tile.locator("svg").bounding_box()["width"]
        tile.locator("> summary").focus()
        tab.keyboard.press("Enter")
        expect(tile.locator(".names > span")).to_have_text([ATTACK, "b"])
        assert tile.locator("svg").bounding_box()["width"] > 1.5 * before
        tab.keyboard.press("Escape")
        assert not tile.evaluate("(tile) => tile.open") and tab.locator("#t-pictures > .panel").is_visible()


def test_a_folded_table_opens(page, opened):
    with opened(page, "dark", 1600) as tab:
        tab.locator("#t-pictures > summary").click()
        folded = tab.locator("#t-pictures .plot.table details")
        assert not folded.locator("table").is_visible()
        folded.locator("summary").click()
        assert folded.locator("tbody tr").count() == 40 and "10 more" in folded.inner_text()


def test_an_artifact_s_path_is_an_address(page, opened):
    with opened(page, "light", 1600) as tab:
        tab.evaluate("location.hash = 'results/joined.txt'")
        tab.locator("#sheet h3", has_text="results/joined.txt").wait_for()
        tab.keyboard.press("Escape")
        tab.wait_for_url(lambda url: "#" not in url)


def test_the_register_is_folded_by_stage(page, opened):
    with opened(page, "dark", 400) as tab:
        shelves = tab.locator(".register > details.shelf")
        assert shelves.locator("> summary h3").all_inner_texts() == ["First"]
        assert "3 artifacts, " in shelves.inner_text()
        assert tab.locator("details.entry:visible").count() == 0
        shelves.locator("> summary").click()
        assert tab.locator("details.entry:visible").count() == 3


def test_without_script_the_page_reads(page, opened):
    with opened(page, "light", 400, script=False) as tab:
        assert not tab.locator("#search").is_visible()
        tab.locator("#s-joined > summary").click()
        assert tab.locator("#s-joined .panel").is_visible()
        tab.locator("#s-joined .artifacts a").first.click()
        assert tab.locator(".entry article h3", has_text="results/joined.txt").is_visible()


def test_the_address_follows_the_opened_block(page, opened):
    with opened(page, "light", 1600) as tab:
        tab.locator("#t-whole > summary").click()
        tab.wait_for_url("**#t-whole")
        tab.locator("#s-parts > summary").click()
        tab.wait_for_url("**#s-parts")
        tab.locator("#s-parts > summary").click()
        tab.wait_for_url(lambda url: "#" not in url)


@pytest.mark.parametrize("blocks", range(2, 41))
def test_no_block_stands_alone_in_its_row(blocks):
    """Neither on a wide window nor on a narrower one; a telephone has one column."""
    for most in (3, 5):
        lengths = in_rows(blocks, most)
        assert len(lengths) == blocks and max(lengths) <= most
        assert min(lengths) > 1
        assert all(lengths.count(length) % length == 0 for length in lengths), "rows are whole"


def test_words_are_whole(page, opened):
    """No word is cut where a line could end before it."""
    broken = """() => [...document.querySelectorAll(".figure > *, .title, .line, .pairs dd")].filter((box) => {
      const range = document.createRange(), node = box.firstChild;
      if (!node || node.nodeType !== 3) return false;
      return [...node.data.matchAll(/[A-Za-z]{3,20}/g)].some((word) => {
        range.setStart(node, word.index); range.setEnd(node, word.index + word[0].length);
        return new Set([...range.getClientRects()].map((line) => Math.round(line.top))).size > 1;
      }); }).map((box) => box.textContent)"""
    for width in SIZES:
        with opened(page, "light", width) as tab:
            assert tab.evaluate(broken) == []


def test_an_opened_panel_fits_and_stands_under_its_block(page, opened):
    """Paths break after a slash; on a telephone the panel follows the block that was opened, and not the whole row."""
    with opened(page, "light", 400) as tab:
        for block in tab.locator("details.block").all():
            block.locator("> summary").click()
            widths = block.locator("> .panel").evaluate("(panel) => [panel.scrollWidth, panel.clientWidth]")
            assert widths[0] <= widths[1], block.get_attribute("id")
            gap = block.evaluate("""(block) => block.querySelector(".panel").getBoundingClientRect().top
              - block.querySelector("summary").getBoundingClientRect().bottom""")
            assert 0 <= gap < 40, block.get_attribute("id")
        paths = tab.locator(".artifacts .to")
        assert paths.count() and all("/<wbr>" in path.inner_html() for path in paths.all())


def test_the_title_says_which_run(page, opened):
    with opened(page, "light", 1600) as tab:
        assert re.search(r" · \d{4}-\d\d-\d\d$", tab.title())
