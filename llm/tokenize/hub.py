"""Loads a tokenizer that was made elsewhere: Hugging Face's tokenizer.json, with the control tokens and the chat
template of tokenizer_config.json. It has the methods of load.Tokenizer, so every stage takes either (open.py).

Text never becomes a control id here either: a control token's text in a document is encoded as text.
"""

from pathlib import Path

from tokenizers import Tokenizer as FastTokenizer

from llm.errors import InputError
from llm.io.json_object import read_object
from llm.tokenize.load import first_line, well_formed

FILE, CONFIG_FILE = "tokenizer.json", "tokenizer_config.json"


class HubTokenizer:
    """A directory's tokenizer.json. Ids: bos (None where the model has none), eos, pad (eos unless stated).
    `controls`: token -> id of those that no text may spell. `chat_template`: Jinja, None where there is none."""

    def __init__(self, directory: Path):
        self.path = Path(directory) / FILE
        self.fast = read_fast(self.path)
        self.fast.encode_special_tokens = True
        self.fast.no_truncation()
        self.fast.no_padding()
        settings = read_settings(self.path.with_name(CONFIG_FILE))
        self.chat_template: str | None = settings.get("chat_template")
        self.ids: dict[str, int] = self.fast.get_vocab(with_added_tokens=True)
        self.vocab_size = max(self.ids.values(), default=-1) + 1
        added = self.fast.get_added_tokens_decoder()
        self.controls = {token.content: i for i, token in added.items() if token.special}
        self.names = {kind: content_of(settings.get(f"{kind}_token")) for kind in ("bos", "eos", "pad")}
        eos = self.id_of("eos")
        if eos is None:
            raise InputError(f"{self.path.with_name(CONFIG_FILE)}: no eos_token, so no text can end; add it")
        self.eos: int = eos
        self.bos, pad = self.id_of("bos"), self.id_of("pad")
        self.pad = eos if pad is None else pad

    def id_of(self, kind: str) -> int | None:
        """Return the id of the bos, eos or pad token; None where there is none. InputError for one that is no token."""
        name = self.names[kind]
        if name is not None and (not isinstance(name, str) or name not in self.ids):
            raise InputError(f"{self.path} has no {name!r}, the {kind}_token of {CONFIG_FILE}; they do not fit")
        return None if name is None else self.ids[name]

    def encode(self, text: str) -> list[int]:
        """Return the ids of `text`, without bos and eos."""
        return self.fast.encode(well_formed(text), add_special_tokens=False).ids

    def encode_batch(self, texts: list[str]) -> list[list[int]]:
        """Return the ids of each text. The library has threads of its own; their number changes nothing."""
        return [found.ids for found in self.fast.encode_batch([*map(well_formed, texts)], add_special_tokens=False)]

    def decode(self, ids: list[int]) -> str:
        """Return the text of `ids`; control ids give nothing, bytes that are no UTF-8 give U+FFFD."""
        return self.fast.decode([int(i) for i in ids], skip_special_tokens=True)


def read_fast(path: Path) -> FastTokenizer:
    """Return the library's tokenizer. Raises InputError if the file is missing or broken."""
    try:
        return FastTokenizer.from_str(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(f"{path} is missing; a model directory holds its tokenizer") from error
    except Exception as error:  # the library raises a plain Exception
        raise InputError(f"{path}: not a tokenizer that `tokenizers` reads ({first_line(error)})") from error


def read_settings(path: Path) -> dict:
    """Return tokenizer_config.json as a dict. Raises InputError if it is missing or broken."""
    return read_object(path, "it names the control tokens")


def content_of(token: str | dict | None) -> str | None:
    """Return a token's text, which files state alone or in an object."""
    return token.get("content") if isinstance(token, dict) else token
