"""Fold a LoRA adapter into its base model, W + alpha/r B A, or take whole weights in its place: a model directory."""

from pathlib import Path

from llm.align.identity import refuse_another_base
from llm.align.whole import is_whole, take_trained
from llm.command import command
from llm.model.directory import CONFIG_NAME, load_model, read_config
from llm.package.hf_directory import directory_bytes, tokenizer_files_of, write_directory
from llm.package.model_card import NAME as CARD
from llm.package.model_card import aligned_card
from llm.package.settings import PackageSettings


def main(base: Path, adapter: Path, hf: Path, *, settings: PackageSettings) -> dict:
    """base: Hugging Face directory. adapter: PEFT directory made on it, or whole weights. hf: empty directory to fill.

    Returns how far each kind of matrix moved: |W' - W| / |W| in the Frobenius norm, the largest over the layers."""
    model = load_model(base)
    if not is_whole(adapter):
        refuse_another_base(adapter, base)
    trained = take_trained(model, adapter)
    moved: dict[str, float] = {}
    for name, (before, after) in trained.items():
        kind = name.rsplit(".", 1)[-1]
        change = (after - before).norm() / before.norm().clamp(min=1e-12)
        moved[kind] = max(moved.get(kind, 0.0), change.item())
    write_directory(hf, read_config(base / CONFIG_NAME), model, tokenizer_files_of(base), settings)
    if (base / CARD).is_file():  # a model from elsewhere may come without
        card = aligned_card((base / CARD).read_text(encoding="utf-8"), base.name, adapter.name, is_whole(adapter))
        (hf / CARD).write_text(card, encoding="utf-8")
    return {"merged_matrices": len(trained), "weight_bytes": directory_bytes(hf), "largest_relative_change": moved}


if __name__ == "__main__":
    command(main)
