"""Builds the plan's sections about time on a described cluster: days, money, failures and the checkpoint interval."""

from llm.model.counts import active
from llm.plan import failures, flops, storage
from llm.plan.figures import bars, curves, figure, section, table
from llm.plan.limits import limits_table
from llm.plan.request import Request
from llm.plan.search import Found
from llm.plan.setup import Setup

AT_RATE = ["", "seconds", "days", "hours", "USD"]


def named(setup: Setup) -> str:
    """Return a layout's name in Megatron-LM's words, sizes of 1 left out: `TP8 PP4x2 DP32 SP ZeRO1 micro-batch 1`."""
    sizes = {"TP": setup.tensor, "CP": setup.context, "PP": setup.pipeline, "DP": setup.data, "EP": setup.expert}
    chunks = {"PP": f"x{setup.virtual}"} if setup.virtual > 1 else {}
    words = [f"{name}{size}{chunks.get(name, '')}" for name, size in sizes.items() if size > 1]
    words += ["SP"] * setup.sequence + [f"ZeRO{setup.zero}"] * (setup.zero > 0)
    words += [f"{setup.recompute} recomputation"] * (setup.recompute != "none")
    return " ".join([*words, f"micro-batch {setup.micro_batch}"])


def per_token(request: Request) -> float:
    """Return the model FLOPs per token in the convention that the request asks for."""
    return flops.model_flops(request.shape, request.sequence, request.formula, request.attention, request.logits)


def repeats(request: Request, recompute: str) -> float:
    """Return hardware FLOPs over model FLOPs, in the convention that the request asks for."""
    terms = (request.attention, request.logits, request.formula)
    return flops.hardware_flops(request.shape, request.sequence, recompute, *terms) / per_token(request)


def tflops_by_model(request: Request, found: Found) -> float:
    """Return the model TFLOP/s per GPU at the cost model's step time."""
    return per_token(request) * request.batch_tokens / request.cluster.gpus / found.step / 1e12


def recompute_counted(request: Request) -> str:
    """Return the recomputation that the config's stated TFLOP/s count beside model FLOPs.

    "none" if they count model FLOPs; for hardware FLOPs the recomputation of the stated layout, else "full", as in
    Megatron-LM's equations.
    """
    if request.cluster.tflops_count == "model":
        return "none"
    stated = request.setup.recompute if request.setup else "none"
    return "full" if stated == "none" else stated


def rate_of(request: Request, found: Found) -> tuple[float, str]:
    """Return the model TFLOP/s per GPU that days and cost are computed with, and their source: "config" or "model"."""
    cluster = request.cluster
    if cluster.tokens_per_second:
        return per_token(request) * cluster.tokens_per_second / cluster.gpus / 1e12, "config"
    if cluster.stated_tflops:
        return cluster.stated_tflops / repeats(request, recompute_counted(request)), "config"
    return tflops_by_model(request, found), "model"


def run_seconds(request: Request, found: Found) -> float:
    """Return the seconds of a training without failures, at the config's stated rate, else at the cost model's."""
    return flops.seconds(per_token(request) * request.tokens, request.cluster.gpus, rate_of(request, found)[0])


def time_section(request: Request, chosen: Found) -> dict:
    """Build the section of step time, throughput, days and cost, by the cost model and by the config's stated rate."""
    cluster, again = request.cluster, repeats(request, chosen.setup.recompute)
    by_model = tflops_by_model(request, chosen)
    mfu = by_model / cluster.peak_tflops
    rate, source = rate_of(request, chosen)
    seconds = run_seconds(request, chosen)
    steps, hours = request.tokens / request.batch_tokens, seconds / 3600 * cluster.gpus
    price = f"{cluster.price_per_gpu_hour:g} USD per GPU hour"
    paper, counted = "Narayanan 2021, section 5.1", recompute_counted(request)
    figures = [
        figure("Step", seconds / steps, "seconds", "F / (n X)", paper),
        figure("Tokens per second", request.tokens / seconds, "tokens", "D / time", source),
        figure("Days", seconds / 86400, "days", "F D / (n X), failures not counted", paper),
        figure("GPU hours", hours, "hours", "days x 24 x GPUs", source),
        figure("Cost", hours * cluster.price_per_gpu_hour, "USD", price, "config"),
        figure("Model TFLOP/s per GPU counted with", rate, "TFLOP/s", rate_told(request), source),
        figure("MFU at that rate", rate / cluster.peak_tflops, "share", "X / bf16 peak", "Chowdhery 2022, appendix B"),
        figure("Step, by the cost model", chosen.step, "seconds", named(chosen.setup), "model"),
        figure("Model TFLOP/s per GPU, by the cost model", by_model, "TFLOP/s", "F / (n t)", "model"),
        figure("MFU, by the cost model", mfu, "share", "model FLOPs / bf16 peak", "Chowdhery 2022, appendix B"),
        figure("HFU, by the cost model", mfu * again, "share", "hardware FLOPs / bf16 peak", "Korthikanti 2022"),
    ]
    if counted == "full" and cluster.stated_tflops:
        by_eight = flops.megatron_days(active(request.shape), request.tokens, cluster.gpus, cluster.stated_tflops)
        figures.append(
            figure("Days by 8 T P / (n X)", by_eight, "days", "X in hardware FLOP/s", "Narayanan 2021, eq. 4")
        )
    return section(
        "time",
        "Time and cost",
        "Step, days and cost count with the rate that the config states (tokens_per_second, or tflops or mfu of "
        "tflops_count model or hardware), else with the cost model's, whose limits stand below.",
        figures,
        [*at_stated_rate(request), described(request), limits_table(request, chosen)],
        [bars("A step, by the cost model", "seconds", [(name, {name: part}) for name, part in chosen.seconds.items()])],
    )


