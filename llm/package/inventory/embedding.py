"""What the token embedding has learned: which tokens are near each other, and a map of words on which near ones are
near.

Nearness is by cosine. The map is scikit-learn's t-SNE (van der Maaten and Hinton 2008), which keeps neighbours together
and says nothing of larger distances.
"""

import numpy as np
import torch

from llm.package.inventory.matrices import rounded
from llm.tokenize.escape import SPACE
from llm.tokenize.load import Tokenizer
from llm.tokenize.open import AnyTokenizer

SPACES = (SPACE, "\N{LATIN CAPITAL LETTER G WITH DOT ABOVE}")  # how vocabularies spell one
OPEN_BOX = "\N{OPEN BOX}"  # how it is shown
LETTERS = 4  # of a word at least
NEIGHBOURS = 6
LISTED = 24  # words whose neighbours are listed
FEWEST = 12  # words that a map needs


def spelled(tokenizer: AnyTokenizer, index: int) -> str:
    """Return a token as people read it: its text, with a sign for the space that it begins with, or, of control tokens
    and parts of characters, the vocabulary's own spelling; "" for a row of the embedding that has no token."""
    if isinstance(tokenizer, Tokenizer):
        own = tokenizer.token(index) if index < tokenizer.vocab_size else ""
    else:
        own = tokenizer.fast.id_to_token(index) or ""
    text = tokenizer.decode([index]).removeprefix(" ") if own else ""
    if not text.strip() or "\N{REPLACEMENT CHARACTER}" in text:
        return own
    return OPEN_BOX + text if own.startswith(SPACES) else text


def word(token: str) -> str | None:
    """Return the word that a token is as a whole; None for parts of words, signs, and control tokens."""
    bare = token[1:]
    return bare if token.startswith(OPEN_BOX) and bare.isalpha() and len(bare) >= LETTERS else None


def words_of(tokens: list[str], most: int) -> dict[str, int]:
    """Return the first `most` whole words, each with its id; of two spellings that differ by case alone the first."""
    found: dict[str, int] = {}
    seen = set()
    for index, token in enumerate(tokens):
        text = word(token)
        if text and text.lower() not in seen and len(found) < most:
            seen.add(text.lower())
            found[text] = index
    return found


def neighbours(matrix_VD: torch.Tensor, tokens: list[str], words: dict[str, int]) -> list[dict]:
    """Return for each word the tokens nearest to it by cosine, the nearest first."""
    directions_VD = torch.nn.functional.normalize(matrix_VD.float(), dim=1)
    nothing_V = torch.tensor([not token for token in tokens])
    result = []
    for text, index in words.items():
        near_V = (directions_VD @ directions_VD[index]).masked_fill(nothing_V, -2)
        near_V[index] = -2
        best = near_V.topk(min(NEIGHBOURS, len(tokens) - 1))
        pairs = zip(best.indices.tolist(), best.values.tolist(), strict=True)
        result.append({"word": text, "neighbours": {tokens[i]: rounded(value) for i, value in pairs}})
    return result


def map_of(matrix_VD: torch.Tensor, words: dict[str, int]) -> list[dict]:
    """Return the words' places in two dimensions, from 0 to 1 in each; none where there are too few words."""
    if len(words) < FEWEST:
        return []
    from sklearn.manifold import TSNE

    rows = matrix_VD[list(words.values())].float().numpy()
    rows = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    perplexity = min(12.0, (len(rows) - 1) / 3)
    places = TSNE(perplexity=perplexity, init="pca", random_state=0).fit_transform(rows.astype(np.float64))
    places = (places - places.min(0)) / np.maximum(np.ptp(places, axis=0), 1e-12)
    return [{"word": text, "x": rounded(x), "y": rounded(y)} for text, (x, y) in zip(words, places, strict=True)]


def looked_into(matrix_VD: torch.Tensor, tokenizer: AnyTokenizer, most: int) -> dict:
    """Return the map, and the neighbours of some of its words."""
    tokens = [spelled(tokenizer, index) for index in range(len(matrix_VD))]
    words = words_of(tokens, most)
    every = max(1, -(-len(words) // LISTED))
    some = {text: words[text] for text in list(words)[::every]}
    return {"map": map_of(matrix_VD, words), "neighbours": neighbours(matrix_VD, tokens, some)}
