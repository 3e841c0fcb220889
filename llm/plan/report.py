"""Builds a whole plan as one JSON-ready value."""

from dataclasses import asdict, replace

from llm.plan import costs, on_cluster, paper
from llm.plan.memory import memory
from llm.plan.request import Request
from llm.plan.search import candidates, evaluate, search, working_gpus
from llm.plan.setup import problem
from llm.plan.sources import SOURCES

SCHEMA, VERSION = "stemma-plan", 2  # llm/plan/plan.schema.json


def report(preset: str, request: Request) -> dict:
    """Return every section of a plan. Floats are exact; the page rounds them.

    GPUs for which there is no layout stay idle: they count in time and cost, but not in memory and layouts.
    """
    gpus = request.cluster.gpus
    if not request.setup:
        gpus = working_gpus(request.shape, request.cluster, request.sequence, request.batch_size)
    working = replace(request, cluster=replace(request.cluster, gpus=gpus))
    terms = (working.shape, working.cluster, working.sequence, working.batch_size, working.precision, working.fused)
    found, fate = search(*terms)
    if request.setup:
        chosen = evaluate(request.shape, request.setup, *terms[1:])
    else:
        chosen = found[0] if found else evaluate(request.shape, smallest(working), *terms[1:])
    sections = [
        paper.parameters_section(request),
        paper.flops_section(request),
        paper.tokens_section(request),
        on_cluster.memory_section(working, chosen),
        on_cluster.layouts_section(working, found, fate, chosen, request.cluster.gpus),
        on_cluster.communication_section(working, chosen),
        costs.time_section(request, chosen),
        costs.failures_section(request, chosen),
        paper.storage_section(request),
    ]
    return {
        "schema": SCHEMA,
        "version": VERSION,
        "preset": preset,
        "shape": asdict(request.shape),
        "cluster": asdict(request.cluster),
        "working_gpus": gpus,
        "layout": chosen.setup.to_dict(),
        "fits": chosen.bytes <= request.cluster.usable_bytes,
        "sections": sections,
        "sources": SOURCES,
    }


def smallest(request: Request):
    """Return the layout of least memory among those that the constraints allow; working GPUs always have one."""
    allowed = [
        setup
        for setup in candidates(request.shape, request.cluster, request.sequence, request.batch_size, request.fused)
        if not problem(setup, request.shape, request.cluster, request.batch_size, request.sequence)
    ]
    return min(
        allowed,
        key=lambda setup: sum(
            memory(
                request.shape, setup, request.sequence, request.batch_size, request.precision, request.fused
            ).values()
        ),
    )


def values(plan: dict) -> dict[str, float | int | str]:
    """Return `section.name` -> value of every figure, for metrics and tests."""
    return {
        f"{part['place']}.{entry['name']}": entry["value"] for part in plan["sections"] for entry in part["figures"]
    }
