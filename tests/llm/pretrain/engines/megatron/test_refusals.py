"""What engine megatron cannot do it says in one line that names the config's key."""

from dataclasses import replace

import pytest
import torch

from llm.errors import InputError
from llm.pretrain.engines.build import build_engine
from llm.pretrain.engines.megatron import shim
from llm.training.engines.layout import Layout
from tests.llm.pretrain.engines.runs import ADAMW, MODEL, MUON, rows_of

MEGATRON = Layout("megatron")
YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 4}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"position": "alibi"}, "model.position: 'alibi'"),
        ({"position": "sinusoidal"}, "model.position: 'sinusoidal'"),
        ({"norm_order": "post"}, "model.norm_order: 'post'"),
        ({"embedding_norm": True}, "model.embedding_norm: True"),
        ({"rope_scaling": YARN}, "model.rope_scaling: yarn"),
    ],
)
def test_architectures(changes, said):
    with pytest.raises(InputError, match=said):
        build_engine(replace(MODEL, **changes), MEGATRON, ADAMW, torch.float32, 0)


@pytest.mark.parametrize(
    ("layout", "said"),
    [
        (Layout("megatron", tensor=4), "pretrain.parallel.tensor: 4 does not divide model.n_kv_heads: 2"),
        (Layout("megatron", pipeline=2, virtual=2), "do not divide model.n_layers: 2"),
        (Layout("megatron", context=3), "model.context_length: 16 is no multiple of 6"),
        (Layout("megatron", data=2), "2 ranks are laid out, 1 run"),
    ],
)
def test_layouts(layout, said):
    with pytest.raises(InputError, match=said):
        build_engine(MODEL, layout, ADAMW, torch.float32, 0)


def test_options():
    with pytest.raises(InputError, match="pretrain.optimizer: muon"):
        build_engine(MODEL, MEGATRON, MUON, torch.float32, 0)
    with pytest.raises(InputError, match="pretrain.compile"):
        build_engine(MODEL, MEGATRON, ADAMW, torch.float32, 0, compile=True)


def test_batches_that_do_not_divide():
    engine = build_engine(MODEL, replace(MEGATRON, micro_batch=5), ADAMW, torch.float32, 0)
    with pytest.raises(InputError, match="pretrain.batch_size: 12 rows"):
        engine.gradients(rows_of(1, MODEL), 12)


def test_parts_of_a_sequence_are_balanced():
    """Every rank has as many (query, key) pairs to compute, and every token is somewhere."""
    shim.install()
    from llm.pretrain.engines.megatron.model import positions_of

    parts = [positions_of(rank, 4, 32) for rank in range(4)]
    assert sorted(torch.cat(parts).tolist()) == list(range(32))
    assert len({int((part + 1).sum()) for part in parts}) == 1
