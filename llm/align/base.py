"""Loads what every alignment method begins with: the model to adapt, and the tokenizer beside its weights."""

from pathlib import Path

from llm.errors import InputError
from llm.model.directory import load_model
from llm.model.transformer import CausalLM
from llm.runtime.device import default_device
from llm.tokenize.load import Tokenizer


def load_base(directory: Path, max_tokens: int) -> tuple[CausalLM, Tokenizer]:
    """Return the fp32 model of a Hugging Face directory, on the GPU if there is one, and its tokenizer.model.

    Raises InputError where they do not belong together or `max_tokens` exceeds the model's context.
    """
    model = load_model(directory, device=default_device())
    tokenizer = Tokenizer(directory / "tokenizer.model")
    if tokenizer.vocab_size != model.config.vocab_size:
        raise InputError(
            f"{directory}: tokenizer.model has {tokenizer.vocab_size} tokens, the model {model.config.vocab_size}; "
            "build the model directory again"
        )
    if not 2 <= max_tokens <= model.config.context_length:
        raise InputError(
            f"align.max_tokens: {max_tokens} is not within 2 and the context_length {model.config.context_length}"
        )
    return model, tokenizer
