"""What an imported model's directory says beside its weights: config.json and the card."""

from llm.errors import InputError
from llm.model.config import SIZES, ModelConfig
from llm.model.transformer import CausalLM
from llm.package.importing.read import Found
from llm.package.importing.settings import ImportSettings
from llm.package.model_card import END, PLACE, USE, corpus_rows, head, sizes


def check_expected(config: ModelConfig, settings: ImportSettings) -> None:
    """Raise InputError unless the config's model block, by which runs are planned and checked, describes the model."""
    expected = ModelConfig.from_section(settings.expected, settings.vocab_size)
    if all(getattr(config, name) == getattr(expected, name) for name in SIZES):
        return
    found = {name: getattr(config, name) for name in SIZES if name != "vocab_size"}
    said = ", ".join(f"{name}: {value}" for name, value in found.items())
    raise InputError(
        f"imported: the model is not what the config's model block says; write model: {{{said}}} and "
        f"tokenizer: {{vocab_size: {config.vocab_size}}}"
    )


def config_of(model: CausalLM) -> dict:
    """Return config.json, with the dtype that the weights have."""
    return model.config.to_hf() | {"dtype": str(model.output_weight.dtype).removeprefix("torch.")}


def imported_card(found: Found, settings: ImportSettings) -> str:
    """Return the card: the model's own facts, and that this project did not make it."""
    config = found.model.config
    stored = ", ".join(f"{count} of {kind}" for kind, count in sorted(found.stored.items()))
    said = "".join(f" Its {key}, as it says: {value}." for key, value in sorted(found.about.items()))
    return "\n".join(
        [
            head(config, {"license": settings.license.lower()}),
            "# base\n",
            f"Imported, not built here: from {settings.origin}, a {found.form} file with {stored} tensors.{said}\n",
            f"{sizes(config)}\n",
            USE.format(directory=PLACE),
            END.format(directory=PLACE),
        ]
    )


def continued_card(card: str, corpus: dict[str, dict], state: dict) -> str:
    """Return the card of a model that was pretrained further. card: the imported one's. corpus: source -> {"domain",
    "license"}. state: state.json of the checkpoint."""
    told = f"Pretrained further here, in {state['step']:,} steps on {state['tokens_seen']:,} tokens of:"
    return "\n".join(
        [
            card.rstrip().replace("Imported, not built here: from", "Made of a model that was imported from", 1),
            "\n## Trained on\n",
            f"{told}\n",
            *corpus_rows(corpus),
            "",
        ]
    )
