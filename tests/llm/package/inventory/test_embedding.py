"""Neighbours against plain numpy; the map keeps them together, and its bytes repeat."""

import numpy as np
import torch

from llm.package.inventory.embedding import FEWEST, looked_into, map_of, neighbours, spelled, word, words_of
from llm.tokenize.hub import HubTokenizer
from llm.tokenize.load import Tokenizer

TOKENS = ["[BOS]", "␣they", "␣They", "ing", "␣algorithm", "␣x", "␣compiler", "␣3rd day", "␣", "␣naïve", ""]


def test_words_are_whole_and_counted_once() -> None:
    assert words_of(TOKENS, 10) == {"they": 1, "algorithm": 4, "compiler": 6, "naïve": 9}
    assert list(words_of(TOKENS, 2)) == ["they", "algorithm"]
    assert word("they") is None and word("<|user|>") is None


def test_neighbours_are_the_nearest_by_cosine() -> None:
    matrix = torch.randn(11, 6, generator=torch.Generator().manual_seed(2))
    rows = matrix.numpy() / np.linalg.norm(matrix.numpy(), axis=1, keepdims=True)
    [found] = neighbours(matrix, TOKENS, {"algorithm": 4})
    near = rows @ rows[4]
    expected = [i for i in np.argsort(-near) if i not in (4, 10)][:6]  # itself, and a row without a token
    assert list(found["neighbours"]) == [TOKENS[i] for i in expected]
    np.testing.assert_allclose(list(found["neighbours"].values()), near[expected], rtol=1e-3)


def test_the_map_keeps_clusters_together_and_repeats() -> None:
    random = np.random.default_rng(0)
    centres = np.repeat(np.eye(8)[:3], 20, axis=0)
    matrix = torch.tensor(centres + 0.05 * random.normal(size=centres.shape), dtype=torch.float32)
    words = {f"w{i}": i for i in range(60)}
    found = map_of(matrix, words)
    assert found == map_of(matrix, words)
    places = np.array([[each["x"], each["y"]] for each in found])
    assert places.min() == 0 and places.max() == 1
    distances = np.linalg.norm(places[:, None] - places[None], axis=-1) + 9 * np.eye(60)
    assert all(nearest // 20 == i // 20 for i, nearest in enumerate(distances.argmin(1)))
    assert map_of(matrix, {f"w{i}": i for i in range(FEWEST - 1)}) == []


def test_a_model_is_looked_into_by_its_tokenizer(random_lm, tokenizer_files) -> None:
    tokenizer, model = Tokenizer(tokenizer_files["model"]), random_lm()
    found = looked_into(model.model.embed_tokens.weight.detach(), tokenizer, 40)
    names = {spelled(tokenizer, index) for index in range(tokenizer.vocab_size)}
    assert len(found["map"]) <= 40 and {f"␣{each['word']}" for each in found["map"]} <= names
    assert all(near in names for each in found["neighbours"] for near in each["neighbours"])


def test_tokens_are_spelled_as_people_read_them(tokenizer_files) -> None:
    """The space that a token begins with is a sign; control tokens and parts of characters keep their own spelling."""
    own = Tokenizer(tokenizer_files["model"])
    begins = next(i for i in range(own.vocab_size) if own.token(i).startswith("▁") and own.token(i)[1:].isalpha())
    assert spelled(own, begins) == "␣" + own.token(begins)[1:]
    inside = own.encode("there")[0]
    assert spelled(own, inside) == own.token(inside)
    assert spelled(own, own.bos) == "[BOS]" and spelled(own, own.vocab_size) == ""
    assert "<0xE2>" in {spelled(own, index) for index in range(own.vocab_size)}
    hub = HubTokenizer(tokenizer_files["tokenizer"].parent)
    assert [spelled(hub, index) for index in range(20, 60)] == [spelled(own, index) for index in range(20, 60)]
