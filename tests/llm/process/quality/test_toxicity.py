"""The toxicity model: who is spoken of changes no score, one word of abuse does, and alarms are rare."""

from itertools import product
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from llm.process.quality import toxicity
from llm.process.quality.cross_fit import hashed
from llm.process.settings.toxicity_model import ToxicitySettings
from scripts.process.toxicity_model import main as toxicity_model

# Terms of Dixon et al. 2018 and of HateCheck (Röttger et al. 2021), with an article where one is needed.
TERMS = """
lesbian, gay person, bisexual person, transgender person, trans person, queer person, heterosexual man, homosexual,
straight person, woman, man, black person, white person, African, African American, European, Hispanic, Latino, Latina,
Mexican, Canadian, American, Asian, Indian, Middle Eastern person, Chinese, Japanese, Christian, Muslim, Jew, Buddhist,
Catholic, Protestant, Sikh, taoist, old person, older man, young person, younger woman, teenage girl, elderly person,
blind person, deaf person, paralyzed man, disabled person, immigrant
"""
SENTENCES = ("I am {}.", "She is {}, you know.", "My teacher was {} and I learned much.", "I met {} today.")
FILLER = [
    "".join(pair)
    for pair in product(("ka", "lo", "mi", "ste", "ru", "ban"), ("ten", "gol", "vi", "mar", "po"), repeat=2)
]
OPTIONS = {"source": "mine", "file": "a.csv", "include": [], "text": "text", "label": "label", "sample_bytes": 1 << 20}


def filler(random: np.random.Generator) -> str:
    return " ".join(random.choice(FILLER, random.integers(3, 15)))


def trained(directory: Path, rows: list[tuple[int, str]]) -> dict:
    (directory / "a.csv").write_text("\n".join(["label,text", *(f'{label},"{text}"' for label, text in rows)]))
    (directory / "model").mkdir()
    return toxicity_model(directory / "model", directory / "a.csv", settings=ToxicitySettings(**OPTIONS, seed=1))


def scores(directory: Path, texts: list[str]) -> np.ndarray:
    model = toxicity.load(directory / "model")
    assert model is not None
    return toxicity.judge(model, *hashed(pl.Series(texts))[:2])[:, 1]


@pytest.fixture(scope="module")
def biased(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict]:
    """Trained on comments in which groups are named by toxic comments alone."""
    directory = tmp_path_factory.mktemp("biased")
    random = np.random.Generator(np.random.PCG64(0))
    rows = []
    for i in range(1500):
        group = ("gay", "muslim", "black", "women", "immigrants")[i % 5]
        rows += [(1, f"{filler(random)} {group} {filler(random)} idiot {filler(random)}")]
        rows += [(0, f"{filler(random)} {filler(random)} {filler(random)}") for _ in range(2)]
    return directory, trained(directory, rows)


def test_terms_of_identity_change_no_score(biased: tuple[Path, dict]) -> None:
    directory, meta = biased
    terms = [term.strip() for term in TERMS.replace("\n", " ").split(",")]
    named = [f"{'an' if term[0] in 'AIEaieo' else 'a'} {term}" for term in terms]
    for sentence in SENTENCES:
        judged = scores(directory, [sentence.format(term) for term in named])
        assert np.ptp(judged) < 0.05, sentence
        assert (judged < 0.5).all(), sentence
    assert meta["counterfactual"]["difference"] < 0.05
    assert meta["counterfactual"]["false_alarms"] < 0.05


def test_one_word_of_abuse_in_a_sentence_is_enough(biased: tuple[Path, dict]) -> None:
    calm = " ".join(FILLER[::100])
    low, high = scores(biased[0], [calm, f"{calm} idiot"])
    assert low < 0.5 < high


def test_alarms_are_rare_where_a_word_says_little(tmp_path: Path) -> None:
    """`dreadful` is toxic more often than not, yet 4% of what is not toxic holds it: no reason for an alarm."""
    random = np.random.Generator(np.random.PCG64(2))
    rows = [(0, f"{filler(random)} {'dreadful' if i % 25 == 0 else 'train'} {filler(random)}") for i in range(3000)]
    rows += [(1, f"{filler(random)} {'dreadful' if i % 2 else 'moron'} {filler(random)}") for i in range(900)]
    meta = trained(tmp_path, rows)
    assert meta["false_alarms"] <= 0.01
    assert meta["found"] > 0.4
    judged = scores(tmp_path, [f"{filler(random)} {word} {filler(random)}" for word in ("dreadful", "moron") * 50])
    assert np.median(judged[::2]) < 0.5
    assert np.quantile(judged[1::2], 0.2) > 0.5


def test_only_terms_are_taken_out() -> None:
    texts = ["She is an old woman, kind", "gay", "", "the gaymer and Muslims' books"]
    words, borders, _, _ = hashed(pl.Series(texts))
    expected, _, _, _ = hashed(pl.Series(["is", ", kind", "", "the gaymer and ' books"]))
    kept, places = toxicity.without_terms(words, borders)
    assert places.tolist() == [0, 3, 3, 3, 8]
    assert kept.tolist() == expected.tolist()
