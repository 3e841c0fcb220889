"""Templates of Wikipedia within a sentence: what they say stays. Pictures and categories of other languages go."""

import pytest

from llm.collect.formats.mediawiki import prose


@pytest.mark.parametrize(
    ("wikitext", "text"),
    [
        ("{{As of|2014}}, it is.", "As of 2014, it is."),
        ("It is, {{as of|2014|3|20|lc=y}}, so.", "It is, as of 20 March 2014, so."),
        ("Of {{as of|2014|May|bare=y}}.", "Of May 2014."),
        ("A year (1{{frac|1|4}} days) or {{frac|3|2}}''n'', {{frac|2|1|3}}.", "A year (1 1/4 days) or 3/2n, 2 1/3."),
        ("{{chem|C|n|H|2n+2}} is {{val|1.008|u=g}} or {{val|3.2}}{{e|9}}.", "CnH2n+2 is 1.008 g or 3.2×10^9."),
        (
            "{{HMS|Ajax|22|6}}, {{USS|Hornet|CV-12|6}} and {{ship|RMS|Titanic}}.",
            "HMS Ajax, USS Hornet and RMS Titanic.",
        ),
        ("''Eagle''{{'s}} stage, {{nowrap|1=E = mc}}, {{smaller|(as told)}}.", "Eagle's stage, E = mc, (as told)."),
        ("Born {{circa|1900}}, {{c.|1910|1920}}, {{circa}} 5.", "Born c. 1900, c. 1910–1920, c. 5."),
        ("{{lang|fr|chien}}, {{lang-de|Hund}} {{script|Copt|Ⲁ}} {{abbr|SR|Strike Rate}}", "chien, Hund Ⲁ SR"),
        ("{{sic|hte|the}} and {{sic}}, 7{{nbsp}}May{{snd}}June", "hte and [sic], 7 May – June"),
        (
            "{{convert|5|to|6|km|mi}}, {{formatnum:12345}}, {{ill|Foo|de|Fu}}, {{hlist|a|b}}",
            "5 to 6 km, 12345, Foo, a · b",
        ),
        ("{{convert|3|-|4|km2}}, {{cvt|2|x|3|x|4|m}}, {{convert|60|and(-)|80|kg}}", "3–4 km2, 2 × 3 × 4 m, 60–80 kg"),
        ("{{Quote box|quote=So it is.|source=X}}", "So it is."),
        ("write to [mailto:a@b.c us]", "write to us"),
        ("{{convert|3|km|mi}} {{unknown|nothing}}.", "3 km."),
    ],
)
def test_templates_within_a_sentence(wikitext: str, text: str) -> None:
    assert prose(wikitext) == text


@pytest.mark.parametrize(
    "name", ["Datei", "Bild", "Kategorie", "Fichier", "Catégorie", "Файл", "Категория", "ファイル", "분류"]
)
def test_pictures_and_categories_of_other_languages_are_no_text(name: str) -> None:
    assert prose(f"Vor.\n\n[[{name}:Stadt|mini|Ein Bild]]\n\nNach [[Orte: Name]].") == "Vor.\n\nNach Orte: Name."


@pytest.mark.parametrize("heading", ["Weblinks", "Notes et références", "Примечания", "外部リンク"])
def test_sections_of_links_of_other_languages_go(heading: str) -> None:
    assert prose(f"Text.\n\n== {heading} ==\n* [http://x y]\n\n== Ende ==\nMehr.") == "Text.\n\nEnde\n\nMehr."


@pytest.mark.parametrize("tag", ["source lang=python", "syntaxhighlight lang='python'", "pre"])
def test_programs_stay_as_they_are(tag: str) -> None:
    program = "def f(x):\n    return [[x]], {{{1}}}, '''a'''  # {{b}} &c."
    assert prose(f"So:\n<{tag}>\n{program}\n</{tag.split()[0]}>\nThat.") == f"So:\n{program}\nThat."
