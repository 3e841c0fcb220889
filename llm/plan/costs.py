"""The plan's sections about time on a described cluster: days, money, failures, the checkpoint interval."""

from llm.plan import failures, flops, parameters, storage
from llm.plan.figures import bars, curves, figure, section, table
from llm.plan.request import Request
from llm.plan.search import Found
from llm.plan.setup import Setup

AT_RATE = ["", "seconds", "days", "hours", "USD"]


def named(setup: Setup) -> str:
    """`TP8 PP4x2 DP32 SP ZeRO1 micro-batch 1`: what is not one rank, in Megatron-LM's words."""
    sizes = {"TP": setup.tensor, "CP": setup.context, "PP": setup.pipeline, "DP": setup.data}
    chunks = {"PP": f"x{setup.virtual}"} if setup.virtual > 1 else {}
    words = [f"{name}{size}{chunks.get(name, '')}" for name, size in sizes.items() if size > 1]
    words += ["SP"] * setup.sequence + [f"ZeRO{setup.zero}"] * (setup.zero > 0)
    words += [f"{setup.recompute} recomputation"] * (setup.recompute != "none")
    return " ".join([*words, f"micro-batch {setup.micro_batch}"])


def per_token(request: Request) -> float:
    """Model FLOPs per token in the convention asked for."""
    return flops.model_flops(request.shape, request.sequence, request.formula, request.attention, request.logits)


def repeats(request: Request, recompute: str) -> float:
    """Hardware FLOPs over model FLOPs, both of the matmul formula."""
    terms = (request.attention, request.logits)
    once = flops.hardware_flops(request.shape, request.sequence, "none", *terms)
    return flops.hardware_flops(request.shape, request.sequence, recompute, *terms) / once


def tflops_by_model(request: Request, found: Found) -> float:
    """Model TFLOP/s per GPU at the step time that the cost model gives."""
    return per_token(request) * request.batch_tokens / request.cluster.gpus / found.step / 1e12


def run_seconds(request: Request, found: Found) -> float:
    """Seconds of the training without failures, at the TFLOP/s that the config states, else the cost model's."""
    rate = request.cluster.stated_tflops or tflops_by_model(request, found)
    return flops.seconds(per_token(request) * request.tokens, request.cluster.gpus, rate)


def time_section(request: Request, chosen: Found) -> dict:
    """Step time, throughput, days and cost, by the cost model and by what the config states."""
    shape, cluster, again = request.shape, request.cluster, repeats(request, chosen.setup.recompute)
    by_model = tflops_by_model(request, chosen)
    mfu = by_model / cluster.peak_tflops
    rate, source = cluster.stated_tflops or by_model, "config" if cluster.stated_tflops else "model"
    seconds = run_seconds(request, chosen)
    steps, hours = request.tokens / request.batch_tokens, seconds / 3600 * cluster.gpus
    price = f"{cluster.price_per_gpu_hour:g} USD per GPU hour"
    by_eight = flops.megatron_days(parameters.total(shape), request.tokens, cluster.gpus, rate * again)
    paper = "Narayanan 2021, section 5.1"
    figures = [
        figure("Step, by the cost model", chosen.step, "seconds", named(chosen.setup), "model"),
        figure("Model TFLOP/s per GPU, by the cost model", by_model, "TFLOP/s", "F / (n t)", "model"),
        figure("MFU, by the cost model", mfu, "share", "model FLOPs / peak", "Chowdhery 2022, appendix B"),
        figure("HFU, by the cost model", mfu * again, "share", "hardware FLOPs / peak", "Korthikanti 2022"),
        figure("TFLOP/s per GPU counted with", rate, "TFLOP/s", "the config's, or the cost model's", source),
        figure("Step at that rate", seconds / steps, "seconds", "F / (n X)", paper),
        figure("Tokens per second", request.tokens / seconds, "tokens", "D / time", source),
        figure("Days", seconds / 86400, "days", "F D / (n X), failures not counted", paper),
        figure("Days by 8 T P / (n X)", by_eight, "days", "X in hardware FLOP/s", "Narayanan 2021, eq. 4"),
        figure("GPU hours", hours, "hours", "days x 24 x GPUs", source),
        figure("Cost", hours * cluster.price_per_gpu_hour, "USD", price, "config"),
    ]
    counted = {"model FLOPs": 1.0}
    counted |= {f"hardware FLOPs, {name} recomputation": repeats(request, name) for name in ("selective", "full")}
    at_rate = [
        [name, seconds / steps * more, seconds / 86400 * more, hours * more, hours * more * cluster.price_per_gpu_hour]
        for name, more in counted.items()
    ]
    links = f"{cluster.intra_gb_s:g} GB/s in a node, {cluster.inter_gb_s:g} between nodes"
    reached = f"{cluster.efficiency:.0%} of the peak, {cluster.link_efficiency:.0%} of the links"
    described = [
        ["GPU", cluster.gpu, ""],
        ["GPUs", f"{cluster.gpus:,}, {cluster.gpus_per_node} in a node", ""],
        ["peak", f"{cluster.peak_tflops:g} TFLOP/s, dense bf16", "catalogue"],
        ["memory", f"{cluster.memory_gb:g} GB at {cluster.memory_gb_s:g} GB/s", "catalogue"],
        ["links, one way", links, "catalogue"],
        ["efficiency", reached, "fitted, assumed"],
        ["storage", f"{cluster.storage_gb_s:g} GB/s written by all ranks", "assumed"],
        ["price", price, "assumed"],
    ]
    return section(
        "time",
        "Time and cost",
        "Days and cost count with the TFLOP/s that the config states (tflops or mfu), else with the cost model's, as "
        "model FLOPs; Megatron-LM's papers state hardware FLOPs with full recomputation: then the table's row counts.",
        figures,
        [
            table("At that rate, if it counts", ["", "step", "days", "GPU hours", "cost"], AT_RATE, at_rate),
            table("The cluster", ["what", "value", "from"], ["", "", ""], described),
        ],
        [bars("A step, by the cost model", "seconds", [(name, {name: part}) for name, part in chosen.seconds.items()])],
    )


def failures_section(request: Request, chosen: Found) -> dict:
    """Failures expected, and the interval between checkpoints that loses least."""
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
