"""Byte-level training: the merges of the plain algorithm, the same for any order and threads, and a good default."""

import json
import os
import re
import subprocess
import sys
import sysconfig
from collections import Counter
from itertools import pairwise
from pathlib import Path

from llm.tokenize.byte_level import to_model
from llm.tokenize.load import CONTROLS, Tokenizer
from llm.tokenize.settings import TokenizerSettings
from llm.tokenize.train import train
from llm.tokenize.train_byte_level import train_bytes

WORDS = r"\S+|\s+"
OTHERS = ["a aa aaa aaaa aaaaa aaaaaaaa baaa", "Größe und Maß, ßßß aaa"] * 3


def plain_bpe(texts: list[str], size: int) -> list[bytes]:
    """Merge the most frequent pair, of equally frequent ones that with the smaller ids, until there are `size`
    pieces."""
    pieces = [bytes([byte]) for byte in range(256)]
    counts = Counter(word for text in texts for word in re.findall(WORDS, text))
    words = [(list(word.encode()), count) for word, count in counts.items()]
    while len(pieces) < size:
        pairs: Counter = Counter()
        for ids, count in words:
            for pair in pairwise(ids):
                pairs[pair] += count
        if not pairs:
            break
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        pieces.append(pieces[best[0]] + pieces[best[1]])
        words = [(joined(ids, best, len(pieces) - 1), count) for ids, count in words]
    return pieces


def joined(ids: list[int], pair: tuple[int, int], new: int) -> list[int]:
    result = []
    for one in ids:
        if result and (result[-1], one) == pair:
            result[-1] = new
        else:
            result.append(one)
    return result


def test_the_pieces_are_those_of_the_plain_algorithm(corpus: list[str]) -> None:
    texts = [corpus[0], *OTHERS]
    found = train_bytes(texts, vocab_size=400, first_id=0, pattern=WORDS)
    assert found == list(dict.fromkeys(plain_bpe(texts, 410)))[:400]
    assert len(set(found)) == 400


def test_order_and_threads_change_nothing(corpus: list[str]) -> None:
    expected = train_bytes(corpus, vocab_size=900, first_id=8)
    assert train_bytes(corpus[::-1], vocab_size=900, first_id=8) == expected
    program = (
        "import sys, json; from llm.tokenize.train_byte_level import train_bytes;"
        "print(json.dumps([p.hex() for p in train_bytes(json.load(sys.stdin), vocab_size=900, first_id=8)]))"
    )
    for threads in ("1", "3"):
        found = subprocess.run(
            [sys.executable, "-c", program], env=os.environ | {"RAYON_NUM_THREADS": threads}, capture_output=True,
            input=json.dumps(corpus), text=True, check=True,
        )  # fmt: skip
        assert [bytes.fromhex(piece) for piece in json.loads(found.stdout)] == expected


def test_millions_of_blanks_are_a_word_like_others() -> None:
    texts = [" " * 3_000_000 + "x", "\n" * 1_000_000 + " ", "some words " * 20]
    assert len(train_bytes(texts, vocab_size=280, first_id=8)) == 272


def test_the_default_kind_holds_more_of_code_and_documentation_in_a_token(tmp_path: Path) -> None:
    """Files that were not trained on; SentencePiece's pieces hold no line ends, and no sign beside a letter."""
    library = Path(sysconfig.get_paths()["stdlib"])
    files = sorted(library.glob("[a-s]*.py"))
    texts = [file.read_text(encoding="utf-8") for file in files[:60]]
    learned, held_out = texts[::2], texts[1::2]
    kinds = {"bpe": train(learned, vocab_size=4096, character_coverage=0.9995)}
    kinds["byte_bpe"] = to_model(train_bytes(learned, vocab_size=4096, first_id=len(CONTROLS)), len(CONTROLS))
    tokens = {}
    for kind, model in kinds.items():
        (tmp_path / kind).write_bytes(model)
        tokens[kind] = sum(map(len, Tokenizer(tmp_path / kind).encode_arrays(held_out, 1)))
    default = TokenizerSettings().model_type
    assert tokens["bpe"] > 1.1 * tokens[default]
