"""The README.md of a model directory: what the Hub reads of it, and what a reader should know. Writes nothing."""

import yaml

from llm.model.config import ModelConfig
from llm.model.counts import parameter_counts
from llm.model.families import family_of

NAME = "README.md"
USE = """## Use

With transformers:

```python
from transformers import AutoModelForCausalLM, AutoTokenizer

model = AutoModelForCausalLM.from_pretrained("{directory}")
tokenizer = AutoTokenizer.from_pretrained("{directory}")
```
"""
NO_USE = """## Use

No class of transformers computes this architecture: `llm.model.directory.load_model` of Stemma loads it.
"""
END = """## Where it comes from

Every file here descends from records: `python -m stemma lineage {directory}/manifest.json` in the checkout that \
built it.
"""
CAUTION = (
    "A small model from little text: it knows what it was shown, and may repeat it. It was not tested for safety.\n"
)
PLACE = "results/models/base"


def model_card(config: ModelConfig, corpus: dict[str, dict], state: dict) -> str:
    """The card of a pretrained model. corpus: source -> {"domain", "license"}; state: state.json of its checkpoint."""
    licenses = sorted({source["license"] for source in corpus.values()})
    named = {"license": "other", "license_name": "of-the-training-text", "license_link": NAME}
    return "\n".join(
        [
            head(config, named),
            "# base\n",
            f"{sizes(config)} Pretrained in {state['step']:,} steps on {state['tokens_seen']:,} tokens.\n",
            (USE if family_of(vars(config)) else NO_USE).format(directory=PLACE),
            "## Trained on\n",
            *corpus_rows(corpus),
            f"\nWhat may be done with the weights follows from these licenses: {', '.join(licenses)}.\n",
            END.format(directory=PLACE) + CAUTION,
        ]
    )


def head(config: ModelConfig, license: dict[str, str]) -> str:
    """The metadata that the Hub reads. license: its keys."""
    told: dict = {"library_name": "transformers", "pipeline_tag": "text-generation"} | license
    told |= {"tags": ["stemma", *filter(None, [family_of(vars(config))])]}
    return f"---\n{yaml.safe_dump(told, sort_keys=False)}---\n"


def sizes(config: ModelConfig) -> str:
    """A sentence on the architecture."""
    return (
        f"{parameter_counts(config)['total']:,} parameters: {config.n_layers} layers of {config.d_model}, "
        f"{config.n_heads} heads ({config.n_kv_heads} of keys and values), "
        f"a vocabulary of {config.vocab_size:,}, a context of {config.context_length:,} tokens."
    )


def corpus_rows(corpus: dict[str, dict]) -> list[str]:
    """The table of the training text's sources."""
    rows = [f"| {name} | {source['domain']} | {source['license']} |" for name, source in sorted(corpus.items())]
    return ["| source | domain | license |\n|---|---|---|", *rows]


def aligned_card(card: str, base: str, method: str, full: bool) -> str:
    """The card of a model that a method of alignment made of another. card, base: the other's own, and its name. full:
    was it trained as a whole?"""
    how = "all its weights were trained" if full else "a LoRA adapter, merged into its weights"
    told = f"The model `{base}`, aligned by `{method}`: {how}.\n\n"
    card = card.replace(f"# {base}\n", f"# {method}\n\n{told.rstrip()}\n", 1)
    return card.replace(f"results/models/{base}", f"results/models/{method}")
