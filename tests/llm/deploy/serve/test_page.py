"""The chat page in headless Chromium: asked by keyboard alone, two models side by side, probabilities, live figures."""

import pytest

from tests.browser import CHROMIUM, SIZES, THEMES, assert_readable

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium to open the page with")


@pytest.mark.parametrize(("theme", "width"), zip(THEMES, SIZES, strict=True))
def test_the_page(url: str, theme: str, width: int) -> None:
    from playwright.sync_api import sync_playwright

    said: list[str] = []
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        try:
            context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=theme)
            context.grant_permissions(["clipboard-read", "clipboard-write"], origin=url)
            tab = context.new_page()
            tab.set_default_timeout(30_000)
            tab.on("console", lambda message: said.append(message.text))
            tab.on("pageerror", lambda error: said.append(str(error)))
            tab.goto(url)
            tab.locator("#left option").nth(1).wait_for(state="attached")
            assert tab.locator("#left option").all_text_contents() == ["base", "sft", "tuned"]
            assert_readable(tab)
            by_keyboard(tab)
            tab.locator(".answer").nth(1).wait_for()
            tab.locator("#send:enabled").wait_for()
            assert tab.locator(".answer h2").all_text_contents() == ["base", "sft"]
            assert "manifest sha256 44136fa355b3678a" in tab.locator(".answer").first.inner_text()
            for answer in tab.locator(".answer").all():
                assert "tokens/s" in answer.locator(".facts").first.inner_text()
                token = answer.locator(".token").first
                token.focus()
                assert "%; likeliest: " in tab.locator("#told").inner_text()
            tab.locator("#live td", has_text="sft").wait_for()
            assert_readable(tab)
            tab.locator("#curl").click()
            tab.locator("#told", has_text="copied").wait_for()
            copied = tab.evaluate("navigator.clipboard.readText()")
            assert copied.startswith(f"curl -N {url}/v1/chat/completions") and '"model":"base"' in copied
        finally:
            browser.close()
    assert said == []


def by_keyboard(tab) -> None:
    """Reach the fields in turn by Tab, choose the second model beside the first, and send."""
    tab.locator("#prompt").focus()
    reached = ["prompt"]
    tab.keyboard.type(" Really?")
    for _ in range(9):
        tab.keyboard.press("Tab")
        reached.append(tab.evaluate("document.activeElement.id"))
        if reached[-1] == "right":
            tab.keyboard.press("ArrowDown")
            tab.keyboard.press("ArrowDown")
        if reached[-1] == "limit":
            tab.keyboard.press("Control+A")
            tab.keyboard.type("12")
        if reached[-1] == "send":
            break
    assert reached == ["prompt", "left", "right", "limit", "temperature", "seed", "send"]
    tab.keyboard.press("Enter")
