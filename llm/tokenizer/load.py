"""The trained tokenizer: text to ids and back, from `tokenizer.model` alone.

Text never becomes a control id, whatever it spells. Does not train, does not know chat formats (chat.py does), adds no
[BOS] and no [EOS].
"""

import os
import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import sentencepiece

from llm.errors import InputError

SPACE = "▁"  # how SentencePiece writes a space inside a piece
CONTROLS = ("[UNK]", "[BOS]", "[EOS]", "[PAD]", "[MASK]", "<|system|>", "<|user|>", "<|assistant|>")  # ids 0 to 7

# Where no piece can reach across: pieces hold spaces only as a prefix, and line ends not at all (train.py sees to
# both). So the ids of a text are the ids of its parts, end to end, and a long text costs no more memory than a part.
BOUNDARY = re.compile(rf"\n|[^ {SPACE}](?= )")
PART = 1 << 15  # characters


class Tokenizer:
    """`tokenizer.model` ready for use. Ids of the control tokens: unk, bos, eos, pad, mask, system, user, assistant."""

    def __init__(self, model_path: Path):
        try:
            self.processor = sentencepiece.SentencePieceProcessor(model_file=str(model_path))
        except (OSError, RuntimeError) as error:
            raise InputError(f"{model_path}: not a SentencePiece model; build it again ({first_line(error)})") from None
        self.vocab_size: int = self.processor.get_piece_size()
        found = tuple(self.processor.id_to_piece(i) for i in range(min(len(CONTROLS), self.vocab_size)))
        if found != CONTROLS:
            raise InputError(
                f"{model_path}: begins with {', '.join(found)}, expected {', '.join(CONTROLS)}; "
                "only models that scripts/tokenize/tokenizer.py trained can be used"
            )
        self.unk, self.bos, self.eos, self.pad, self.mask, self.system, self.user, self.assistant = range(len(CONTROLS))

    def encode(self, text: str) -> list[int]:
        """The ids of `text`. A lone surrogate, which UTF-8 cannot hold, counts as U+FFFD."""
        return self.encode_batch([text], threads=1)[0]

    def encode_batch(self, texts: list[str], threads: int) -> list[list[int]]:
        """The ids of each text; the same for any number of threads."""
        return [ids.tolist() for ids in self.encode_arrays(texts, threads)]

    def encode_arrays(self, texts: list[str], threads: int) -> list[np.ndarray]:
        """As encode_batch, with an int32 array for each text: a tenth of the memory."""
        parts_of_text = [parts(well_formed(text)) for text in texts]
        flat = [part for parts_ in parts_of_text for part in parts_]
        encoded = iter(self.processor.encode_as_numpy(flat, num_threads=max(1, threads)) if flat else [])
        return [np.concatenate([next(encoded) for _ in parts_]).astype(np.int32) for parts_ in parts_of_text]

    def decode(self, ids: list[int]) -> str:
        """The text of `ids`; control ids give nothing. A literal '▁' comes back as a space."""
        return self.processor.decode([int(i) for i in ids])

    def token(self, index: int) -> str:
        """Token `index` as vocab.json spells it."""
        return self.processor.id_to_piece(index)


def parts(text: str, size: int = PART) -> list[str]:
    """`text` cut at the first boundary after each `size` characters; at least one part, end to end they are `text`."""
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
    """`text` with each lone surrogate replaced by U+FFFD; surrogate pairs become the character they stand for."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def threads_given() -> int:
    """How many threads this job may use: OMP_NUM_THREADS, which Snakemake sets from the rule's `threads`, else 1."""
    return max(1, int(os.environ.get("OMP_NUM_THREADS") or 1))


def first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0]
