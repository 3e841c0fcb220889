import socket

import pytest

from llm.process.quality.language import SAMPLE, UNKNOWN, languages, sample

TEXTS = {
    "en": "The committee decided that the report should be published before the end of the year.",
    "de": "Der Ausschuss beschloss, dass der Bericht vor Ende des Jahres veröffentlicht werden soll.",
    "fr": "Le comité a décidé que le rapport devait être publié avant la fin de l'année.",
    "ru": "Комитет решил, что доклад должен быть опубликован до конца года.",
    "zh": "委员会决定在年底之前发表这份报告。",
    "ja": "委員会は年末までに報告書を公表することを決めました。",
}


def test_languages_without_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("the network was asked for")

    monkeypatch.setattr(socket, "socket", refuse)
    codes, scores = languages(list(TEXTS.values()))
    assert codes == list(TEXTS)
    assert all(0.5 < score <= 1 and round(score, 2) == score for score in scores)


def test_capitals() -> None:
    assert languages([TEXTS["en"].upper()])[0] == ["en"]


def test_edges() -> None:
    codes, scores = languages(
        ["", " \n ", "1234 ... #", "👍🏽", "\0", "\n\nThe\nline\nends\nhave no meaning to the model.", "x" * 10**6]
    )
    assert codes[:5] == [UNKNOWN] * 5
    assert scores[:5] == [0.0] * 5
    assert codes[5] == "en"
    assert languages([]) == ([], [])


def test_sample_is_short_and_skips_a_beginning_in_another_language() -> None:
    assert sample("abc") == "abc"
    assert len(sample("x" * 10_000)) == SAMPLE + 1
    assert "middle" in sample("a" * 5000 + "middle" + "b" * 5000)
