"""The `plan` block: what `snakemake plan` counts with, on paper. Left out or null: the planner's own default, which
each sentence names (docs/plan.md). llm/plan/request.py reads the block."""

from dataclasses import dataclass
from typing import Any, Literal

from llm.settings import key

POSITIVE: dict[str, Any] = {"exclusiveMinimum": 0}
SHARE: dict[str, Any] = {"exclusiveMinimum": 0, "maximum": 1}


@dataclass(frozen=True, kw_only=True)
class PlannedLayout:
    """The layout to plan for."""

    data: int = key(None, minimum=1)
    """Replicas."""
    tensor: int = key(None, minimum=1)
    """Ranks that share each matrix."""
    pipeline: int = key(None, minimum=1)
    """Ranks that share the layers."""
    virtual: int = key(None, minimum=1)
    """Model chunks on each pipeline rank."""
    context: int = key(None, minimum=1)
    """Ranks that share each sequence."""
    sequence: bool = key(None)
    """Sequence parallelism over the tensor ranks."""
    micro_batch: int = key(None, minimum=1)
    """Sequences."""
    expert: int = key(None, minimum=1)
    """Data ranks among which a mixture's experts are shared out."""
    zero: Literal[0, 1, 2, 3] = key(None)
    """ZeRO's stage; 3 is FSDP."""
    recompute: Literal["none", "selective", "full"] = key(None)
    """Activations that are computed again."""


@dataclass(frozen=True, kw_only=True)
class PlannedCluster:
    """The machine; figures left out are those of the GPU's data sheet."""

    gpu: str = key(None)
    """v100-32gb, a100-40gb, a100-80gb, h100-80gb (default), h800-80gb, h200-141gb, b200-180gb, mi300x-192gb, tpu-v3,
    tpu-v4, or a name of your own with all figures."""
    gpus: int = key(None, minimum=1)
    """In all; 8."""
    gpus_per_node: int = key(None, minimum=1)
    """8."""
    peak_tflops: float | None = key(None, optional=True, **POSITIVE)
    """Dense bf16."""
    fp8_tflops: float | None = key(None, optional=True, **POSITIVE)
    """Dense fp8."""
    memory_gb: float | None = key(None, optional=True, **POSITIVE)
    """Of a GPU."""
    memory_gb_s: float | None = key(None, optional=True, **POSITIVE)
    """Of a GPU."""
    intra_gb_s: float | None = key(None, optional=True, **POSITIVE)
    """Of a GPU to others of its node, one way."""
    inter_gb_s: float | None = key(None, optional=True, **POSITIVE)
    """Of a GPU to other nodes, one way."""
    efficiency: float | None = key(None, optional=True, **SHARE)
    """Of the peak, for large matrix products."""
    link_efficiency: float = key(None, **SHARE)
    """Of the links' bandwidth; 0.8."""
    storage_gb_s: float = key(None, **POSITIVE)
    """Written by all ranks together; 50."""
    usable_memory: float = key(None, **SHARE)
    """Share of a GPU's memory; 0.92."""
    tflops: float | None = key(None, optional=True, **POSITIVE)
    """Measured, of each GPU, for days and cost; null: the cost model's."""
    mfu: float | None = key(None, optional=True, **SHARE)
    """The same as a share of the bf16 peak."""
    tokens_per_second: float | None = key(None, optional=True, **POSITIVE)
    """Measured, of all GPUs together, in their place."""
    tflops_count: Literal["model", "hardware"] = key(None)
    """What tflops or mfu count: model FLOPs, or hardware FLOPs with what is recomputed; model."""
    price_per_gpu_hour: float = key(None, **POSITIVE)
    """USD; 2, an assumption."""
    gpu_hours_per_failure: float = key(None, **POSITIVE)
    """50,677, Llama 3's."""
    restart_minutes: float = key(None, **POSITIVE)
    """From a failure to the next step; 15."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """On paper: parameters, FLOPs, memory, layouts, time and cost of a model."""

    tokens: float | None = key(None, optional=True, **POSITIVE)
    """Of the whole training; 20 for each parameter."""
    batch_size: int | None = key(None, optional=True, minimum=1)
    """Sequences in a step; 512."""
    sequence: int | None = key(None, optional=True, minimum=1)
    """Tokens of a sequence; model.context_length."""
    precision: Literal["mixed", "mixed_fp32_gradients", "fp32", "bf16", "fp8"] | None = key(None, optional=True)
    """Bytes for weights, gradients, optimizer: 2+2+12 (mixed), 2+4+12, 4+4+8, 2+2+4, 1+4+8."""
    fused_attention: bool | None = key(None, optional=True)
    """true: no attention scores are kept (FlashAttention)."""
    formula: Literal["matmul", "6n", "6n_non_embedding", "palm", "chinchilla"] | None = key(None, optional=True)
    """How model FLOPs are counted; matmul."""
    attention: Literal["full", "causal", "none"] | None = key(None, optional=True)
    """How much of the attention scores counts as model FLOPs; full."""
    logits: bool | None = key(None, optional=True)
    """Whether matmul counts the output layer; true."""
    users: int | None = key(None, optional=True, minimum=1)
    """Whose key-value caches a server holds at once; 100."""
    user_tokens: int | None = key(None, optional=True, minimum=1)
    """Tokens of each user; model.context_length."""
    kv_bytes: int | None = key(None, optional=True, minimum=1)
    """Bytes of a cached value; 2."""
    layout: PlannedLayout | None = key(None, optional=True)
    """The layout to plan for; null: the best found by search."""
    cluster: PlannedCluster = key(None, optional=True)
    """The machine."""
    shape: dict = key({})
    """What the model block cannot say of a published model: fields of llm/model/shape.py."""
