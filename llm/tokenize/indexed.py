"""Reads and writes token shards in Megatron's indexed format: `<name>.bin` (ids end to end), `<name>.idx` (documents).

The bytes are those that megatron.core's IndexedDatasetBuilder writes with one sequence per document; neither it nor
torch is needed. Shuffling and batching is llm/pretrain/data.py's.

.idx: magic, version u64 = 1, dtype code u8, sequences N u64, documents + 1 u64, lengths i32[N] (tokens), byte offsets
i64[N], document boundaries i64[N + 1]; all little-endian.
"""

import struct
from pathlib import Path

import numpy as np

from llm.errors import InputError

MAGIC = b"MMIDIDX\x00\x00"
HEADER = struct.Struct("<9sQBQQ")
DTYPE_OF_CODE: dict[int, np.dtype] = {4: np.dtype("<i4"), 8: np.dtype("<u2")}
CODE_OF_DTYPE = {dtype: code for code, dtype in DTYPE_OF_CODE.items()}


class IndexedTokens:
    """Documents of token ids, memory-mapped and read-only.

    `tokens` is the whole .bin as one array, `offsets` (int64, N + 1) where each document begins and ends in it,
    `lengths` (int64, N) the number of tokens of each, its [BOS] and [EOS] included.
    """

    def __init__(self, path_without_suffix: Path):
        bin_path, idx_path = files(path_without_suffix)
        dtype, self.lengths = read_index(idx_path)
        self.offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(self.lengths, dtype=np.int64)])
        expected = int(self.offsets[-1]) * dtype.itemsize
        if not bin_path.exists() or bin_path.stat().st_size != expected:
            found = bin_path.stat().st_size if bin_path.exists() else "no file"
            raise InputError(f"{bin_path}: {idx_path.name} promises {expected} bytes, found {found}; tokenize again")
        # An empty file cannot be mapped: a source may well have no validation documents.
        self.tokens = np.memmap(bin_path, dtype=dtype, mode="r") if expected else np.zeros(0, dtype)

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, index: int) -> np.ndarray:
        """Return document `index` as a read-only view of its ids, [BOS] first and [EOS] last."""
        if not -len(self) <= index < len(self):
            raise IndexError(f"document {index} of {len(self)}")
        index %= len(self)
        return self.tokens[self.offsets[index] : self.offsets[index + 1]]


class IndexedWriter:
    """A context that appends documents to `<path>.bin` and writes `<path>.idx` at its end. Only lengths are in
    memory."""

    def __init__(self, path_without_suffix: Path, dtype: np.dtype | type):
        self.dtype = np.dtype(dtype).newbyteorder("<")
        self.bin_path, self.idx_path = files(path_without_suffix)
        self.lengths: list[np.ndarray] = []
        self.documents = self.tokens = 0

    def __enter__(self) -> "IndexedWriter":
        self.stream = self.bin_path.open("wb")
        return self

    def append(self, ids: np.ndarray, lengths: np.ndarray) -> None:
        """Append documents. ids: integers, end to end; lengths: of each. Raises InputError for an id that dtype cannot
        hold."""
        limit = np.iinfo(self.dtype).max
        if ids.size and not (ids.min() >= 0 and ids.max() <= limit):
            bad = int(np.flatnonzero((ids < 0) | (ids > limit))[0])
            document = self.documents + int(np.searchsorted(np.cumsum(lengths), bad, side="right"))
            raise InputError(f"{self.bin_path}: document {document} has token ids outside 0 ... {limit} ({self.dtype})")
        if len(lengths) and lengths.max() > np.iinfo(np.int32).max:
            raise InputError(f"{self.bin_path}: a document has {lengths.max()} tokens, at most 2**31 - 1 fit")
        self.stream.write(ids.astype(self.dtype).tobytes())
        self.lengths.append(lengths.astype("<i4"))
        self.documents += len(lengths)
        self.tokens += ids.size

    def __exit__(self, kind: type | None, *_: object) -> None:
        self.stream.close()
        if kind is not None:
            return
        lengths = np.concatenate([np.zeros(0, "<i4"), *self.lengths])
        ends = np.cumsum(lengths, dtype=np.int64)
        with self.idx_path.open("wb") as stream:
            stream.write(HEADER.pack(MAGIC, 1, CODE_OF_DTYPE[self.dtype], len(lengths), len(lengths) + 1))
            stream.write(lengths.astype("<i4").tobytes())
            stream.write(((ends - lengths) * self.dtype.itemsize).astype("<i8").tobytes())
            stream.write(np.arange(len(lengths) + 1, dtype="<i8").tobytes())


def read_index(path: Path) -> tuple[np.dtype, np.ndarray]:
    """Return the ids' dtype and the documents' lengths (int64). Raises InputError when `path` is not such an index."""
    if not path.exists():
        raise InputError(f"{path}: no such token index; build the token shards first")
    data = path.read_bytes()
    if len(data) < HEADER.size or data[: len(MAGIC)] != MAGIC:
        raise InputError(f"{path}: not a Megatron token index (bad header)")
    _, version, code, sequences, boundaries = HEADER.unpack_from(data)
    if version != 1 or code not in DTYPE_OF_CODE:
        raise InputError(f"{path}: index version {version} with dtype code {code} is not readable here")
    if len(data) != HEADER.size + 12 * sequences + 8 * boundaries:
        raise InputError(f"{path}: truncated, {len(data)} bytes do not hold {sequences} sequences; tokenize again")
    return DTYPE_OF_CODE[code], np.frombuffer(data, "<i4", sequences, HEADER.size).astype(np.int64)


def check_ids(ids: np.ndarray, vocab_size: int, origin: Path | str) -> None:
    """Raise InputError for an id outside the vocabulary: an embedding would fail on it, on a GPU without saying why."""
    if not ids.size or (ids.min() >= 0 and ids.max() < vocab_size):
        return
    wrong = int(ids.max()) if ids.max() >= vocab_size else int(ids.min())
    raise InputError(
        f"{origin}: token id {wrong} is outside the model's vocabulary of {vocab_size}; the tokens are of another "
        "tokenizer than config.json, build both again"
    )


def token_dtype(vocab_size: int) -> type:
    """Return uint16 where Megatron chooses it (`DType.optimal_dtype`), else int32."""
    return np.uint16 if vocab_size < 65500 else np.int32


def files(path_without_suffix: Path) -> tuple[Path, Path]:
    """Return `train.bin` and `train.idx` for `train`; a dot in the name is kept."""
    path = Path(path_without_suffix)
    return path.with_name(path.name + ".bin"), path.with_name(path.name + ".idx")
