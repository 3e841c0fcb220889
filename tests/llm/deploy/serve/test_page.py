"""The chat page in headless Chromium: a conversation by keyboard alone, two models side by side, probabilities, live
figures, the way to the record of the model that answered."""

from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from llm.deploy.serve.app import ServerSettings
from tests.browser import CHROMIUM, SIZES, THEMES, assert_readable, started

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium to open the page with")


@contextmanager
def opened(url: str, theme: str = "light", width: int = 1600, silent: bool = True) -> Iterator:
    """The page in a tab, once it knows the models. At the end: the console was silent."""
    said: list[str] = []
    with started() as browser:
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=theme)
        context.grant_permissions(["clipboard-read", "clipboard-write"], origin=url)
        tab = context.new_page()
        tab.set_default_timeout(30_000)
        tab.on("console", lambda message: said.append(message.text))
        tab.on("pageerror", lambda error: said.append(str(error)))
        tab.goto(url)
        yield tab
    assert said == [] or not silent


@pytest.mark.parametrize(("theme", "width"), zip(THEMES, SIZES, strict=True))
def test_the_page(url: str, theme: str, width: int) -> None:
    with opened(url, theme, width) as tab:
        tab.locator("#left option").nth(1).wait_for(state="attached")
        assert tab.locator("#left option").all_text_contents() == ["base", "sft", "tuned"]
        assert not tab.locator("#key").is_visible() and not tab.locator("#report").is_visible()
        assert_readable(tab)
        by_keyboard(tab)
        tab.locator(".answer").nth(1).wait_for()
        tab.locator("#send").wait_for()
        assert sorted(tab.locator(".answer h2").all_text_contents()) == ["base", "sft"]
        base = tab.locator(".answer", has=tab.locator("h2", has_text="base"))
        assert "manifest sha256 44136fa355b3678a" in base.inner_text()
        for answer in tab.locator(".answer").all():
            assert "tokens/s" in answer.locator(".facts").first.inner_text()
            token = answer.locator(".token").first
            token.focus()
            assert "%; likeliest: " in tab.locator("#told").inner_text()
        tab.locator("#engine > summary").click()
        tab.locator("#live td", has_text="sft").wait_for()
        assert_readable(tab)


def by_keyboard(tab) -> None:
    """Reach the fields in turn by Tab, choose the second model beside the first, and send from the question."""
    tab.locator("#left").focus()
    reached = ["left"]
    for _ in range(12):
        tab.keyboard.press("Tab")
        reached.append(tab.evaluate("document.activeElement.id || document.activeElement.parentElement.id"))
        match reached[-1]:
            case "right":
                tab.keyboard.press("ArrowDown")
                tab.keyboard.press("ArrowDown")
            case "settings":
                tab.keyboard.press("Enter")
            case "limit":
                tab.keyboard.press("Control+A")
                tab.keyboard.type("12")
            case "seed":
                break
    assert reached == [
        "left",
        "right",
        "prompt",
        "send",
        "anew",
        "curl",
        "settings",
        "limit",
        "temperature",
        "top_p",
        "seed",
    ]
    tab.locator("#prompt").focus()
    tab.keyboard.press("End")
    tab.keyboard.type(" Really?")
    tab.keyboard.press("Shift+Enter")
    tab.keyboard.type("Yes.")
    tab.keyboard.press("Enter")
    assert tab.locator(".asked").inner_text() == "What is an algorithm? Really?\nYes."


def ask(tab, question: str) -> None:
    tab.locator("#prompt").fill(question)
    tab.keyboard.press("Enter")
    tab.locator("#send").wait_for()


def sent(tab) -> list[dict]:
    """The requests for answers, as they are made from now on."""
    found: list[dict] = []
    tab.on("request", lambda asked: found.append(asked.post_data_json) if "/chat/completions" in asked.url else None)
    return found


