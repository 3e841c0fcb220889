"""Loads the trained tokenizer from `tokenizer.model` alone: text to ids and back, byte for byte.

Text never becomes a control id, whatever it spells. [BOS] and [EOS] are not added here; chat.py has the chat format.
"""

import os
import re
from itertools import pairwise
from pathlib import Path

import google.protobuf  # noqa: F401 (sentencepiece loads it, and says so in an extra alone)
import numpy as np
import sentencepiece
from sentencepiece import sentencepiece_model_pb2

from llm.errors import InputError
from llm.tokenize.byte_level import fast_bytes, from_model, spelled
from llm.tokenize.escape import SPACE

CONTROLS = ("[UNK]", "[BOS]", "[EOS]", "[PAD]", "[MASK]", "<|system|>", "<|user|>", "<|assistant|>")  # ids 0 to 7

# A boundary is a place that no piece can cross: pieces hold spaces only as a prefix, and no line ends (train.py ensures
# both). So a text's ids are those of its parts, end to end, and a long text costs no more memory than a part.
BOUNDARY = re.compile(rf"\n|[^ {SPACE}](?= )")
PART = 1 << 15  # characters


class Tokenizer:
    """`tokenizer.model` ready for use, of any kind: `bpe` or `unigram` (SentencePiece) or `byte_bpe`.

    Ids of the control tokens: unk, bos, eos, pad, mask, system, user, assistant.
    """

    def __init__(self, model_path: Path):
        try:
            model = Path(model_path).read_bytes()
            self.kind, self.processor, self.pieces = opened(model)
        except (OSError, RuntimeError, ValueError, IndexError) as error:
            raise InputError(f"{model_path}: not a tokenizer model; build it again ({first_line(error)})") from None
        if self.processor:
            self.vocab_size: int = self.processor.get_piece_size()
            found = tuple(self.processor.id_to_piece(i) for i in range(min(len(CONTROLS), self.vocab_size)))
            if found != CONTROLS:
                raise InputError(
                    f"{model_path}: begins with {', '.join(found)}, expected {', '.join(CONTROLS)}; "
                    "only models that scripts/tokenize/tokenizer.py trained can be used"
                )
        else:
            self.vocab_size = len(CONTROLS) + len(self.pieces)
            self.fast = fast_bytes(self.pieces, CONTROLS)
        self.unk, self.bos, self.eos, self.pad, self.mask, self.system, self.user, self.assistant = range(len(CONTROLS))

    def encode(self, text: str) -> list[int]:
        """Return the ids of `text`. A lone surrogate, which UTF-8 cannot hold, counts as U+FFFD."""
        return self.encode_batch([text], threads=1)[0]

    def encode_batch(self, texts: list[str], threads: int) -> list[list[int]]:
        """Return the ids of each text; the number of threads changes nothing. (For whole corpora encoder.py is
        faster.)"""
        return [ids.tolist() for ids in self.encode_arrays(texts, threads)]

    def encode_arrays(self, texts: list[str], threads: int) -> list[np.ndarray]:
        """Encode like encode_batch, with an int32 array for each text: a tenth of the memory."""
        if not self.processor:
            return [np.array(found.ids, np.int32) for found in self.fast.encode_batch([*map(well_formed, texts)])]
        parts_of_text = [parts(well_formed(text)) for text in texts]
        flat = [part for parts_ in parts_of_text for part in parts_]
        encoded = iter(self.processor.encode_as_numpy(flat, num_threads=max(1, threads)) if flat else [])
        return [np.concatenate([next(encoded) for _ in parts_]).astype(np.int32) for parts_ in parts_of_text]

    def decode(self, ids: list[int]) -> str:
        """Return the text of `ids`; control ids give nothing, bytes that are no UTF-8 give U+FFFD."""
        if self.processor:
            return self.processor.decode([int(i) for i in ids])
        first = len(CONTROLS)
        return b"".join(self.pieces[int(i) - first] for i in ids if i >= first).decode(errors="replace")

    def token(self, index: int) -> str:
        """Return token `index` as vocab.json spells it."""
        if self.processor:
            return self.processor.id_to_piece(index)
        return CONTROLS[index] if index < len(CONTROLS) else spelled(self.pieces[index - len(CONTROLS)])


def opened(model: bytes) -> tuple[str, sentencepiece.SentencePieceProcessor | None, list[bytes]]:
    """Return the kind of a model, and either SentencePiece's processor or the byte-level pieces."""
    if model[:1] != b"\n":  # the first field of a SentencePiece model is a piece
        return "byte_bpe", None, from_model(model, len(CONTROLS))
    processor = sentencepiece.SentencePieceProcessor(model_proto=model)
    for i in range(processor.get_piece_size()):
        try:
            processor.id_to_piece(i)
        except UnicodeDecodeError as error:
            raise ValueError(f"piece {i} is not UTF-8") from error
    trainer = sentencepiece_model_pb2.ModelProto.FromString(model).trainer_spec
    return ("unigram" if trainer.model_type == trainer.UNIGRAM else "bpe"), processor, []


def learned(processor: sentencepiece.SentencePieceProcessor) -> list[int]:
    """Ids of the pieces that were learned from text, the best score first: none for control, or for a byte."""
    ids = [
        i
        for i in range(processor.get_piece_size())
        if not (processor.is_control(i) or processor.is_unknown(i) or processor.is_byte(i) or processor.is_unused(i))
    ]
    return sorted(ids, key=lambda i: (-processor.get_score(i), i))


def parts(text: str, size: int = PART) -> list[str]:
    """Cut `text` at the first boundary after each `size` characters into at least one part; end to end they are
    `text`."""
    if len(text) <= size:
        return [text]
    cuts = [0]
    while len(text) - cuts[-1] > size:
        boundary = BOUNDARY.search(text, cuts[-1] + size)
        if boundary is None:
            break
        cuts.append(boundary.end())
    cuts.append(len(text))
    return [text[begin:end] for begin, end in pairwise(cuts)]


def well_formed(text: str) -> str:
    """Return `text` with lone surrogates replaced by U+FFFD; surrogate pairs become the character they stand for."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def threads_given() -> int:
    """Return how many threads this job may use: OMP_NUM_THREADS, set from the rule's `threads`, else 1."""
    return max(1, int(os.environ.get("OMP_NUM_THREADS") or 1))


def first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0]
