"""megatron-core's own sharded checkpoints: fast recovery points, written by all ranks at once and read by any layout.

Between engines, and for what is kept, a checkpoint goes through the canonical pieces of llm/pretrain/engine.py; these
directories are for this engine alone, for one sharding and one dtype. They need psutil, which megatron-core does not
declare. The optimizer's distributed state is `fully_reshardable`: gathered on a data rank when it is written.
"""

from collections.abc import Callable
from pathlib import Path

from megatron.core import dist_checkpointing, parallel_state
from megatron.core.dist_checkpointing.strategies.async_utils import AsyncCallsQueue
from megatron.core.utils import unwrap_model

from llm.errors import InputError
from llm.pretrain.engines.megatron.engine import MegatronEngine


def save_native(engine: MegatronEngine, directory: Path, asynchronous: bool = False) -> Callable[[], None]:
    """Writes weights and optimizer into the existing, empty `directory`; called by all ranks, not before a step was
    made. `asynchronous`: a child of each rank writes while training goes on. The checkpoint is whole, and may be read,
    when all ranks have called what this returns."""
    request = dist_checkpointing.save(sharded_state(engine, False), str(directory), async_sharded_save=asynchronous)
    if request is None:
        return lambda: None
    queue = AsyncCallsQueue()
    queue.schedule_async_request(request)

    def finish() -> None:
        queue.maybe_finalize_async_calls(blocking=True)
        queue.close()

    return finish


def load_native(engine: MegatronEngine, directory: Path) -> None:
    """Fills the engine; called by all ranks. InputError if there is no checkpoint."""
    if not dist_checkpointing.check_is_distributed_checkpoint(str(directory)):
        raise InputError(f"{directory} holds no megatron-core checkpoint; was its writing cut off? Take an earlier one")
    written = dist_checkpointing.load_common_state_dict(str(directory))["kind"]
    if written != kind(engine):
        raise InputError(
            f"{directory} was written with {written}, this layout has {kind(engine)}; "
            "start from the last canonical checkpoint, which any layout reads"
        )
    loaded = dist_checkpointing.load(sharded_state(engine, True), str(directory))
    for number, chunk in enumerate(engine.chunks):
        unwrap_model(chunk).load_state_dict(loaded[f"model{number}"])
    # megatron-core gives all states one step tensor, which each would count up, and trips over it itself
    steps = []
    adamw = engine.adamw
    hook = adamw.register_load_state_dict_post_hook(lambda _: steps.extend(s.pop("step") for s in adamw.state.values()))
    engine.optimizer.load_state_dict(loaded["optimizer"])
    hook.remove()
    for state in adamw.state.values():
        state["step"] = steps[0].to(state["exp_avg"].device, copy=True)


def sharded_state(engine: MegatronEngine, loading: bool) -> dict:
    """What to write or where to read it into, as megatron-core describes it."""
    metadata = {
        "distrib_optim_sharding_type": "fully_reshardable",
        "dp_cp_group": parallel_state.get_data_parallel_group(with_context_parallel=True),
    }
    stages = {f"model{n}": unwrap_model(c).sharded_state_dict(metadata=metadata) for n, c in enumerate(engine.chunks)}
    optimizer = engine.optimizer.sharded_state_dict(stages, is_loading=loading, metadata=metadata)
    return stages | {"optimizer": optimizer, "kind": kind(engine)}


def kind(engine: MegatronEngine) -> str:
    """What of the optimizer's form a checkpoint keeps: megatron-core reads each into its like alone."""
    return f"{'bfloat16' if engine.core.bf16 else 'float32'}, sharding {engine.layout.sharding}"
