"""Export a model directory as one GGUF file, for llama.cpp."""

from pathlib import Path

from llm.command import command
from llm.package.gguf.write import write_gguf


def main(model: Path, gguf: Path, *, name: str, type: str) -> dict:
    """model: Hugging Face directory. gguf: file to write. name: what the file calls the model. type: of its matrices,
    f32, f16, bf16, q8_0, q5_1, q5_0, q4_1 or q4_0. Returns bytes and how many tensors have each type."""
    counts = write_gguf(model, gguf, type, name)
    return {"bytes": gguf.stat().st_size, "tensors": counts}


if __name__ == "__main__":
    command(main)