def test_a_conversation_goes_on_until_it_is_begun_anew(url: str) -> None:
    """Each column remembers its own answers; what the context can't hold is left out from the front, and said."""
    with opened(url) as tab:
        tab.locator("#right option[value=sft]").wait_for(state="attached")
        asked = sent(tab)
        tab.locator("#settings > summary").click()
        tab.locator("#limit").fill("8")
        ask(tab, "One?")
        tab.locator("#right").select_option("sft")
        ask(tab, "Two?")
        ask(tab, "Three?")
        first, *both = [each["messages"] for each in asked]
        answers = [
            [box.locator(".text").text_content() for box in row.locator(".answer").all()]
            for row in tab.locator(".answers").all()
        ]
        said = {each["model"]: each["messages"] for each in asked[3:]}
        assert [len(each) for each in (first, *both)] == [1, 3, 3, 5, 5]
        assert [each["content"] for each in said["base"]][::2] == ["One?", "Two?", "Three?"]
        assert said["base"][1] == said["sft"][1], "the second column was not asked then"
        assert said["base"][3] != said["sft"][3] and {said[name][3]["content"] for name in said} <= set(answers[1])
        tab.locator("#curl").click()
        tab.locator("#told", has_text="copied").wait_for()
        copied = tab.evaluate("navigator.clipboard.readText()")
        assert (
            copied.startswith(f"curl -N {url}/v1/chat/completions")
            and '"model":"base"' in copied
            and "Three?" in copied
        )
        tab.locator("#right").select_option("")
        tab.locator("#limit").fill("200")
        ask(tab, "Four? " * 4)
        assert "its context is full: told without the first" in tab.locator(".answer").last.inner_text()
        assert len(asked[-1]["messages"]) < 7
        tab.locator("#anew").click()
        assert tab.locator(".answer").count() == 0 and tab.locator("#empty").is_visible()
        tab.locator("#limit").fill("4")
        ask(tab, "Five?")
        assert len(asked[-1]["messages"]) == 1


def test_what_is_refused_is_said_beside_its_question(url: str) -> None:
    with opened(url, silent=False) as tab:  # the console tells of the status 400
        tab.locator("#left option").nth(1).wait_for(state="attached")
        ask(tab, "word " * 1000)
        assert "this model takes 1 to 255" in tab.locator(".answer .error").inner_text()
        ask(tab, "Short?")
        assert tab.locator(".answer .token").count() > 0, "a refused question is no part of what follows"


def test_the_record_of_a_model_is_a_link_into_the_report(serving, directories, tmp_path) -> None:
    """Only where there is a report, and none is needed to show a key: a link shows none."""
    results = tmp_path / "results"
    (results / "models").mkdir(parents=True)
    (results / "models/base").symlink_to(directories["base"])
    (results / "report").mkdir()
    (results / "report/index.html").write_text("<!doctype html><link rel=icon href=data:,><title>the report</title>")
    models = {"base": results / "models/base"}
    with serving(ServerSettings(report=results / "report"), models) as url, opened(url) as tab:
        tab.locator("#left option").nth(0).wait_for(state="attached")
        ask(tab, "One?")
        link = tab.locator(".answer a")
        assert link.get_attribute("href") == "report/#results/models/base"
        with tab.expect_popup() as popup:
            link.click()
        popup.value.wait_for_load_state()
        assert popup.value.title() == "the report" and popup.value.url == f"{url}/report/#results/models/base"
        assert tab.locator("#report").is_visible()
    with serving(ServerSettings(report=results / "report", key="secret"), models) as url:
        shown = {"Authorization": "Bearer secret"}
        assert httpx.get(f"{url}/v1/models", headers=shown).json()["data"][0]["record"] is None
        assert httpx.get(f"{url}/report/", headers=shown).status_code == 404


def test_a_key_is_asked_for_where_the_server_wants_one(serving, directories) -> None:
    with serving(ServerSettings(key="secret"), {"base": directories["base"]}) as url, opened(url, silent=False) as tab:
        tab.locator("#key").fill("secret")
        tab.keyboard.press("Tab")
        tab.locator("#left option").nth(0).wait_for(state="attached")
        ask(tab, "One?")
        assert tab.locator(".answer .token").count() > 0
