"""Opens whichever tokenizer a model has: the project's own (tokenizer.model) or one made elsewhere (tokenizer.json)."""

from pathlib import Path

from llm.errors import InputError
from llm.tokenize.hub import FILE, HubTokenizer
from llm.tokenize.load import Tokenizer

OWN = "tokenizer.model"
AnyTokenizer = Tokenizer | HubTokenizer


def open_tokenizer(place: Path) -> AnyTokenizer:
    """Return the tokenizer of a directory, or of the file tokenizer.model. A directory's tokenizer.model counts before
    its tokenizer.json, since this project writes both with the same ids. Raises InputError."""
    place = Path(place)
    if place.is_dir():
        return Tokenizer(place / OWN) if (place / OWN).is_file() else HubTokenizer(place)
    return Tokenizer(place)


def check_fits(tokenizer: AnyTokenizer, rows: int, where: Path) -> None:
    """Raise InputError unless a model with so many rows of its embedding can have this tokenizer. Models from elsewhere
    may have more rows than tokens: they are padded to a round number."""
    size = tokenizer.vocab_size
    if size > rows or (size < rows and isinstance(tokenizer, Tokenizer)):
        name = OWN if isinstance(tokenizer, Tokenizer) else FILE
        raise InputError(
            f"{where}: {name} has {size} tokens, the model {rows}; they do not belong together, "
            "build or import the model again"
        )
