"""The whole plan as one JSON-ready value. Draws nothing."""

from dataclasses import asdict

from llm.errors import InputError
from llm.plan import costs, on_cluster, paper, seed
from llm.plan.memory import memory
from llm.plan.request import Request
from llm.plan.search import candidates, evaluate, search
from llm.plan.setup import problem
from llm.plan.sources import SOURCES


def report(preset: str, request: Request) -> dict:
    """Every section of a plan. Floats are exact; the page rounds them."""
    terms = (request.shape, request.cluster, request.sequence, request.batch, request.precision, request.fused)
    found, fate = search(*terms)
    if request.setup:
        chosen = evaluate(request.shape, request.setup, *terms[1:])
    else:
        chosen = found[0] if found else evaluate(request.shape, smallest(request), *terms[1:])
    sections = [
        paper.parameters_section(request),
        paper.flops_section(request),
        paper.tokens_section(request),
        on_cluster.memory_section(request, chosen),
        on_cluster.layouts_section(request, found, fate, chosen),
        on_cluster.communication_section(request, chosen),
        costs.time_section(request, chosen),
        costs.failures_section(request, chosen),
        paper.storage_section(request),
        seed.seed_section(),
    ]
    return {
        "preset": preset,
        "shape": asdict(request.shape),
        "cluster": asdict(request.cluster),
        "layout": chosen.setup.to_dict(),
        "fits": chosen.bytes <= request.cluster.usable_bytes,
        "sections": sections,
        "sources": SOURCES,
    }


def smallest(request: Request):
    """The layout of least memory, of those that the constraints allow."""
    allowed = [
        setup
        for setup in candidates(request.shape, request.cluster, request.sequence, request.batch, request.fused)
        if not problem(setup, request.shape, request.cluster, request.batch, request.sequence)
    ]
    if not allowed:
        raise InputError(
            f"plan.batch: no layout of {request.cluster.gpus} GPUs divides a batch of {request.batch} sequences and "
            "this model's heads and layers; change plan.batch or plan.cluster.gpus"
        )
    return min(
        allowed,
        key=lambda setup: sum(
            memory(request.shape, setup, request.sequence, request.batch, request.precision, request.fused).values()
        ),
    )


def values(plan: dict) -> dict[str, float | int | str]:
    """`section.name` -> value of every figure, for metrics and tests."""
    return {
        f"{part['place']}.{entry['name']}": entry["value"] for part in plan["sections"] for entry in part["figures"]
    }
