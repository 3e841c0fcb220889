"""Export a quantized model directory as one GGUF file with the same levels, for llama.cpp."""

from pathlib import Path

from llm.command import command
from llm.deploy.quantize.gguf import write_packed_gguf


def main(quantized: Path, gguf: Path, *, name: str) -> dict:
    """quantized: its directory. gguf: file to write. name: what the file calls the model. Returns bytes and how many
    tensors have each type."""
    counts = write_packed_gguf(quantized, gguf, name)
    return {"bytes": gguf.stat().st_size, "tensors": counts}


if __name__ == "__main__":
    command(main)
