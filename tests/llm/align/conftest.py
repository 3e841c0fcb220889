"""A toy model with random weights, the same one in transformers, and a tokenizer of bytes."""

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from llm.model.config import ModelConfig
from llm.model.transformer import CausalLM
from tests.llm.align.toy import CONFIG, random_model
from tests.one_thread import one_thread  # noqa: F401 (a fixture)

TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


class ByteTokenizer:
    """Ids 8..263 are bytes, the rest as in the real tokenizer."""

    unk, bos, eos, pad, mask, system, user, assistant = range(8)
    vocab_size = 264

    def encode(self, text: str) -> list[int]:
        return [byte + 8 for byte in text.encode()]


@pytest.fixture
def tokenizer() -> ByteTokenizer:
    return ByteTokenizer()


@pytest.fixture
def config() -> ModelConfig:
    return CONFIG


@pytest.fixture
def model() -> CausalLM:
    return random_model()


@pytest.fixture
def new_model():
    """A function that returns the same random model again, unwrapped."""
    return random_model


@pytest.fixture
def tokens_BT() -> torch.Tensor:
    return torch.randint(0, CONFIG.vocab_size, (3, 20), generator=torch.Generator().manual_seed(1))


@pytest.fixture
def in_transformers():
    """A function: the same weights as transformers' LlamaForCausalLM."""
    return to_transformers


def to_transformers(model: CausalLM) -> LlamaForCausalLM:
    peer = LlamaForCausalLM(LlamaConfig(**model.config.to_hf())).eval()
    missing, unexpected = peer.load_state_dict(model.state_dict(), strict=False)
    assert not unexpected and set(missing) <= {"lm_head.weight"}
    peer.tie_weights()
    return peer
