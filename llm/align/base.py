"""Loads what every alignment method begins with: the model to adapt, and the tokenizer beside its weights."""

from pathlib import Path

from llm.errors import InputError
from llm.model.directory import load_model
from llm.model.transformer import CausalLM
from llm.tokenize.open import AnyTokenizer, check_fits, open_tokenizer


def load_base(directory: Path, max_tokens: int) -> tuple[CausalLM, AnyTokenizer]:
    """Return the fp32 model of a Hugging Face directory, on the CPU, and its tokenizer.

    Raises InputError where they do not belong together or `max_tokens` exceeds the model's context.
    """
    model = load_model(directory)
    tokenizer = open_tokenizer(directory)
    check_fits(tokenizer, model.config.vocab_size, directory)
    if not 2 <= max_tokens <= model.config.context_length:
        raise InputError(
            f"align.max_tokens: {max_tokens} is not within 2 and the context_length {model.config.context_length}"
        )
    return model, tokenizer
