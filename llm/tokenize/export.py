"""Writes the trained model in the formats of other tools: vocab.json, merges.txt, tokenizer.json,
tokenizer_config.json.

Hugging Face's `tokenizers` gives the same ids from tokenizer.json (and from vocab.json with merges.txt) as
SentencePiece from tokenizer.model. A unigram tokenizer has no merges: its merges.txt is empty, and the scores are in
tokenizer.json.
"""

import json
from pathlib import Path

from tokenizers import Regex, decoders, models, normalizers, pre_tokenizers
from tokenizers import Tokenizer as FastTokenizer

from llm.io.json import write_json
from llm.tokenize.byte_level import byte_merges, splits
from llm.tokenize.chat import chat_template
from llm.tokenize.escape import ESCAPES, SPACE
from llm.tokenize.load import CONTROLS, Tokenizer, learned
from llm.tokenize.train import CONTROL_CUT


def vocabulary(tokenizer: Tokenizer) -> dict[str, int]:
    """Return token -> id, every id once, in the order of ids."""
    return {tokenizer.token(i): i for i in range(tokenizer.vocab_size)}


def merges(tokenizer: Tokenizer) -> list[tuple[str, str]]:
    """Return every way to make a learned piece of two learned pieces, best score first.

    SentencePiece joins two neighbours whenever the result is a piece, however that piece was learned, so all splits
    are listed. Control and byte pieces take no part: text cannot spell them. Unigram has none.
    """
    processor = tokenizer.processor
    if processor is None:
        return list(byte_merges(tokenizer.pieces))
    if tokenizer.kind == "unigram":
        return []
    ranked = [processor.id_to_piece(i) for i in learned(processor)]
    return list(splits(ranked, set(ranked)))


def fast_tokenizer(tokenizer: Tokenizer) -> FastTokenizer:
    """Return the tokenizer for Hugging Face's `tokenizers`. No token is declared special, so text never becomes one."""
    processor = tokenizer.processor
    if processor is None:
        return tokenizer.fast
    if tokenizer.kind == "unigram":
        scored = [(tokenizer.token(i), processor.get_score(i)) for i in range(tokenizer.vocab_size)]
        fast = FastTokenizer(models.Unigram(scored, unk_id=tokenizer.unk, byte_fallback=True))
        fast.pre_tokenizer = pre_tokenizers.Split(Regex(CONTROL_CUT), "isolated")
    else:
        fast = FastTokenizer(
            models.BPE(
                vocabulary(tokenizer), merges(tokenizer), unk_token=CONTROLS[0], fuse_unk=True, byte_fallback=True
            )
        )
    fast.normalizer = escapes()
    unescape = [decoders.Replace(escape, plain) for plain, escape in reversed(ESCAPES)]
    fast.decoder = decoders.Sequence(
        [decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse(), *unescape]
    )
    return fast


def escapes() -> normalizers.Normalizer:
    """Return tokenizer.json's normalizer: a literal '▁' is escaped, then a space becomes '▁'."""
    replacements = [normalizers.Replace(plain, escape) for plain, escape in ESCAPES]
    return normalizers.Sequence([*replacements, normalizers.Replace(" ", SPACE)])


def tokenizer_config() -> dict:
    """Return tokenizer_config.json for transformers: the control tokens and the chat template."""
    unk, bos, eos, pad, mask, *roles = CONTROLS
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "unk_token": unk,
        "bos_token": bos,
        "eos_token": eos,
        "pad_token": pad,
        "mask_token": mask,
        "extra_special_tokens": roles,
        "added_tokens_decoder": {
            str(i): {
                "content": token,
                "lstrip": False,
                "normalized": False,
                "rstrip": False,
                "single_word": False,
                "special": True,
            }
            for i, token in enumerate(CONTROLS)
        },
        "add_bos_token": False,
        "add_eos_token": False,
        "clean_up_tokenization_spaces": False,
        "chat_template": chat_template(),
    }


def write_vocab(tokenizer: Tokenizer, path: Path) -> None:
    """Write vocab.json, in the order of ids."""
    path.write_text(json.dumps(vocabulary(tokenizer), indent=0, ensure_ascii=False) + "\n", encoding="utf-8")


def write_merges(tokenizer: Tokenizer, path: Path) -> None:
    """Write merges.txt: a version line, then one merge a line. No piece holds a space or line end, so lines are
    exact."""
    body = "".join(f"{left} {right}\n" for left, right in merges(tokenizer))
    path.write_bytes(("#version: 0.2\n" + body).encode())


def write_tokenizer_json(tokenizer: Tokenizer, path: Path) -> None:
    path.write_text(fast_tokenizer(tokenizer).to_str(pretty=True) + "\n", encoding="utf-8")


def write_tokenizer_config(path: Path) -> None:
    write_json(path, tokenizer_config())
