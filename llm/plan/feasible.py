"""Refuses what cannot work before anything runs: requests beyond the context, training steps beyond the memory, more
ranks than GPUs.

Each check runs only for the jobs that need it, since a plan on paper may have an `align` block that its model does not
suit. It imports no torch. Memory is checked only where training takes this machine's own: not on a GPU, and neither
memory nor GPUs where jobs run on other machines.
"""

import os
from importlib import metadata
from pathlib import Path

from llm.errors import InputError
from llm.model.config import ModelConfig, check_target_modules
from llm.model.counts import total
from llm.model.shape import Shape
from llm.plan.memory import activation_bytes, state_bytes
from llm.plan.setup import SHARDING, Setup
from llm.training.engines.layout import Layout, Replicas

UNTRAINED = {"experts": "mixtures of experts", "kv_rank": "latent attention", "window": "sliding windows"}
COPIES = {"float32": 2.5, "bfloat16": 2.0}  # bytes kept for one that the terms count with
DEVICES = Path("/dev")
ZERO = {sharding: zero for zero, sharding in SHARDING.items()}


def check_trainable(shape: dict) -> None:
    """Raise InputError if the config's `plan.shape` describes a model that can only be planned, not trained, here."""
    for key, told in UNTRAINED.items():
        if shape.get(key):
            raise InputError(f"plan.shape.{key}: this repository trains no {told}; ask for the plan: snakemake plan")


def check_alignment(model: ModelConfig, align: dict) -> None:
    """Raise InputError if adapters target a layer that the model lacks, or conversations exceed its context."""
    check_target_modules(model, align["lora"]["target_modules"])
    if align["max_tokens"] > model.context_length:
        raise InputError(
            f"align.max_tokens: {align['max_tokens']} is more than model.context_length: {model.context_length}, "
            "which is what the model is trained on; lower it"
        )


def check_adapter(method: str, align: dict) -> None:
    """Raise InputError if the replicas cannot share the method's batch evenly."""
    key = f"align.{method}.schedule.batch_size"
    Replicas(**align["parallel"]).rows_per_rank(align[method]["schedule"]["batch_size"], key)


def check_serving(model: ModelConfig, serve: dict) -> None:
    """Raise InputError if the load test's longest request, or an answer, exceeds the model's context."""
    for key in ("prompt_tokens", "new_tokens"):
        least, most = serve[key]
        if least > most:
            raise InputError(f"serve.{key}: [{least}, {most}] is not [least, most]; turn it round")
    longest = serve["prompt_tokens"][1] + serve["new_tokens"][1]
    if longest > model.context_length:
        raise InputError(
            f"serve.prompt_tokens and serve.new_tokens make up to {longest} tokens, model.context_length is "
            f"{model.context_length}; shorten them"
        )
    if serve["max_new_tokens"] >= model.context_length:
        raise InputError(
            f"serve.max_new_tokens: {serve['max_new_tokens']} leaves no room for a prompt in model.context_length: "
            f"{model.context_length}; lower it"
        )


def check_memory(model: ModelConfig, pretrain: dict, available: float) -> None:
    """Raise InputError if a step needs more than `available`, the bytes of a machine that holds the ranks of one
    node."""
    needed = bytes_of_step(model, pretrain)
    if needed <= available:
        return
    rows = Layout(**pretrain["parallel"]).rows_per_rank(pretrain["batch_size"])
    advice = "lower model.context_length, pretrain.batch_size or the model"
    if (pretrain["parallel"].get("micro_batch") or rows) > 1:
        advice = f"set pretrain.parallel.micro_batch (now {rows} at once), or {advice}"
    raise InputError(
        f"pretrain: a step of {pretrain['batch_size']} sequences of {model.context_length:,} tokens of a model of "
        f"{total(Shape.of(model)):,} parameters needs about {needed / 1e9:,.3g} GB, this machine has "
        f"{available / 1e9:,.3g} GB; {advice}"
    )


def bytes_of_step(model: ModelConfig, pretrain: dict) -> float:
    """Return the least bytes that the weights, gradients, optimizer and activations of one node's ranks take.

    They are the planner's terms, with fp32 states and without logits, which the loss never holds whole. Torch keeps
    copies that Megatron-LM's kernels do not: on a CPU at least twice the terms' activations were measured
    (docs/plan.md).
    """
    shape, layout = Shape.of(model), Layout(**pretrain["parallel"])
    ranks = layout.world_size // pretrain["nodes"]
    replicas = layout.data * layout.context
    states = state_bytes(total(shape), ZERO[layout.sharding], replicas, "fp32")
    rows = layout.rows_per_rank(pretrain["batch_size"])
    cut = {key: getattr(layout, key) for key in ("data", "tensor", "pipeline", "virtual", "context", "sequence")}
    setup = Setup(**cut, micro_batch=min(layout.micro_batch or rows, rows) or 1, recompute=pretrain["recompute"])
    kept = activation_bytes(shape, setup, model.context_length, setup.micro_batches(pretrain["batch_size"]))
    held = sum(states.values()) / (layout.tensor * layout.pipeline)
    return ranks * (held + COPIES[pretrain["dtype"]] * kept["activations"])


def machine_bytes() -> float:
    """Return the bytes of this machine's memory, or the limit of this process's control group if that is lower."""
    whole = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limit = Path("/sys/fs/cgroup/memory.max")
    text = limit.read_text().strip() if limit.is_file() else "max"
    return min(whole, int(text)) if text.isdigit() else whole


def trains_here(local: bool) -> bool:
    """Does training take this machine's own memory? True if jobs run here and there is no GPU."""
    return local and not Path("/dev/nvidiactl").exists()


def check_gpus(block: str, layout: Layout | Replicas, gpus: int) -> None:
    """Raise InputError if a machine with GPUs has fewer of them than ranks: each needs its own. block: the config's,
    `pretrain` or `align`. Their number is never taken from the machine, since the bytes of what is trained depend on
    it."""
    if not 0 < gpus < layout.world_size:
        return
    advice = f"ask for {gpus} at most"
    if gpus == 1:
        advice = "lay presets/gpu.yaml over your config, as the last file of snakemake --configfile"
    raise InputError(f"{block}.parallel: {layout.world_size} ranks need a GPU each, this machine has {gpus}; {advice}")


def gpus_here(numeric: str, devices: Path = DEVICES, torch: str | None = None) -> int:
    """Return how many GPUs jobs of this machine train on: 0 where numeric is portable, where CUDA_VISIBLE_DEVICES is
    empty, or where the installed torch is built for processors alone. torch: its version; None: the installed one's."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if numeric == "portable" or visible == "" or (torch or metadata.version("torch")).endswith("+cpu"):
        return 0
    found = sum(device.name.removeprefix("nvidia").isdigit() for device in devices.glob("nvidia*"))
    return found if visible is None else min(found, len(visible.split(",")))
