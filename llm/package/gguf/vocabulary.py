"""Translates tokenizers between GGUF's metadata and tokenizer.json, both ways.

GGUF has two kinds that matter here: "gpt2", BPE over bytes, which names how text is cut into words by a word of its own
("pre"), and "llama", SentencePiece's BPE, which has scores in place of merges.
"""

import json
from collections.abc import Callable
from typing import Any

from tokenizers import AddedToken, decoders, models, normalizers, pre_tokenizers
from tokenizers import Tokenizer as FastTokenizer

from llm.errors import InputError
from llm.tokenize.byte_level import PATTERN, byte_merges, splits, words
from llm.tokenize.byte_pieces import byte_of
from llm.tokenize.chat import chat_template
from llm.tokenize.escape import SPACE
from llm.tokenize.hub import HubTokenizer
from llm.tokenize.load import CONTROLS, Tokenizer
from llm.tokenize.open import AnyTokenizer

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = range(1, 7)  # llama_token_type
LLAMA3 = PATTERN.replace(r"|\p{N}|", r"|\p{N}{1,3}|")
ENDINGS = PATTERN.partition("|[^")[0]  # 's, 't, 're ... in either case; published files write it as:
PUBLISHED_ENDINGS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
BLOOM = r" ?[^(\s|[.,!?…。，、।۔،])]+"
SPECIAL = {"bos": "bos", "eos": "eos", "unk": "unknown", "pad": "padding"}


def gpt2_words() -> pre_tokenizers.PreTokenizer:
    return pre_tokenizers.ByteLevel(add_prefix_space=False)


def digits_apart() -> pre_tokenizers.PreTokenizer:
    """Return GPT-2's words, each digit by itself."""
    return pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), gpt2_words()])


# GGUF's word -> how text is cut; the first of equal ones is written.
WORDS: dict[str, Callable[[], pre_tokenizers.PreTokenizer]] = {
    "gpt-2": gpt2_words,
    "olmo": gpt2_words,
    "mpt": gpt2_words,
    "smollm": digits_apart,
    "starcoder": digits_apart,
    "refact": digits_apart,
    "qwen2": lambda: words(PATTERN),
    "stablelm2": lambda: words(PATTERN),
    "llama-bpe": lambda: words(LLAMA3),
    "bloom": lambda: words(BLOOM),
}


def read_tokenizer(values: dict) -> tuple[FastTokenizer, dict]:
    """Return the tokenizer of a GGUF's metadata, and tokenizer_config.json with its control tokens and chat template.
    Raises InputError for a kind that is not known."""
    kind = values.get("tokenizer.ggml.model")
    tokens, types = values.get("tokenizer.ggml.tokens", []), values.get("tokenizer.ggml.token_type", [])
    if not is_list(tokens, str) or not is_list(types, int) or not tokens or len(tokens) != len(types):
        raise InputError("GGUF: no vocabulary (tokenizer.ggml.tokens, token_type); the file is not complete")
    if len(set(tokens)) != len(tokens):
        raise InputError("GGUF: a token stands twice in tokenizer.ggml.tokens; the tokenizer cannot be told from that")
    if kind == "gpt2":
        fast = read_byte_level(values, tokens)
    elif kind == "llama":
        fast = read_sentencepiece(values, tokens, types)
    else:
        raise InputError(f"GGUF: tokenizer.ggml.model {kind!r} is not supported, only gpt2 and llama")
    added = [token for token, each in zip(tokens, types, strict=True) if each == CONTROL]
    fast.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in added])
    own = [token for token, each in zip(tokens, types, strict=True) if each == USER_DEFINED]
    fast.add_tokens([AddedToken(token, normalized=False) for token in own])
    return fast, read_settings(values, tokens)


def is_list(value: object, kind: type) -> bool:
    return isinstance(value, list) and all(isinstance(each, kind) for each in value)


