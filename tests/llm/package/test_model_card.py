"""The model card: metadata that the Hub's own library accepts, and what a reader needs."""

import yaml
from huggingface_hub import ModelCard

from llm.model.config import ModelConfig
from llm.model.counts import parameter_counts
from llm.package.model_card import aligned_card, model_card

CONFIG = ModelConfig(64, 32, 2, 4, 2, 8, 64, 32)
CORPUS = {
    "web": {"domain": "web", "license": "GPL-3.0-or-later"},
    "books": {"domain": "books", "license": "CC-BY-2.5"},
}
CARD = model_card(CONFIG, CORPUS, {"step": 60, "tokens_seen": 61440})


def test_the_hub_reads_its_metadata():
    data = ModelCard(CARD).data
    assert (data.library_name, data.pipeline_tag, data.license) == ("transformers", "text-generation", "other")
    assert data.tags == ["stemma", "llama"]


def test_it_says_what_the_model_is_and_how_to_load_it():
    assert f"{parameter_counts(CONFIG)['total']:,} parameters" in CARD
    assert "60 steps on 61,440 tokens" in CARD
    assert "| books | books | CC-BY-2.5 |" in CARD and "CC-BY-2.5, GPL-3.0-or-later" in CARD
    assert 'from_pretrained("results/models/base")' in CARD


def test_an_aligned_model_says_what_it_was_made_of():
    dpo = aligned_card(aligned_card(CARD, "base", "sft", full=True), "sft", "dpo", full=False)
    assert (
        "# dpo\n\nThe model `sft`, aligned by `dpo`" in dpo and "aligned by `sft`: all its weights were trained." in dpo
    )
    assert "a LoRA adapter, merged into its weights." in dpo
    assert "results/models/dpo" in dpo and "results/models/base" not in dpo
    assert yaml.safe_load(dpo.split("---")[1]) == yaml.safe_load(CARD.split("---")[1])


def test_a_model_of_no_family_is_not_promised_to_transformers():
    own = ModelConfig(64, 32, 2, 4, 2, 8, 64, 32, position="alibi")
    assert "No class of transformers" in model_card(own, CORPUS, {"step": 1, "tokens_seen": 1})
