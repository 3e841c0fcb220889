"""What scripts/package/inventory.py is told."""

from dataclasses import dataclass

from llm.settings import key


@dataclass(frozen=True, kw_only=True)
class InventorySettings:
    """What is looked at in a model beside its weights."""

    prompts: list[str] = key(
        ["The name of the file is the name of the file.", "What is an algorithm? It is a list of steps."],
        minItems=1,
        shown=False,
    )
    """Texts whose attention patterns are shown."""
    prompt_tokens: int = key(20, minimum=2, shown=False)
    """Of a prompt, at most; a pattern has as many rows and columns."""
    words: int = key(160, minimum=0, shown=False)
    """Tokens on the embedding's map: the vocabulary's first whole words, which are its most frequent; 0: no map."""
