"""Writes the weights of a model that a test has made, as one safetensors file."""

from pathlib import Path

from safetensors.torch import save_file

from llm.model.tensor_names import to_family
from llm.model.transformer import CausalLM


def save_weights(model: CausalLM, path: Path, family: str | None = None) -> None:
    """Write the state dict, in its own dtypes, as safetensors; equal weights give equal bytes. The names are ours, as
    in a checkpoint, or those of the Hugging Face family that config.json's model_type names."""
    tensors = to_family(family, model.config.n_heads, model.state_dict())
    tensors = {name: weight.detach().contiguous() for name, weight in tensors.items()}
    save_file(tensors, path, metadata={"format": "pt"})