def read_byte_level(values: dict, tokens: list[str]) -> FastTokenizer:
    pre = values.get("tokenizer.ggml.pre")
    if pre not in WORDS:
        raise InputError(
            f"GGUF: tokenizer.ggml.pre {pre!r} is not one of {', '.join(WORDS)}; import the Hugging Face directory"
        )
    merges = values.get("tokenizer.ggml.merges", [])
    pairs = [tuple(merge.split(" ", 1)) for merge in merges] if is_list(merges, str) else []
    known = set(tokens)
    for merge in pairs:
        if len(merge) < 2 or not {*merge, "".join(merge)} <= known:
            raise InputError(f"GGUF: tokenizer.ggml.merges: {' '.join(merge)!r:.80} joins no two tokens to a third")
    vocabulary = {token: i for i, token in enumerate(tokens)}
    fast = FastTokenizer(models.BPE(vocabulary, pairs, ignore_merges=pre == "llama-bpe"))
    fast.pre_tokenizer = WORDS[pre]()
    fast.decoder = decoders.ByteLevel()
    return fast


def read_sentencepiece(values: dict, tokens: list[str], types: list[int]) -> FastTokenizer:
    """SentencePiece joins two neighbours whenever the result is a piece, the best score first: so all pairs that make
    a piece are merges."""
    scores = values.get("tokenizer.ggml.scores", [0.0] * len(tokens))
    if not is_list(scores, float) or len(scores) != len(tokens):
        raise InputError("GGUF: tokenizer.ggml.scores has no number for each token; the file is damaged")
    ranked = sorted((i for i, each in enumerate(types) if each == NORMAL), key=lambda i: (-scores[i], i))
    pieces = [tokens[i] for i in ranked]
    merges = list(splits(pieces, set(pieces)))
    unknown = next((tokens[i] for i, each in enumerate(types) if each == UNKNOWN), None)
    vocabulary = {token: i for i, token in enumerate(tokens)}
    fast = FastTokenizer(models.BPE(vocabulary, merges, unk_token=unknown, fuse_unk=True, byte_fallback=True))
    prefix = values.get("tokenizer.ggml.add_space_prefix", True)
    steps = [*([normalizers.Prepend(SPACE)] if prefix else []), normalizers.Replace(" ", SPACE)]
    fast.normalizer = normalizers.Sequence(steps)
    undo = [decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse()]
    fast.decoder = decoders.Sequence([*undo, *([decoders.Strip(" ", 1, 0)] if prefix else [])])
    return fast


def read_settings(values: dict, tokens: list[str]) -> dict:
    """Return tokenizer_config.json."""
    settings: dict = {"tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": False}
    for ours, theirs in SPECIAL.items():
        index = values.get(f"tokenizer.ggml.{theirs}_token_id")
        if index is not None and not (isinstance(index, int) and 0 <= index < len(tokens)):
            raise InputError(f"GGUF: {theirs}_token_id {index} is outside the vocabulary of {len(tokens)}")
        if index is not None:
            settings[f"{ours}_token"] = tokens[index]
    settings["add_bos_token"] = bool(values.get("tokenizer.ggml.add_bos_token", False))
    template = values.get("tokenizer.chat_template")
    return settings | ({"chat_template": template} if isinstance(template, str) and template else {})


def words_of(stated: dict | None) -> str | None:
    """Return GGUF's word for how tokenizer.json's pre_tokenizer cuts text; None where it has none."""
    found = cutting(stated)
    return next((word for word, make in WORDS.items() if cutting(json.loads(make().__getstate__())) == found), None)


def cutting(stated: dict | None) -> list:
    """Return what a pre-tokenizer does, in a form that can be compared."""
    published = json.loads(json.dumps(stated or {}).replace(PUBLISHED_ENDINGS, ENDINGS))
    steps = published.get("pretokenizers", [published])
    return [{key: value for key, value in step.items() if key not in ("trim_offsets", "invert")} for step in steps]


