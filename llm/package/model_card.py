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
A small model from little text: it knows what it was shown, and may repeat it. It was not tested for safety.
"""


def model_card(config: ModelConfig, corpus: dict[str, dict], state: dict) -> str:
    """The card of a pretrained model. corpus: source -> {"domain", "license"}; state: state.json of its checkpoint."""
    licenses = sorted({source["license"] for source in corpus.values()})
    head = {
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
        "license": "other",
        "license_name": "of-the-training-text",
        "license_link": NAME,
        "tags": ["stemma", *filter(None, [family_of(vars(config))])],
    }
    rows = [f"| {name} | {source['domain']} | {source['license']} |" for name, source in sorted(corpus.items())]
    facts = (
        f"{parameter_counts(config)['total']:,} parameters: {config.n_layers} layers of {config.d_model}, "
        f"{config.n_heads} heads ({config.n_kv_heads} of keys and values), "
        f"a vocabulary of {config.vocab_size:,}, a context of {config.context_length:,} tokens. "
        f"Pretrained in {state['step']:,} steps on {state['tokens_seen']:,} tokens."
    )
    return "\n".join(
        [
            f"---\n{yaml.safe_dump(head, sort_keys=False)}---\n",
            "# base\n",
            f"{facts}\n",
            (USE if family_of(vars(config)) else NO_USE).format(directory="results/models/base"),
            "## Trained on\n",
            "| source | domain | license |\n|---|---|---|",
            *rows,
            f"\nWhat may be done with the weights follows from these licenses: {', '.join(licenses)}.\n",
            END.format(directory="results/models/base"),
        ]
    )


def aligned_card(card: str, base: str, method: str) -> str:
    """The card of a model that a method of alignment made of another. card, base: the other's own, and its name."""
    told = f"The model `{base}`, aligned by `{method}`: a LoRA adapter, merged into its weights.\n\n"
    card = card.replace(f"# {base}\n", f"# {method}\n\n{told.rstrip()}\n", 1)
    return card.replace(f"results/models/{base}", f"results/models/{method}")
