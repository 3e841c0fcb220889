"""Builds the plan's sections about layouts on a described cluster: memory, search result, communication, bubble."""

from collections import Counter
from dataclasses import replace

from llm.model.counts import total
from llm.plan import flops
from llm.plan.communication import communication
from llm.plan.costs import named, tflops_by_model
from llm.plan.figures import bars, figure, section, table
from llm.plan.memory import memory, state_bytes
from llm.plan.pipeline import bubble_over_ideal, bubble_over_total
from llm.plan.request import Request
from llm.plan.search import Found, expert_ranks, nearest_batch
from llm.plan.setup import Setup, engine

SHOWN = 12  # layouts on the page
PLANNED = "the layout planned"


def strategies(request: Request, chosen: Setup) -> dict[str, Setup]:
    """Return one layout over all GPUs for each kind of parallelism, to compare what each saves and sends."""
    gpus, shape = request.cluster.gpus, request.shape
    node = range(1, min(gpus, request.cluster.gpus_per_node) + 1)
    tensor = max(t for t in node if gpus % t == 0 and shape.n_heads % t == 0)
    context = max(c for c in node if c == 1 or (gpus % c == 0 and request.sequence % (2 * c) == 0))
    stages = max(p for p in range(1, min(gpus, 64) + 1) if gpus % p == 0 and shape.n_layers % p == 0)
    found = {"DP, whole": Setup(data=gpus)}
    if gpus > 1:
        found["DP, ZeRO 1"] = Setup(data=gpus, zero=1)
        found["DP, ZeRO 2"] = Setup(data=gpus, zero=2)
        found["FSDP (ZeRO 3)"] = Setup(data=gpus, zero=3)
        found["FSDP, full recomputation"] = Setup(data=gpus, zero=3, recompute="full")
    if context > 1:
        found[f"FSDP, CP {context}"] = Setup(data=gpus // context, context=context, zero=3)
    if tensor > 1:
        found[f"TP {tensor}"] = Setup(data=gpus // tensor, tensor=tensor)
        found[f"TP {tensor}, SP"] = Setup(data=gpus // tensor, tensor=tensor, sequence=True)
        found[f"TP {tensor}, SP, ZeRO 1"] = Setup(data=gpus // tensor, tensor=tensor, sequence=True, zero=1)
    experts = expert_ranks(shape, gpus)[-1]
    if experts > 1:
        found[f"EP {experts}, ZeRO 1"] = Setup(data=gpus, zero=1, expert=experts)
    if stages > 1:
        found[f"PP {stages}"] = Setup(data=gpus // stages, pipeline=stages)
    return found | {PLANNED: chosen}


def memory_section(request: Request, chosen: Found) -> dict:
    """Build the section of bytes on the fullest GPU, by strategy and part, and for each kind of recomputation."""
    shape, cluster, sequence, batch = request.shape, request.cluster, request.sequence, request.batch_size
    used = {
        name: memory(shape, setup, sequence, max(batch, setup.data), request.precision, request.fused)
        for name, setup in strategies(request, chosen.setup).items()
    }
    parts = list(used[PLANNED])
    rows = [[name, *(use[part] for part in parts), sum(use.values())] for name, use in used.items()]
    recomputed = []
    for recompute in flops.RECOMPUTE:
        for fused in (False, True):
            setup = Setup(**(chosen.setup.to_dict() | {"recompute": recompute}))
            use = memory(shape, setup, sequence, batch, request.precision, fused)
            recomputed.append([recompute, "fused" if fused else "plain", use["activations"], sum(use.values())])
    states = state_bytes(total(shape), 0, 1, request.precision)
    usable = f"{cluster.gpu}, {cluster.usable_memory:.0%} of it usable"
    zero, both = "Rajbhandari 2020, section 3.1", "Korthikanti 2022, table 2; Rajbhandari 2020"
    figures = [
        figure("Weights", states["weights"], "bytes", "whole model", zero),
        figure("Gradients", states["gradients"], "bytes", "whole model", zero),
        figure("Optimizer state", states["optimizer"], "bytes", "master copy, m and v, whole model", zero),
        figure("On a GPU, as planned", chosen.bytes, "bytes", named(chosen.setup), both),
        figure("A GPU has", cluster.memory_gb * 1e9, "bytes", usable, "catalogue"),
    ]
    kept = "fused: no scores are kept (Dao et al. 2022)" if request.fused else "plain: scores are kept"
    note = (
        f"Precision {request.precision}, attention {kept}, micro-batch 1 where no other is planned. Activations of a "
        "layer: s b h (34 + 5 a s / h) for GPT's shape, from the same terms for others; see docs/plan.md."
    )
    recomputation = ["recomputation", "attention", "activations", "in all"]
    return section(
        "memory",
        "Memory per GPU",
        note,
        figures,
        [
            table("By strategy", ["strategy", *parts, "in all"], ["", *["bytes"] * (len(parts) + 1)], rows),
            table("Recomputation, in the layout planned", recomputation, ["", "", "bytes", "bytes"], recomputed),
        ],
        [bars("Memory per GPU by strategy", "bytes", list(used.items()), cluster.memory_gb * 1e9)],
    )


def layouts_section(request: Request, found: list[Found], fate: Counter, chosen: Found, gpus: int) -> dict:
    """Build the section of ranked layouts and of what was searched.

    `gpus`: of the whole cluster; `request` has only those that work.
    """
    rows = [
        [
            place,
            named(entry.setup),
            entry.step,
            entry.bytes,
            tflops_by_model(request, entry) / request.cluster.peak_tflops,
            bubble_over_ideal(entry.setup.pipeline, entry.setup.micro_batches(request.batch_size), entry.setup.virtual),
            engine(entry.setup) or "none here",
        ]
        for place, entry in enumerate(found[:SHOWN], start=1)
    ]
    note = (
        f"{fate['looked_at']:,} layouts looked at, {fate['constraint']:,} against a constraint, {fate['memory']:,} too "
        f"large for the memory, {len(found):,} ranked. Constraints: tensor ranks stay in a node and divide the heads, "
        "stages divide the layers, data ranks and micro-batches divide the batch. The engine is this repository's."
    )
    if not found:
        note += " NOTHING FITS: it needs more GPUs or more memory; the plan counts with the layout of least memory."
    if gpus > request.cluster.gpus:
        whole = replace(request.cluster, gpus=gpus)
        batch = nearest_batch(request.shape, whole, request.sequence, request.batch_size)
        note += (
            f" {request.cluster.gpus:,} of {gpus:,} GPUs work, the others are idle and paid for: no layout of all "
            f"divides a batch of {request.batch_size:,} and this model's heads and layers; a batch of {batch:,} "
            "would do."
        )
    steps = [(f"{place}. {short(entry.setup)}", entry.seconds) for place, entry in enumerate(found[:8], start=1)]
    columns = ["rank", "layout", "step", "memory per GPU", "MFU", "bubble over ideal", "engine"]
    return section(
        "layouts",
        "The best layouts",
        note,
        [figure("Planned with", named(chosen.setup), "", "stated in the config, or the best found", "model")],
        [table("Ranked by step time", columns, ["count", "", "seconds", "bytes", "share", "share", ""], rows)],
        [bars("A step by layout", "seconds", steps)] if found else [],
    )


def short(setup: Setup) -> str:
    """Return an abbreviated layout name for a plot; the table beside it has the full name."""
    name = named(setup).replace(" full recomputation", " recomputed").replace(" selective recomputation", " selective")
    return name.replace(" micro-batch ", " mbs ")


def communication_section(request: Request, chosen: Found) -> dict:
    """Build the section of bytes that a GPU sends in a step, by strategy, and of the bubble in both conventions."""
    shape, setup = request.shape, chosen.setup
    sent = {
        name: communication(shape, some, request.sequence, request.batch_size, request.precision)
        for name, some in strategies(request, setup).items()
        if request.batch_size % (some.data * some.micro_batch) == 0
    }
    rows = [[name, *volumes.values(), sum(volumes.values())] for name, volumes in sent.items()]
    rounds = setup.micro_batches(request.batch_size)
    bubbles = [
        [chunks, *(bubble(setup.pipeline, rounds, chunks) for bubble in (bubble_over_ideal, bubble_over_total))]
        for chunks in sorted({1, 2, 4, setup.virtual})
    ]
    ideal, total = bubbles[sorted({1, 2, 4, setup.virtual}).index(setup.virtual)][1:]
    planned = f"(p - 1) / (v m); p = {setup.pipeline}, v = {setup.virtual}, m = {rounds}"
    sources = {
        "data": "Rajbhandari 2020, section 7",
        "tensor": "Shoeybi 2019, section 3",
        "pipeline": "Narayanan 2021, section 4.1",
        "context": "Liu 2023",
        "expert": "Lepikhin 2021",
    }
    figures = [
        figure("Bubble over ideal time", ideal, "share", planned, "Narayanan 2021, section 2.2.2"),
        figure("Bubble over all time", total, "share", "(p - 1) / (v m + p - 1)", "Huang 2019, section 2.3"),
        *(
            figure(f"Sent by {name} ranks", volume, "bytes", "per GPU and step", sources[name])
            for name, volume in sent[PLANNED].items()
        ),
    ]
    return section(
        "communication",
        "Communication and bubble",
        "Bytes sent by one GPU in a step. Rings: an all-reduce of n bytes over r ranks sends 2 n (r - 1) / r from each "
        "(Patarasuk and Yuan 2009). Left out: strategies whose data ranks do not divide the batch.",
        figures,
        [
            table("Volume by strategy", ["strategy", *sources, "in all"], ["", *["bytes"] * (len(sources) + 1)], rows),
            table(
                f"Pipeline bubble, {setup.pipeline} stages, {rounds} micro-batches",
                ["model chunks on a rank", "over ideal", "over all"],
                ["count", "share", "share"],
                bubbles,
            ),
        ],
    )
