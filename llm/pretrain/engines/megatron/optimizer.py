"""Builds AdamW inside megatron-core's optimizers: on fp32 parameters, on fp32 copies of bf16 ones, or distributed (ZeRO
1).

The rule, its groups and its settings are those of llm/training/optimizer.py: torch's fused AdamW, no decay on vectors.
"""

import torch
from megatron.core import parallel_state
from megatron.core.distributed import DistributedDataParallel
from megatron.core.optimizer.distrib_optimizer import DistributedOptimizer
from megatron.core.optimizer.optimizer import Float16OptimizerWithFloat16Params, FP32Optimizer, MegatronOptimizer
from megatron.core.optimizer.optimizer_config import OptimizerConfig
from megatron.core.utils import unwrap_model

from llm.errors import InputError
from llm.training.optimizer import BETA1, EPS, fresh_state
from llm.training.settings import OptimizerSettings

IDENTIFIERS = {
    "lr_mult": 1.0,
    "is_expert_parallel": False,
    "is_decoupled_lr": False,
}  # megatron-core knows groups by it


def build_optimizer(
    chunks: list[DistributedDataParallel], settings: OptimizerSettings, dtype: torch.dtype, distributed: bool
) -> MegatronOptimizer:
    """Build the optimizer of all stages of this rank. `distributed`: each data rank updates a part of the
    parameters."""
    if settings.optimizer != "adamw":
        raise InputError(
            f"pretrain.optimizer: {settings.optimizer} needs whole matrices, which engine megatron splits; "
            "choose adamw, or pretrain.parallel.engine: torch"
        )
    decayed: list[torch.nn.Parameter] = []
    others: list[torch.nn.Parameter] = []
    for chunk in chunks:
        for name, parameter in unwrap_model(chunk).named_parameters():
            # The last stage has a copy of tied embeddings, marked `shared`.
            embedding = name.startswith("embedding.") or getattr(parameter, "shared", False)
            (others if parameter.ndim == 1 or embedding else decayed).append(parameter)
    groups = [
        {"params": decayed, "weight_decay": settings.weight_decay, "wd_mult": 1.0},
        {"params": others, "weight_decay": 0.0, "wd_mult": 0.0},
    ]
    groups = [group | IDENTIFIERS for group in groups]
    adamw = torch.optim.AdamW(groups, settings.learning_rate, (BETA1, settings.beta2), EPS, fused=True)
    config = OptimizerConfig(
        lr=settings.learning_rate,
        min_lr=0.0,
        bf16=dtype == torch.bfloat16,
        clip_grad=settings.clip_norm,
        use_distributed_optimizer=distributed,
    )
    if distributed:
        optimizer = DistributedOptimizer(
            adamw,
            config,
            None,
            set_up_state,
            model_chunks=chunks,
            per_model_buffers={number: chunk.buffers for number, chunk in enumerate(chunks)},
            data_parallel_group=parallel_state.get_data_parallel_group(with_context_parallel=True),
            data_parallel_group_gloo=None,
            data_parallel_group_idx=parallel_state.get_model_parallel_group().rank(),
            distributed_optimizer_instance_id=0,
        )
    elif dtype == torch.bfloat16:
        optimizer = Float16OptimizerWithFloat16Params(adamw, config, None, set_up_state)
    else:
        optimizer = FP32Optimizer(adamw, config, set_up_state)
    # These are the ranks over which the gradient's norm is summed: with the distributed optimizer each holds another
    # part.
    everyone = torch.distributed.group.WORLD if distributed else parallel_state.get_model_parallel_group()
    optimizer.grad_stats_parallel_group = everyone
    optimizer.tp_group = parallel_state.get_tensor_model_parallel_group()
    set_up_state(adamw)  # a checkpoint may come before the first update
    return optimizer


def set_up_state(adamw: torch.optim.AdamW, config: OptimizerConfig | None = None) -> None:
    """Make the state before the first step where there is none. megatron-core expects a function of this form."""
    for group in adamw.param_groups:
        for parameter in group["params"]:
            if parameter not in adamw.state:
                adamw.state[parameter] = fresh_state("adamw", parameter)
