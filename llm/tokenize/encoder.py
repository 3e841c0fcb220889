"""Encodes whole corpora: runs the compiled kernels with a trained tokenizer's tables, on several threads.

The ids are those of load.Tokenizer (one exception: kernels/encode.py cuts a run of 1 MiB in which there is no place to
cut). Decoding is load.Tokenizer's.
"""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from tokenizers import Regex, normalizers

from kernels.encode import Vocabulary, encode, holds, new_cache
from kernels.hashmap import build
from kernels.pretokens import BLANK, LETTER, NUMBER
from kernels.unigram import trie
from llm.errors import InputError
from llm.tokenize.byte_level import splits
from llm.tokenize.escape import ESCAPES, SPACE, escaped
from llm.tokenize.hub import HubTokenizer
from llm.tokenize.load import CONTROLS, Tokenizer, learned, well_formed
from llm.tokenize.train import SCORE_STEP

TASK = 1 << 20  # bytes that a thread encodes at once
UNKNOWN_PENALTY = 10.0  # SentencePiece's rule: an unknown character scores so much less than the worst piece


class Encoder:
    def __init__(self, tokenizer: Tokenizer, threads: int = 1):
        self.escapes = tokenizer.kind != "byte_bpe"
        self.vocabulary = vocabulary(tokenizer)
        self.caches = [new_cache() for _ in range(max(1, threads))]

    def utf8(self, texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
        """Return the texts' bytes end to end, u8, and where each begins, i64 [n + 1]. Lone surrogates become U+FFFD."""
        encoded = [text.encode() if text.isascii() else well_formed(text).encode() for text in texts]
        return joined(encoded)

    def encode(
        self, data: np.ndarray, offsets: np.ndarray, begin_id: int = -1, end_id: int = -1
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the ids of the documents end to end, int32, each between `begin_id` and `end_id` (where these are not
        negative), and the number of ids of each, int64 [n]. data, offsets: as from `utf8`, valid UTF-8. The number of
        threads changes nothing."""
        if self.escapes:
            data, offsets = self.escaped(data, offsets)
        cuts = np.unique(np.searchsorted(offsets, np.arange(0, len(data) + TASK, TASK)))
        cuts = np.unique(np.concatenate([[0], cuts, [len(offsets) - 1]]).clip(0, len(offsets) - 1))
        tasks = [offsets[begin : end + 1] for begin, end in zip(cuts[:-1], cuts[1:], strict=True)]
        results: list = [None] * len(tasks)

        def work(thread: int) -> None:
            for i in range(thread, len(tasks), len(self.caches)):
                results[i] = encode(self.vocabulary, self.caches[thread], data, tasks[i], begin_id, end_id)

        with ThreadPoolExecutor(len(self.caches)) as pool:
            list(pool.map(work, range(len(self.caches))))
        ids = np.concatenate([np.zeros(0, np.int32), *(ids for ids, _ in results)])
        return ids, np.concatenate([np.zeros(0, np.int64), *(lengths for _, lengths in results)])

    def escaped(self, data: np.ndarray, offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Escape SentencePiece's own space sign in documents (escape.py); most data need nothing."""
        if not any(holds(data, *plain.encode()) for plain, _ in ESCAPES):
            return data, offsets
        whole = data.tobytes()
        return joined([escaped_bytes(whole[a:b]) for a, b in zip(offsets[:-1], offsets[1:], strict=True)])


class HubEncoder:
    """Encodes whole corpora as Encoder does, with the library in place of the kernels."""

    def __init__(self, tokenizer: HubTokenizer) -> None:
        self.tokenizer = tokenizer

    def utf8(self, texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
        """Return the texts' bytes end to end, u8, and where each begins, i64 [n + 1]."""
        return joined([well_formed(text).encode() for text in texts])

    def encode(
        self, data: np.ndarray, offsets: np.ndarray, begin_id: int = -1, end_id: int = -1
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the documents' ids end to end, int32, each between `begin_id` and `end_id` (where these are not
        negative), and the number of ids of each, int64 [n]."""
        whole = data.tobytes()
        texts = [whole[a:b].decode() for a, b in zip(offsets[:-1], offsets[1:], strict=True)]
        begin, end = ([] if one < 0 else [one] for one in (begin_id, end_id))
        ids = [np.array([*begin, *found, *end], np.int32) for found in self.tokenizer.encode_batch(texts)]
        return np.concatenate([np.zeros(0, np.int32), *ids]), np.array([len(each) for each in ids], np.int64)


def encoder_of(tokenizer: Tokenizer | HubTokenizer, threads: int) -> Encoder | HubEncoder:
    """Return what encodes whole corpora with a tokenizer of either origin."""
    return HubEncoder(tokenizer) if isinstance(tokenizer, HubTokenizer) else Encoder(tokenizer, threads)


def escaped_bytes(text: bytes) -> bytes:
    return escaped(text.decode()).encode() if any(plain.encode() in text for plain, _ in ESCAPES) else text


def joined(texts: list[bytes]) -> tuple[np.ndarray, np.ndarray]:
    lengths = np.fromiter(map(len, texts), np.int64, len(texts))
    return np.frombuffer(b"".join(texts), np.uint8), np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])


def vocabulary(tokenizer: Tokenizer) -> Vocabulary:
    """Return the kernels' tables for a tokenizer of any kind."""
    processor = tokenizer.processor
    if processor is None:
        pieces = {piece: len(CONTROLS) + i for i, piece in enumerate(tokenizer.pieces)}
        return merging(pieces, dict(enumerate(range(len(CONTROLS), len(CONTROLS) + 256))), classes())
    ranked = learned(processor)
    pieces = {processor.id_to_piece(i).replace(SPACE, " ").encode(): i for i in ranked}
    byte_ids = {byte: processor.piece_to_id(f"<0x{byte:02X}>") for byte in range(256)}
    if tokenizer.kind == "bpe":
        return merging(pieces, byte_ids, np.zeros(0, np.uint8))
    return segmenting(pieces, byte_ids, {i: processor.get_score(i) for i in ranked})


def merging(pieces: dict[bytes, int], byte_ids: dict[int, int], character_classes: np.ndarray) -> Vocabulary:
    """Make the tables for BPE. pieces: to their ids, best first. character_classes: u8 [0] unless the symbols are
    bytes."""
    bytewise = len(character_classes) > 0
    rank = {piece: i for i, piece in enumerate(pieces)}
    single = [rank.get(bytes([b]), -1) if bytewise or b < 0x80 else -2 for b in range(256)]
    characters = {} if bytewise else {p: r for p, r in rank.items() if len(p) > 1 and len(p.decode()) == 1}
    pairs = [(rank[left] << 32 | rank[right], rank[left + right]) for left, right in splits(rank, rank)]
    return Vocabulary(
        joins(pieces),
        character_classes,
        np.array(single, np.int32),
        *table([(int.from_bytes(piece, "big"), r) for piece, r in characters.items()]),
        *table(pairs),
        np.array(list(pieces.values()), np.int32),
        np.array([byte_ids[b] for b in range(256)], np.int32),
        np.zeros((0, 4), np.int32),
    )


def segmenting(pieces: dict[bytes, int], byte_ids: dict[int, int], score: dict[int, float]) -> Vocabulary:
    """Make the tables for unigram: a trie of the pieces with ids and with scores in steps of train.SCORE_STEP."""
    children: dict[tuple[int, int], int] = {}
    ends = {}
    for piece, index in pieces.items():
        node = 0
        for byte in piece:
            node = children.setdefault((node, byte), len(children) + 1)
        ends[node] = index
    ids = np.full(len(children) + 1, -1, np.int32)
    scores = np.zeros(len(ids))
    for node, index in ends.items():
        ids[node], scores[node] = index, score[index] / SCORE_STEP
    scores[0] = (min(score.values()) - UNKNOWN_PENALTY) / SCORE_STEP
    if (scores % 1).any():
        raise InputError("the unigram model's scores are no multiples of 1/16; train the tokenizer again")
    parents, bytes_ = np.array([*children], np.int32).reshape(-1, 2).T
    return Vocabulary(
        joins(pieces),
        np.zeros(0, np.uint8),
        np.zeros(0, np.int32),
        *table([]),
        *table([]),
        np.zeros(0, np.int32),
        np.array([byte_ids[b] for b in range(256)], np.int32),
        trie(parents, bytes_, ids, scores.astype(np.int32)),
    )


def joins(pieces: dict[bytes, int]) -> np.ndarray:
    """Return which two bytes stand beside each other in a piece or in a character, u8 [256 * 256]."""
    result = np.zeros((256, 256), np.uint8)
    result[:, 0x80:0xC0] = 1
    for piece in pieces:
        for left, right in zip(piece[:-1], piece[1:], strict=True):
            result[left, right] = 1
    return result.ravel()


def table(items: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    keys = np.array([key for key, _ in items], np.uint64)
    return build(keys, np.array([value for _, value in items], np.int32))


def classes() -> np.ndarray:
    r"""Classes of characters for kernels/pretokens.py, u8 [0x110000]: as `tokenizers` understands \p{L}, \p{N}, \s."""
    result = np.zeros(0x110000, np.uint8)
    everything = "".join(map(chr, [*range(0xD800), *range(0xE000, 0x110000)]))
    for kind, pattern in ((LETTER, r"[^\p{L}]"), (NUMBER, r"[^\p{N}]"), (BLANK, r"[^\s]")):
        kept = normalizers.Replace(Regex(pattern + "+"), "").normalize_str(everything)
        result[np.frombuffer(kept.encode("utf-32-le"), np.uint32)] = kind
    return result
