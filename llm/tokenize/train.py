"""Trains a SentencePiece tokenizer, BPE or unigram, on lines of text. Files are written by export.py.

The bytes depend on the text, the settings and sentencepiece's version; not on threads, clock or paths. Byte-level BPE
is trained by train_byte_level.py.
"""

import io
import re
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import google.protobuf  # noqa: F401 (sentencepiece loads it, and says so in an extra alone)
import sentencepiece
from sentencepiece import sentencepiece_model_pb2

from llm.errors import InputError
from llm.tokenize.escape import rule_files
from llm.tokenize.load import CONTROLS

TRAINER_THREADS = 4  # a constant, because the model file states it
LINE = 1 << 13  # characters; the trainer fails on words of more than 65,535 characters
SCORE_STEP = 1 / 16  # of unigram's scores, see `finished`
# No piece crosses these places, so none spells a control token or the name of a byte piece. Hugging Face's Unigram
# looks for its whole vocabulary in a text, including those: so export.py has it cut the text there too.
CONTROL_CUT = r"(?<=\[)(?=[UBEPM])|(?<=<)(?=[|0])"


def train(texts: Iterable[str], *, vocab_size: int, character_coverage: float, model_type: str = "bpe") -> bytes:
    """Return a serialized SentencePiece model with exactly `vocab_size` ids, controls (CONTROLS) and 256 bytes
    included.

    model_type: bpe or unigram. No normalisation but the escape of '▁', no dummy prefix, single digits, byte fallback;
    runs of spaces may be pieces (code). Raises InputError when the texts support no vocabulary of this size, with one
    that they do support.
    """
    if not 0.98 <= character_coverage <= 1:
        raise InputError(f"tokenizer.character_coverage: {character_coverage} is not between 0.98 and 1")
    model = io.BytesIO()
    with tempfile.TemporaryDirectory() as directory:
        escape, unescape = rule_files(Path(directory))
        try:
            sentencepiece.SentencePieceTrainer.train(
                sentence_iterator=lines(texts),
                model_writer=model,
                model_type=model_type,
                vocab_size=max(vocab_size, len(CONTROLS) + 256),  # below that the trainer suggests no size that works
                character_coverage=character_coverage,
                normalization_rule_tsv=str(escape),
                denormalization_rule_tsv=str(unescape),
                remove_extra_whitespaces=False,
                add_dummy_prefix=False,
                allow_whitespace_only_pieces=True,
                split_digits=True,
                byte_fallback=True,
                hard_vocab_limit=False,  # a shortfall is reported below
                max_sentence_length=4 * LINE,
                num_threads=TRAINER_THREADS,
                minloglevel=3,
                unk_id=0,
                bos_id=1,
                eos_id=2,
                pad_id=3,
                unk_piece=CONTROLS[0],
                bos_piece=CONTROLS[1],
                eos_piece=CONTROLS[2],
                pad_piece=CONTROLS[3],
                control_symbols=list(CONTROLS[4:]),
            )
        except RuntimeError as error:
            raise explained(error, vocab_size) from error
    result = finished(model.getvalue())
    supported = sentencepiece.SentencePieceProcessor(model_proto=result).get_piece_size()
    if supported < vocab_size:
        raise InputError(
            f"tokenizer.vocab_size: {vocab_size} is more than the training text supports; "
            f"set it to at most {supported}, or add text"
        )
    return result


def finished(model: bytes) -> bytes:
    """Return the model without the paths of its rule files, and with unigram's scores in multiples of SCORE_STEP.

    Sums of rounded scores are exact in float32 up to 2^20, and in float64: wherever a text is cut (load.py) and in
    whichever precision it is segmented (SentencePiece float32, Hugging Face float64), the best path is the same.
    """
    proto = sentencepiece_model_pb2.ModelProto.FromString(model)
    proto.normalizer_spec.ClearField("normalization_rule_tsv")
    proto.denormalizer_spec.ClearField("normalization_rule_tsv")
    if proto.trainer_spec.model_type == proto.trainer_spec.UNIGRAM:
        for piece in proto.pieces:
            piece.score = round(piece.score / SCORE_STEP) * SCORE_STEP
    return proto.SerializeToString(deterministic=True)


def lines(texts: Iterable[str]) -> Iterator[str]:
    """Yield the lines of `texts`, cut to LINE characters and at CONTROL_CUT, without characters that no piece may hold.

    Line ends stay bytes: merges.txt is a file of lines, and parts of a text can be encoded by themselves (load.py).
    The trainer refuses NULs and drops sentences with U+2585, which it uses itself.
    """
    separator = re.compile(f"[\r\n\0▅]+|{CONTROL_CUT}")
    for text in texts:
        for line in separator.split(text):
            for begin in range(0, len(line), LINE):
                yield line[begin : begin + LINE]


def explained(error: RuntimeError, vocab_size: int) -> Exception:
    """Turn the trainer's complaint into one line that names the config key; other errors are returned as they are."""
    too_small = re.search(r"smaller than required_chars\. \d+ vs (\d+)", str(error))
    if too_small:
        return InputError(
            f"tokenizer.vocab_size: {vocab_size} does not hold the text's characters; "
            f"set it to at least {too_small[1]}, or lower tokenizer.character_coverage"
        )
    if "sentences_.empty()" in str(error):
        return InputError("the training split holds no text for the tokenizer; check the sources and filters")
    return error
