"""Chooses the engine. Every rank calls it, inside its process group if there is one."""

from llm.runtime.device import default_device
from llm.training.engine import Engine
from llm.training.engines.ddp import DDPEngine
from llm.training.engines.fsdp import FSDPEngine
from llm.training.engines.layout import Layout, Replicas
from llm.training.engines.single import SingleEngine
from llm.training.objective import Objective
from llm.training.settings import OptimizerSettings


def build_engine(objective: Objective, layout: Layout | Replicas, settings: OptimizerSettings) -> Engine:
    """Return this rank's engine for a layout of engine torch. objective: with equal weights on every rank; those that
    require no gradient stay as they are."""
    device = default_device()
    if layout.world_size > 1 and layout.sharding == "full":
        return FSDPEngine(objective, settings, device, layout.micro_batch)
    engine = SingleEngine if layout.world_size == 1 else DDPEngine
    return engine(objective.to(device), settings, layout.micro_batch)
