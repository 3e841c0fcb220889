"""A page in headless Chromium: silent console, no request, every block opened, nothing too wide or too faint."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
THEMES = ("light", "dark")
SIZES = (400, 1600)

# Text whose contrast with what lies behind it is below WCAG AA: 4.5, or 3 where it is large. Colours as the browser
# paints them, through a canvas: light-dark() and hsl() come out as bytes.
FAINT = """() => {
  const context = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const known = new Map();
  const bytes = (text) => {
    if (!known.has(text)) {
      context.clearRect(0, 0, 1, 1); context.fillStyle = text; context.fillRect(0, 0, 1, 1);
      known.set(text, [...context.getImageData(0, 0, 1, 1).data]);
    }
    return known.get(text);
  };
  const light = (rgb) => rgb.slice(0, 3).map((v) => v / 255)
    .map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const found = bytes(getComputedStyle(e).backgroundColor);
      if (found[3] === 255) return found;
      if (found[3] > 0) throw new Error("half transparent background: " + e.className);
    }
    return [255, 255, 255, 255];
  };
  const faint = [];
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    if (!own || !element.checkVisibility() || element.closest("script")) continue;
    const style = getComputedStyle(element);
    const colour = element.namespaceURI.endsWith("svg") ? style.fill : style.color;
    const [a, b] = [light(bytes(colour)), light(behind(element))].sort((x, y) => y - x);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
    const contrast = (a + 0.05) / (b + 0.05);
    if (contrast < (large ? 3 : 4.5)) faint.push([element.textContent.trim().slice(0, 40), contrast]);
  }
  return faint;
}"""


@contextmanager
def started() -> Iterator:
    """Chromium, for as long as the context; starting it takes a second of CPU."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def opened(page: Path, theme: str, width: int, script: bool = True, browser=None) -> Iterator:
    """The page in a tab of a browser, or of its own one. At the end: the console was silent, and nothing but the file
    itself was asked for."""
    said: list[str] = []
    asked: list[str] = []
    with started() if browser is None else nullcontext(browser) as chromium:
        context = chromium.new_context(
            viewport={"width": width, "height": 900},
            color_scheme=theme,
            reduced_motion="reduce",
            java_script_enabled=script,
        )
        try:
            tab = context.new_page()
            tab.set_default_timeout(10_000)
            tab.on("console", lambda message: said.append(message.text))
            tab.on("pageerror", lambda error: said.append(str(error)))
            tab.on("dialog", lambda dialog: (said.append(f"dialog: {dialog.message}"), dialog.dismiss()))
            tab.on("request", lambda request: asked.append(request.url))
            tab.goto(page.as_uri())
            yield tab
        finally:
            context.close()
    assert said == []
    assert [url for url in asked if not url.startswith("data:")] == [page.as_uri()]


def examine(page: Path, theme: str, width: int, browser=None) -> int:
    """Open every block, by keyboard and by mouse in turn, close it by Escape; returns how many there are."""
    with opened(page, theme, width, browser=browser) as tab:
        assert_readable(tab)
        places = tab.evaluate("[...document.querySelectorAll('.block')].map((block) => block.id)")
        for number, place in enumerate(places):
            block, summary = tab.locator(f"[id='{place}']"), tab.locator(f"[id='{place}'] > summary")
            if number % 2:
                summary.click()
            else:
                summary.focus()
                tab.keyboard.press("Enter")
            assert block.evaluate("(block) => block.open"), place
            assert block.locator("> .panel h3").first.is_visible(), place
            for samples in block.locator("details.samples > summary").all():
                samples.click()
            assert_readable(tab)
            summary.focus()
            tab.keyboard.press("Escape")
            assert not block.evaluate("(block) => block.open"), place
        article = tab.locator(".entry article").last.get_attribute("id")
        top = tab.evaluate("scrollY")
        tab.locator(f"a[href='#{article}']").last.evaluate("(link) => link.click()")
        tab.locator("#sheet").wait_for()
        assert tab.evaluate("scrollY") == top, "the page stays where it is behind the sheet"
        tab.locator("#sheet .record > summary").click()
        assert_readable(tab)
        tab.keyboard.press("Escape")
        assert_tabs(tab)
    return len(places)


def assert_readable(tab) -> None:
    """No wider than the window, and no text too faint, in what is visible now."""
    wide = tab.evaluate("[document.scrollingElement.scrollWidth, innerWidth]")
    assert wide[0] <= wide[1], f"wider than the window: {wide}"
    assert tab.evaluate(FAINT) == []


def assert_tabs(tab) -> None:
    """From the top the Tab key alone reaches the search and then every block of the first stage."""
    tab.evaluate("document.activeElement.blur(); scrollTo(0, 0)")
    first = tab.evaluate("[...document.querySelector('.blocks').children].map((block) => block.id)")
    reached = []
    tab.locator("nav a").first.focus()
    for _ in range(60):
        tab.keyboard.press("Tab")
        reached.append(tab.evaluate("document.activeElement.id || document.activeElement.parentElement.id"))
        if reached[-1] == first[-1]:
            break
    assert "query" in reached and [place for place in reached if place in first] == first
