"""The plan's sections for a described cluster: memory, communication, time and cost, failures, layouts."""

from collections import Counter

from llm.plan import failures, flops, parameters, storage
from llm.plan.communication import communication
from llm.plan.figures import bars, curves, figure, section, table
from llm.plan.memory import memory
from llm.plan.pipeline import bubble_over_ideal, bubble_over_total
from llm.plan.request import Request
from llm.plan.search import Found
from llm.plan.setup import Setup, engine

SHOWN = 12  # layouts on the page


def named(setup: Setup) -> str:
    """`TP8 PP4x2 DP32 ZeRO1`: what differs from one rank, in Megatron-LM's words."""
    sizes = [("TP", setup.tensor), ("CP", setup.context), ("PP", setup.pipeline), ("DP", setup.data)]
    words = [
        f"{name}{size}" + f"x{setup.virtual}" * (name == "PP" and setup.virtual > 1) for name, size in sizes if size > 1
    ]
    words += ["SP"] * setup.sequence + [f"ZeRO{setup.zero}"] * (setup.zero > 0)
    words += [f"{setup.recompute} recomputation"] * (setup.recompute != "none")
    return " ".join([*words, f"micro-batch {setup.micro_batch}"])


def strategies(request: Request, chosen: Setup) -> dict[str, Setup]:
    """One layout for each kind of parallelism, over all GPUs of the cluster or of a node, to compare memory."""
    gpus, shape = request.cluster.gpus, request.shape
    node = min(gpus, request.cluster.gpus_per_node)
    tensor = max(t for t in range(1, node + 1) if gpus % t == 0 and shape.n_heads % t == 0)
    stages = max(p for p in range(1, min(gpus, 64) + 1) if gpus % p == 0 and shape.n_layers % p == 0)
    context = max(c for c in range(1, node + 1) if gpus % c == 0 and request.sequence % (2 * c) == 0 or c == 1)
    found = {"DP, whole": Setup(data=gpus)}
    if gpus > 1:
        for zero in (1, 2, 3):
            found[f"DP, ZeRO {zero}" + ", FSDP" * (zero == 3)] = Setup(data=gpus, zero=zero)
        found["FSDP, full recomputation"] = Setup(data=gpus, zero=3, recompute="full")
    if context > 1:
        found[f"FSDP with CP {context}"] = Setup(data=gpus // context, context=context, zero=3)
    if tensor > 1:
        found[f"TP {tensor}"] = Setup(data=gpus // tensor, tensor=tensor)
        found[f"TP {tensor} with SP"] = Setup(data=gpus // tensor, tensor=tensor, sequence=True)
        found[f"TP {tensor} with SP, ZeRO 1"] = Setup(data=gpus // tensor, tensor=tensor, sequence=True, zero=1)
    if stages > 1:
        found[f"PP {stages}"] = Setup(data=gpus // stages, pipeline=stages)
    return found | {"the layout planned": chosen}


def memory_section(request: Request, chosen: Found) -> dict:
    """Bytes on the fullest GPU, by strategy and part; the same with every kind of recomputation."""
    shape, cluster, sequence, batch = request.shape, request.cluster, request.sequence, request.batch
    several = strategies(request, chosen.setup)
    used = {
        name: memory(shape, setup, sequence, max(batch, setup.data), request.precision, request.fused)
        for name, setup in several.items()
    }
    parts = list(next(iter(used.values())))
    rows = [[name, *(use[part] for part in parts), sum(use.values())] for name, use in used.items()]
    recomputed = []
    for recompute in flops.RECOMPUTE:
        for fused in (False, True):
            setup = Setup(**(chosen.setup.to_dict() | {"recompute": recompute}))
            use = memory(shape, setup, sequence, batch, request.precision, fused)
            recomputed.append([recompute, "fused" if fused else "plain", use["activations"], sum(use.values())])
    whole = parameters.total(shape)
    weights, gradients, optimizer = (
        memory_of(whole, request.precision)[part] for part in ("weights", "gradients", "optimizer")
    )
    figures = [
        figure("Weights", weights, "bytes", "whole model", "Rajbhandari 2020, section 3.1"),
        figure("Gradients", gradients, "bytes", "whole model", "Rajbhandari 2020, section 3.1"),
        figure("Optimizer state", optimizer, "bytes", "master copy, m and v", "Rajbhandari 2020, section 3.1"),
        figure(
            "On a GPU, as planned",
            chosen.bytes,
            "bytes",
            named(chosen.setup),
            "Korthikanti 2022, table 2; Rajbhandari 2020",
        ),
        figure(
            "A GPU has",
            cluster.memory_gb * 1e9,
            "bytes",
            f"{cluster.gpu}, {cluster.usable_memory:.0%} of it usable",
            "catalogue",
        ),
    ]
    note = (
        f"Precision {request.precision}, micro-batch 1 where not planned otherwise, attention "
        + ("fused: no scores are kept (Dao et al. 2022)." if request.fused else "plain: scores are kept.")
        + " Activations are per layer s b h (34 + 5 a s / h) for GPT's shape, less for others; see docs/plan.md."
    )
    return section(
        "memory",
        "Memory per GPU",
        note,
        figures,
        [
            table("By strategy", ["strategy", *parts, "in all"], ["", *["bytes"] * (len(parts) + 1)], rows),
            table(
                "Recomputation, in the layout planned",
                ["recomputation", "attention", "activations", "in all"],
                ["", "", "bytes", "bytes"],
                recomputed,
            ),
        ],
        [bars("Memory per GPU by strategy", "bytes", list(used.items()), cluster.memory_gb * 1e9)],
    )


def memory_of(whole: float, precision: str) -> dict[str, float]:
    """Weights, gradients, optimizer state of the whole model."""
    from llm.plan.memory import state_bytes

    return state_bytes(whole, 0, 1, precision)


def communication_section(request: Request, chosen: Found) -> dict:
    """Bytes that a GPU sends in a step, by strategy; the pipeline's bubble in both conventions."""
    shape, setup = request.shape, chosen.setup
    several = {
        name: some
        for name, some in strategies(request, setup).items()
        if request.batch % (some.data * some.micro_batch) == 0
    }
    sent = {
        name: communication(shape, some, request.sequence, request.batch, request.precision)
        for name, some in several.items()
    }
    rows = [[name, *volumes.values(), sum(volumes.values())] for name, volumes in sent.items()]
    rounds = setup.micro_batches(request.batch)
    bubbles = [
        [
            virtual,
            bubble_over_ideal(setup.pipeline, rounds, virtual),
            bubble_over_total(setup.pipeline, rounds, virtual),
        ]
        for virtual in sorted({1, 2, 4, setup.virtual})
    ]
    planned = f"p = {setup.pipeline}, v = {setup.virtual}, m = {rounds}"
    figures = [
        figure(
            "Bubble over ideal time",
            bubble_over_ideal(setup.pipeline, rounds, setup.virtual),
            "share",
            f"(p - 1) / (v m); {planned}",
            "Narayanan 2021, section 2.2.2",
        ),
        figure(
            "Bubble over all time",
            bubble_over_total(setup.pipeline, rounds, setup.virtual),
            "share",
            "(p - 1) / (v m + p - 1)",
            "Huang 2019, section 2.3",
        ),
        *(
            figure(f"Sent by {name} ranks", volume, "bytes", "per GPU and step", source)
            for (name, volume), source in zip(
                sent["the layout planned"].items(),
                (
                    "Rajbhandari 2020, section 7",
                    "Shoeybi 2019, section 3",
                    "Narayanan 2021, section 4.1",
                    "Liu 2023",
                ),
                strict=True,
            )
        ),
    ]
    columns = ["strategy", "data", "tensor", "pipeline", "context", "in all"]
    return section(
        "communication",
        "Communication and bubble",
        "Bytes sent by one GPU in a step. Rings: an all-reduce of n bytes over r ranks sends 2 n (r - 1) / r from each "
        "(Patarasuk and Yuan 2009).",
        figures,
        [
            table("Volume by strategy", columns, ["", *["bytes"] * 5], rows),
            table(
                f"Pipeline bubble, {setup.pipeline} stages, {rounds} micro-batches",
                ["model chunks on a rank", "over ideal", "over all"],
                ["count", "share", "share"],
                bubbles,
            ),
        ],
    )


def time_section(request: Request, chosen: Found) -> dict:
    """Step time, throughput, days and cost, by the cost model and by what the config states."""
    shape, cluster = request.shape, request.cluster
    model = flops.model_flops(shape, request.sequence, request.formula, request.attention, request.logits)
    hardware = flops.hardware_flops(shape, request.sequence, chosen.setup.recompute, request.attention, request.logits)
    steps = request.tokens / request.batch_tokens
    stated = cluster.stated_tflops
    by_model = model * request.batch_tokens / cluster.gpus / chosen.step / 1e12
    rate = stated or by_model
    seconds = flops.seconds(model * request.tokens, cluster.gpus, rate)
    source = "config" if stated else "model"
    hours = seconds / 3600 * cluster.gpus
    figures = [
        figure("Step, by the cost model", chosen.step, "seconds", named(chosen.setup), "model"),
        figure("Model TFLOP/s per GPU, by the cost model", by_model, "TFLOP/s", "F / (n t)", "model"),
        figure(
            "MFU, by the cost model",
            by_model / cluster.peak_tflops,
            "share",
            "model FLOPs / peak",
            "Chowdhery 2022, appendix B",
        ),
        figure(
            "HFU, by the cost model",
            by_model * hardware / model / cluster.peak_tflops,
            "share",
            "hardware FLOPs / peak",
            "Korthikanti 2022",
        ),
        figure("TFLOP/s per GPU counted with", rate, "TFLOP/s", "stated in the config, or the cost model's", source),
        figure("Step at that rate", seconds / steps, "seconds", "F / (n X)", "Narayanan 2021, section 5.1"),
        figure("Tokens per second", request.tokens / seconds, "tokens", "D / time", source),
        figure("Days", seconds / 86400, "days", "F D / (n X), failures not counted", "Narayanan 2021, section 5.1"),
        figure(
            "Days by 8 T P / (n X)",
            flops.megatron_days(parameters.total(shape), request.tokens, cluster.gpus, rate),
            "days",
            "full recomputation, X in hardware FLOP/s",
            "Narayanan 2021, eq. 4",
        ),
        figure("GPU hours", hours, "hours", "days x 24 x GPUs", source),
        figure(
            "Cost",
            hours * cluster.price_per_gpu_hour,
            "USD",
            f"{cluster.price_per_gpu_hour:g} USD per GPU hour",
            "config",
        ),
    ]
    described = [
        ["GPU", cluster.gpu, ""],
        ["GPUs", f"{cluster.gpus:,}, {cluster.gpus_per_node} in a node", ""],
        ["peak", f"{cluster.peak_tflops:g} TFLOP/s, dense bf16", "catalogue"],
        ["memory", f"{cluster.memory_gb:g} GB at {cluster.memory_gb_s:g} GB/s", "catalogue"],
        ["links, one way", f"{cluster.intra_gb_s:g} GB/s in a node, {cluster.inter_gb_s:g} between nodes", "catalogue"],
        [
            "efficiency",
            f"{cluster.efficiency:.0%} of the peak, {cluster.link_efficiency:.0%} of the links",
            "fitted, assumed",
        ],
        ["storage", f"{cluster.storage_gb_s:g} GB/s written by all ranks", "assumed"],
        ["price", f"{cluster.price_per_gpu_hour:g} USD per GPU hour", "assumed"],
    ]
    return section(
        "time",
        "Time and cost",
        "Days and cost count with the TFLOP/s that the config states (tflops or mfu), else with the cost model's.",
        figures,
        [table("The cluster", ["what", "value", "from"], ["", "", ""], described)],
        [bars("A step, by the cost model", "seconds", [(named(chosen.setup), chosen.seconds)])],
    )


def failures_section(request: Request, chosen: Found) -> dict:
    """Failures expected, and the interval between checkpoints that loses least."""
    cluster = request.cluster
    model = flops.model_flops(request.shape, request.sequence, request.formula, request.attention, request.logits)
    by_model = model * request.batch_tokens / cluster.gpus / chosen.step / 1e12
    seconds = flops.seconds(model * request.tokens, cluster.gpus, cluster.stated_tflops or by_model)
    save = storage.checkpoint_bytes(request.shape) / (cluster.storage_gb_s * 1e9)
    between = failures.mean_time_between(cluster.gpus, cluster.gpu_hours_per_failure)
    restart = cluster.restart_minutes * 60
    young, daly = failures.young(save, between), failures.daly(save, between)
    lost = failures.lost_fraction(daly, save, restart, between)
    step = seconds / (request.tokens / request.batch_tokens)
    span = [daly * 10 ** (power / 10) for power in range(-15, 16)]
    points = [[some, failures.lost_fraction(some, save, restart, between)] for some in span]
    figures = [
        figure(
            "Failures expected", seconds / between, "count", "time / time between failures", "Dubey 2024, section 3.3.4"
        ),
        figure(
            "Time between failures",
            between / 3600,
            "hours",
            f"{cluster.gpu_hours_per_failure:,.0f} GPU hours / GPUs",
            "Dubey 2024, section 3.3.4",
        ),
        figure("A checkpoint takes", save, "seconds", "14 N / storage bandwidth, training waits", "config"),
        figure("Interval, first order", young, "seconds", "sqrt(2 save between)", "Young 1974"),
        figure(
            "Interval, higher order", daly, "seconds", "sqrt(2 s M) (1 + sqrt(s/2M)/3 + s/18M) - s", "Daly 2006, eq. 37"
        ),
        figure("In steps", daly / step, "steps", "interval / step", "shape"),
        figure(
            "Time lost at that interval",
            lost,
            "share",
            "1 - work / expected time, restarts counted",
            "Daly 2006, eq. 20",
        ),
        figure(
            "Days with failures",
            seconds / 86400 / max(1e-9, 1 - lost),
            "days",
            "days / (1 - lost)",
            "Daly 2006, eq. 20",
        ),
    ]
    return section(
        "failures",
        "Failures and the checkpoint interval",
        "Any failure stops the job; what was computed since the last checkpoint is lost. With asynchronous saves, state "
        "the storage bandwidth that training sees.",
        figures,
        [],
        [
            curves(
                "Time lost by interval",
                "seconds between checkpoints",
                "share lost",
                ("seconds", "share"),
                {"lost": points},
                [("least", daly, lost)],
                (True, False),
            )
        ],
    )


def layouts_section(request: Request, found: list[Found], fate: Counter, chosen: Found) -> dict:
    """The ranked list, and what was searched."""
    rows = [
        [
            place,
            named(entry.setup),
            entry.step,
            entry.bytes,
            flops.model_flops(request.shape, request.sequence, request.formula, request.attention, request.logits)
            * request.batch_tokens
            / entry.step
            / request.cluster.gpus
            / request.cluster.peak_tflops
            / 1e12,
            bubble_over_ideal(entry.setup.pipeline, entry.setup.micro_batches(request.batch), entry.setup.virtual),
            engine(entry.setup) or "none here",
        ]
        for place, entry in enumerate(found[:SHOWN], start=1)
    ]
    note = (
        f"{fate['looked_at']:,} layouts looked at, {fate['constraint']:,} against a constraint, {fate['memory']:,} too "
        f"large for the memory, {len(found):,} ranked. Constraints: tensor ranks stay in a node and divide the heads, "
        "stages divide the layers, data ranks and micro-batches divide the batch."
    )
    if not found:
        note += " NOTHING FITS: more GPUs, a smaller micro-batch or more memory is needed; the plan counts with the layout of least memory."
    columns = ["", "layout", "step", "memory per GPU", "MFU", "bubble over ideal", "engine"]
    return section(
        "layouts",
        "The best layouts",
        note,
        [figure("Planned with", named(chosen.setup), "", "stated in the config, or the best found", "model")],
        [table("Ranked by step time", columns, ["count", "", "seconds", "bytes", "share", "share", ""], rows)],
        [
            bars(
                "A step by layout",
                "seconds",
                [(f"{place}. {named(e.setup)}", e.seconds) for place, e in enumerate(found[:8], 1)],
            )
        ],
    )