def vocabulary_of(tokenizer: AnyTokenizer, rows: int) -> dict[str, object]:
    """Return a tokenizer as GGUF's metadata, keys without "tokenizer." before them. rows: of the embedding; tokens that
    are padding fill what is beyond the vocabulary. Raises InputError for a kind that llama.cpp does not read."""
    if isinstance(tokenizer, HubTokenizer):
        found = hub_vocabulary(tokenizer)
        ids = {"bos": tokenizer.bos, "eos": tokenizer.eos, "padding": tokenizer.pad}
        template = tokenizer.chat_template
    else:
        found = own_vocabulary(tokenizer)
        ids = {"bos": tokenizer.bos, "eos": tokenizer.eos, "padding": tokenizer.pad, "unknown": tokenizer.unk}
        template = chat_template()
    missing = range(len(found["ggml.tokens"]), rows)
    found["ggml.tokens"] += [f"[PAD{i}]" for i in missing]
    found["ggml.token_type"] += [UNUSED for _ in missing]
    if "ggml.scores" in found:
        found["ggml.scores"] += [-1e4 for _ in missing]
    found |= {f"ggml.{name}_token_id": index for name, index in ids.items() if index is not None}
    found |= {"ggml.add_bos_token": False, "ggml.add_space_prefix": found.get("ggml.add_space_prefix", False)}
    return found | ({"chat_template": template} if template else {})


def own_vocabulary(tokenizer: Tokenizer) -> dict[str, Any]:
    tokens = [tokenizer.token(i) for i in range(tokenizer.vocab_size)]
    processor = tokenizer.processor
    if processor is None:
        types = [CONTROL if i < len(CONTROLS) else NORMAL for i in range(len(tokens))]
        merges = [f"{left} {right}" for left, right in byte_merges(tokenizer.pieces)]
        return byte_vocabulary(tokens, types, merges, "qwen2")
    if tokenizer.kind == "unigram":
        raise InputError(
            "gguf: llama.cpp reads no unigram tokenizer without SentencePiece's own normalisation; train bpe"
        )
    types = [
        UNKNOWN if processor.is_unknown(i) else CONTROL if processor.is_control(i) else BYTE if processor.is_byte(i)
        else NORMAL for i in range(len(tokens))
    ]  # fmt: skip
    return {
        "ggml.model": "llama",
        "ggml.pre": "default",
        "ggml.tokens": tokens,
        "ggml.scores": [float(processor.get_score(i)) for i in range(len(tokens))],
        "ggml.token_type": types,
    }


def hub_vocabulary(tokenizer: HubTokenizer) -> dict[str, Any]:
    stated = json.loads(tokenizer.fast.to_str())
    model = stated["model"]
    if model["type"] != "BPE":
        raise InputError(f"gguf: llama.cpp reads BPE tokenizers, {tokenizer.path.name} has {model['type']}")
    by_id = {index: token for token, index in tokenizer.ids.items()}
    tokens = [by_id.get(i, f"[PAD{i}]") for i in range(tokenizer.vocab_size)]
    own = {token["content"]: token["special"] for token in stated["added_tokens"]}
    types = [
        UNUSED if i not in by_id else NORMAL if token not in own else CONTROL if own[token] else USER_DEFINED
        for i, token in enumerate(tokens)
    ]
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in model["merges"]]
    if not model.get("byte_fallback"):
        word = words_of(stated["pre_tokenizer"])
        if word is None:
            raise InputError(f"gguf: {tokenizer.path.name} cuts text in a way that has no name in GGUF")
        return byte_vocabulary(tokens, types, merges, word)
    rank = {merge.replace(" ", ""): -float(i) for i, merge in reversed([*enumerate(merges)])}
    types = [each if byte_of(token) is None else BYTE for token, each in zip(tokens, types, strict=True)]
    prefix = "Prepend" in json.dumps(stated["normalizer"] or {}) or "Metaspace" in json.dumps(stated["pre_tokenizer"])
    return {
        "ggml.model": "llama",
        "ggml.pre": "default",
        "ggml.tokens": tokens,
        "ggml.scores": [rank.get(token, -float(len(merges) + i)) for i, token in enumerate(tokens)],
        "ggml.token_type": [UNKNOWN if token == model.get("unk_token") else each
                            for token, each in zip(tokens, types, strict=True)],
        "ggml.add_space_prefix": prefix,
    }  # fmt: skip


def byte_vocabulary(tokens: list[str], types: list[int], merges: list[str], word: str) -> dict[str, Any]:
    return {
        "ggml.model": "gpt2",
        "ggml.pre": word,
        "ggml.tokens": tokens,
        "ggml.token_type": types,
        "ggml.merges": merges,
    }
