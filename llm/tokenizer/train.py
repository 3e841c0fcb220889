"""Train the tokenizer: SentencePiece BPE over lines of text. Writes no files (export.py turns the model into them).

The bytes depend on the text, the two settings and sentencepiece's version; not on threads, clock or paths.
"""

import io
import re
from collections.abc import Iterable, Iterator

import sentencepiece

from llm.errors import InputError
from llm.tokenizer.load import CONTROLS

TRAINER_THREADS = 4  # a constant: the model file states it
LINE = 1 << 13  # characters; the trainer fails on words of more than 65,535 characters


def train(texts: Iterable[str], *, vocab_size: int, character_coverage: float) -> bytes:
    """A serialized SentencePiece model with exactly `vocab_size` ids, controls (CONTROLS) and 256 bytes included.

    Identity normalisation, no dummy prefix, single digits, byte fallback; runs of spaces may be pieces (code). Raises
    InputError when the texts support no vocabulary of this size, with one that they do support.
    """
    if not 0.98 <= character_coverage <= 1:
        raise InputError(f"tokenizer.character_coverage: {character_coverage} is not between 0.98 and 1")
    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=lines(texts),
            model_writer=model,
            model_type="bpe",
            vocab_size=max(vocab_size, len(CONTROLS) + 256),  # below that the trainer states no size that works
            character_coverage=character_coverage,
            normalization_rule_name="identity",
            remove_extra_whitespaces=False,
            add_dummy_prefix=False,
            allow_whitespace_only_pieces=True,
            split_digits=True,
            byte_fallback=True,
            hard_vocab_limit=False,  # a shortfall is ours to report
            max_sentence_length=4 * LINE,
            num_threads=TRAINER_THREADS,
            minloglevel=3,
            unk_id=0,
            bos_id=1,
            eos_id=2,
            pad_id=3,
            **dict(zip(("unk_piece", "bos_piece", "eos_piece", "pad_piece"), CONTROLS, strict=False)),
            control_symbols=list(CONTROLS[4:]),
        )
    except RuntimeError as error:
        raise explained(error, vocab_size) from error
    result = model.getvalue()
    supported = sentencepiece.SentencePieceProcessor(model_proto=result).get_piece_size()
    if supported < vocab_size:
        raise InputError(
            f"tokenizer.vocab_size: {vocab_size} is more than the training text supports; "
            f"set it to at most {supported}, or add text"
        )
    return result


def lines(texts: Iterable[str]) -> Iterator[str]:
    """The lines of `texts`, cut to LINE characters, without the characters that no piece may hold.

    Line ends stay bytes: merges.txt is a file of lines, and parts of a text can be encoded by themselves (load.py).
    The trainer refuses NULs and drops sentences with U+2585, which it uses itself.
    """
    for text in texts:
        for line in re.split("[\r\n\0▅]+", text):
            for begin in range(0, len(line), LINE):
                yield line[begin : begin + LINE]


def explained(error: RuntimeError, vocab_size: int) -> Exception:
    """The trainer's complaint as one line that names the config key."""
    too_small = re.search(r"smaller than required_chars\. \d+ vs (\d+)", str(error))
    if too_small:
        return InputError(
            f"tokenizer.vocab_size: {vocab_size} does not hold the text's characters; "
            f"set it to at least {too_small[1]}, or lower tokenizer.character_coverage"
        )
    if "sentences_.empty()" in str(error):
        return InputError("the training split holds no text for the tokenizer; check the sources and filters")
    return error