def rate_told(request: Request) -> str:
    """Explain in one phrase how the rate was derived from what the config states."""
    cluster = request.cluster
    if cluster.tokens_per_second:
        return f"F x {cluster.tokens_per_second:,.10g} tokens/s / n"
    if not cluster.stated_tflops:
        return "the cost model's"
    told = f"{cluster.stated_tflops:g} TFLOP/s of {cluster.tflops_count} FLOPs"
    counted = recompute_counted(request)
    return told + (f", {counted} recomputation counted" if counted != "none" else "")


def at_stated_rate(request: Request) -> list[dict]:
    """Tabulate step, days and cost for each meaning that a stated TFLOP/s may have; empty if none is stated."""
    cluster, stated = request.cluster, request.cluster.stated_tflops
    if not stated:
        return []
    rows, chosen = [], recompute_counted(request)
    for recompute in flops.RECOMPUTE:
        more = repeats(request, recompute)
        seconds = flops.seconds(per_token(request) * more * request.tokens, cluster.gpus, stated)
        hours = seconds / 3600 * cluster.gpus
        name = "model FLOPs" if recompute == "none" else f"hardware FLOPs, {recompute} recomputation"
        step = seconds / request.tokens * request.batch_tokens
        told = name + (" (counts here)" if recompute == chosen else "")
        rows.append([told, step, seconds / 86400, hours, hours * cluster.price_per_gpu_hour])
    columns = ["what it counts", "step", "days", "GPU hours", "cost"]
    return [table(f"At {stated:g} TFLOP/s, by what it counts", columns, AT_RATE, rows)]


def described(request: Request) -> dict:
    """Tabulate the cluster's figures and their sources."""
    cluster = request.cluster
    peak = f"{cluster.peak_tflops:g} TFLOP/s, dense bf16"
    rows = [
        ["GPU", cluster.gpu, "config"],
        ["GPUs", f"{cluster.gpus:,}, {cluster.gpus_per_node} in a node", "config"],
        ["peak", peak + (f"; {cluster.fp8_tflops:g} in fp8" if cluster.fp8_tflops else ""), "catalogue"],
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
    return table("The cluster", ["what", "value", "from"], ["", "", ""], rows)


def failures_section(request: Request, chosen: Found) -> dict:
    """Build the section of expected failures and of the checkpoint interval that loses the least time."""
    cluster, seconds = request.cluster, run_seconds(request, chosen)
    save = storage.checkpoint_bytes(request.shape) / (cluster.storage_gb_s * 1e9)
    between = failures.mean_time_between(cluster.gpus, cluster.gpu_hours_per_failure)
    restart = cluster.restart_minutes * 60
    young, daly = failures.young(save, between), failures.daly(save, between)
    lost = failures.lost_fraction(daly, save, restart, between)
    step = seconds / (request.tokens / request.batch_tokens)
    points = [
        [some, failures.lost_fraction(some, save, restart, between)]
        for some in (daly * 10 ** (power / 10) for power in range(-15, 16))
    ]
    told = f"{cluster.gpu_hours_per_failure:,.0f} GPU hours / GPUs"
    higher = "sqrt(2 s M) (1 + sqrt(s/2M)/3 + s/18M) - s"
    days, llama = seconds / 86400, "Dubey 2024, section 3.3.4"
    figures = [
        figure("Failures expected", seconds / between, "count", "time / time between failures", llama),
        figure("Time between failures", between, "seconds", told, llama),
        figure("A checkpoint takes", save, "seconds", "14 N / storage bandwidth, training waits", "config"),
        figure("Interval, first order", young, "seconds", "sqrt(2 s M)", "Young 1974"),
        figure("Interval, higher order", daly, "seconds", higher, "Daly 2006, eq. 37"),
        figure("In steps", daly / step, "steps", "interval / step", "shape"),
        figure("Time lost at that interval", lost, "share", "1 - work / time, restarts counted", "Daly 2006, eq. 20"),
        figure("Days with failures", days / max(1e-9, 1 - lost), "days", "days / (1 - lost)", "Daly 2006, eq. 20"),
    ]
    mark = ("least", daly, lost)
    axes = ("seconds between checkpoints", "share lost", ("seconds", "share"))
    return section(
        "failures",
        "Failures and the checkpoint interval",
        "Any failure stops the job; what was computed since the last checkpoint is lost. s: seconds to save; M: "
        "between failures. With asynchronous saves, state the storage bandwidth that training sees.",
        figures,
        [],
        [curves("Time lost by interval", *axes, {"lost": points}, [mark], (True, False))],
    )
