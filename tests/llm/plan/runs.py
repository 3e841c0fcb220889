"""Published runs: times from a given TFLOP/s, utilisation from a given speed, and how far the cost model is off them.

Rows as in published.py. `hardware`: FLOPs of full recomputation are counted, as Megatron-LM's papers do; `model`: none.
"""

from llm.model import counts
from llm.model.shape import Shape
from llm.plan import flops
from llm.plan.cluster import Cluster
from llm.plan.flops import hardware_flops, model_flops, seconds
from llm.plan.pipeline import bubble_over_ideal
from llm.plan.setup import Setup
from llm.plan.step import step_seconds
from tests.llm.plan.mixtures import DEEPSEEK_V3
from tests.llm.plan.models import LLAMA, MEGATRON, MEGATRON_22B, MEGATRON_175B, PALM, foundry, opt
from tests.llm.plan.published import Row

MEGATRON_530B, MEGATRON_1T = MEGATRON["Megatron 529.6B"], MEGATRON["Megatron 1008B"]
TABLE2 = "Narayanan 2021, table 2: days for 300 B tokens, hardware"
KORTHIKANTI = "Korthikanti 2022, table 5, selective recomputation, A100"
DAY = 86400


def utilisation(flops_per_token: float, tokens_per_second: float, gpus: int, peak_tflops: float) -> float:
    """MFU (of model FLOPs) or HFU (of hardware FLOPs): achieved over peak (Chowdhery et al. 2022, appendix B)."""
    return flops_per_token * tokens_per_second / (gpus * peak_tflops * 1e12)


def days(name: str, shape: Shape, gpus: int, tflops: int, published: int) -> Row:
    """1%, and half a TFLOP/s, which is as well as the paper states it."""
    computed = seconds(hardware_flops(shape, 2048, "full") * 300e9, gpus, tflops) / DAY
    return Row(name, f"days, {gpus:,} GPUs at {tflops} TFLOP/s", published, computed, 0.01 + 0.5 / tflops, TABLE2, 1)


def iteration(name: str, shape: Shape, batch: int, gpus: int, tflops: int, published: float, source: str) -> Row:
    computed = seconds(hardware_flops(shape, 2048, "full") * batch * 2048, gpus, tflops)
    return Row(name, f"seconds a step, {gpus:,} GPUs at {tflops} TFLOP/s", published, computed, 0.01, source)


def achieved(name: str, shape: Shape, gpus: int, batch: int, step: float, mfu: float, hfu: float) -> list[Row]:
    """Both utilisations of Korthikanti et al. from the time of a step."""
    speed = batch * 2048 / step
    counted = {"MFU, %": model_flops(shape, 2048), "HFU, %": hardware_flops(shape, 2048, "selective")}
    return [
        Row(name, what, published, 100 * utilisation(each, speed, gpus, 312), 0.01, KORTHIKANTI, 0.1)
        for (what, each), published in zip(counted.items(), (mfu, hfu), strict=True)
    ]


def mpt(name: str, shape: Shape, sequence: int, gpus: int, speed: int, mfu: float) -> Row:
    each = model_flops(shape, sequence, "palm")
    value = 100 * utilisation(each, speed, gpus, 989.5)
    return Row(f"MPT {name}", f"MFU, %, {sequence:,} tokens, {gpus} GPUs", mfu, value, 0.01, "llm-foundry's benchmarks")


def pathways(name: str, each: float, speed: float, gpus: int, peak: int, published: float, what: str) -> Row:
    value = 100 * utilisation(each, speed, gpus, peak)
    return Row(name, f"MFU, %, {what}", published, value, 0.01, "Chowdhery 2022, section 4.1, appendix B", 0.1)


SMITH = "Smith 2022 (MT-NLG), hardware"
PALM_540B, GPT3_OPT = PALM["PaLM 540B"], opt(12288, 96, 96)
TIMES = [
    Row(
        "GPT-3 175B",
        "days by 8TP/nX, 300 B tokens",
        34,
        flops.megatron_days(175e9, 300e9, 1024, 140),
        0.01,
        "Narayanan 2021, section 5.1",
    ),
    Row(
        "Megatron 1008B",
        "days by 8TP/nX, 450 B tokens",
        84,
        flops.megatron_days(counts.total(MEGATRON_1T), 450e9, 3072, 163),
        0.01,
        "Narayanan 2021, section 5.1",
    ),
    days("GPT-3 175B, PTD", MEGATRON_175B, 384, 153, 84),
    days("GPT-3 175B, PTD", MEGATRON_175B, 768, 149, 43),
    days("GPT-3 175B, PTD", MEGATRON_175B, 1536, 141, 23),
    days("GPT-3 175B, ZeRO 3", MEGATRON_175B, 384, 144, 90),
    days("GPT-3 175B, ZeRO 3", MEGATRON_175B, 768, 88, 74),
    days("GPT-3 175B, ZeRO 3", MEGATRON_175B, 1536, 44, 74),
    days("Megatron 529.6B, PTD", MEGATRON_530B, 560, 171, 156),
    days("Megatron 529.6B, PTD", MEGATRON_530B, 1120, 167, 80),
    days("Megatron 529.6B, PTD", MEGATRON_530B, 2240, 159, 42),
    days("Megatron 529.6B, ZeRO 3", MEGATRON_530B, 640, 138, 169),
    days("Megatron 529.6B, ZeRO 3", MEGATRON_530B, 1120, 98, 137),
    days("Megatron 529.6B, ZeRO 3", MEGATRON_530B, 2240, 48, 140),
    iteration("MT-NLG 530B", MEGATRON_530B, 1920, 2240, 126, 60.1, SMITH),
    iteration("MT-NLG 530B", MEGATRON_530B, 1920, 2800, 121, 50.2, SMITH),
    iteration("MT-NLG 530B", MEGATRON_530B, 1920, 3360, 113, 44.4, SMITH),
    Row(
        "OPT 175B",
        "GPU hours, 300 B tokens at 147 TFLOP/s",
        809472,
        seconds(hardware_flops(GPT3_OPT, 2048) * 300e9, 1, 147) / 3600,
        0.01,
        "Touvron 2023, table 15; Zhang 2022, hardware",
    ),
]
UTILISATION = [
    *achieved("Megatron 22B", MEGATRON_22B, 8, 4, 1.10, 41.5, 43.7),
    *achieved("Megatron 175B", MEGATRON_175B, 64, 64, 13.75, 51.4, 52.8),
    *achieved("Megatron 530B", MEGATRON_530B, 280, 280, 37.83, 56.0, 57.0),
    *achieved("Megatron 1T", MEGATRON_1T, 512, 512, 71.49, 56.3, 57.0),
    pathways("PaLM 540B", model_flops(PALM_540B, 2048, "palm"), 238.3e3, 6144, 275, 46.2, "with attention"),
    pathways("PaLM 540B", model_flops(PALM_540B, 2048, "6n"), 238.3e3, 6144, 275, 45.7, "without attention"),
    pathways("MT-NLG 530B", model_flops(MEGATRON_530B, 2048, "palm"), 65.43e3, 2240, 312, 30.2, "with attention"),
    pathways("MT-NLG 530B", model_flops(MEGATRON_530B, 2048, "6n"), 65.43e3, 2240, 312, 29.7, "without attention"),
    Row("Llama 3 405B", "MFU, %, 8,192 GPUs at 430 TFLOP/s", 43, 100 * 430 / 989.4, 0.01, "Dubey 2024, table 4", 1),
    Row(
        "Llama 3 405B",
        "MFU, %, 16,384 GPUs at 380 TFLOP/s, CP 16",
        38,
        100 * 380 / 989.4,
        0.01,
        "Dubey 2024, table 4",
        1,
    ),
    mpt("70B", foundry(8192, 80, 64, 2048), 2048, 64, 66523, 42.57),
    mpt("70B", foundry(8192, 80, 64, 2048), 2048, 32, 28242, 36.15),
    mpt("30B", foundry(7168, 48, 56, 2048), 2048, 32, 73860, 43.92),
    mpt("30B", foundry(7168, 48, 56, 8192), 8192, 8, 11072, 29.92),
    mpt("13B", foundry(5120, 40, 40, 2048), 2048, 64, 307209, 39.86),
    mpt("7B", foundry(4096, 32, 32, 2048), 2048, 8, 85144, 46.44),
    mpt("7B", foundry(4096, 32, 32, 65536), 65536, 8, 15654, 28.59),
    mpt("3B", foundry(2560, 32, 20, 512), 512, 8, 223721, 46.32),
    mpt("1B", foundry(2048, 24, 16, 2048), 2048, 8, 363645, 41.82),
]
# Rajbhandari 2020, table 1: GB by data ranks, for 7.5 B, 128 B, 1 T parameters: ZeRO 1, 2, 3.
ZERO = {
    1: ((120, 120, 120), (2048, 2048, 2048), (16000, 16000, 16000)),
    4: ((52.5, 41.3, 30), (896, 704, 512), (7000, 5500, 4000)),
    16: ((35.6, 21.6, 7.5), (608, 368, 128), (4750, 2875, 1000)),
    64: ((31.4, 16.6, 1.88), (536, 284, 32), (4187, 2218, 250)),
    256: ((30.4, 15.4, 0.47), (518, 263, 8), (4046, 2054, 62.5)),
    1024: ((30.1, 15.1, 0.12), (513, 257, 2), (4011, 2013, 15.6)),
}
# Narayanan 2021, table 1: tensor, pipeline, GPUs, batch, TFLOP/s (full recomputation, micro-batch 1, hardware FLOPs).
WEAK_SCALING = (
    (1, 1, 32, 512, 137),
    (2, 1, 64, 512, 138),
    (4, 1, 128, 512, 142),
    (8, 1, 256, 1024, 135),
    (8, 2, 512, 1536, 138),
    (8, 4, 1024, 1792, 140),
    (8, 8, 1536, 2304, 148),
    (8, 16, 1920, 2160, 155),
    (8, 35, 2520, 2520, 163),
    (8, 64, 3072, 3072, 163),
)


def modelled(
    name: str, shape: Shape, setup: Setup, gpu: str, sequence: int, batch: int, step: float, source: str
) -> Row:
    """The cost model's step beside a published one; attention fused but in Megatron-LM's papers."""
    cluster = Cluster.from_section({"gpu": gpu, "gpus": setup.world})
    plain = source.startswith(("Narayanan", "Korthikanti"))
    computed = sum(step_seconds(shape, setup, cluster, sequence, batch, "mixed", not plain).values())
    return Row(name, f"seconds a step, {setup.world:,} {gpu}", step, computed, 0.11, source)


def weak_scaling(name: str, shape: Shape, tensor: int, pipeline: int, gpus: int, batch: int, tflops: int) -> Row:
    setup = Setup(gpus // tensor // pipeline, tensor, pipeline, recompute="full")
    step = seconds(hardware_flops(shape, 2048, "full") * batch * 2048, gpus, tflops)
    return modelled(name, shape, setup, "a100-80gb", 2048, batch, step, "Narayanan 2021, table 1")


def korthikanti(
    name: str, shape: Shape, pipeline: int, virtual: int, batch: int, micro: int, full: float, selective: float
):
    for recompute, step in (("full", full), ("selective", selective)):
        setup = Setup(1, 8, pipeline, virtual, 1, recompute == "selective", micro, 0, recompute)
        told = f"Korthikanti 2022, table 5, {recompute} recomputation"
        yield modelled(name, shape, setup, "a100-80gb", 2048, batch, step, told)


def llama3(data: int, context: int, sequence: int, batch: int, tflops: int) -> Row:
    shape = LLAMA["Llama 3 405B"]
    setup = Setup(data, 8, 16, 8, context, True, 1, 1)
    step = seconds(model_flops(shape, sequence, attention="causal") * batch * sequence, setup.world, tflops)
    return modelled(
        f"Llama 3 405B, CP {context}", shape, setup, "h100-80gb", sequence, batch, step, "Dubey 2024, table 4"
    )


FOUNDRY = {
    "125M": (768, 12, 12),
    "350M": (1024, 24, 16),
    "760M": (1536, 24, 12),
    "1B": (2048, 24, 16),
    "3B": (2560, 32, 20),
    "7B": (4096, 32, 32),
    "13B": (5120, 40, 40),
    "30B": (7168, 48, 56),
    "70B": (8192, 80, 64),
}
# llm-foundry's benchmarks: model, GPUs, micro-batch, rounds, tokens/s, recomputation, tokens of a sequence.
ON_H100 = (
    ("70B", 64, 8, 4, 66523, "full", 2048),
    ("70B", 32, 2, 16, 28242, "full", 2048),
    ("30B", 32, 14, 3, 73860, "full", 2048),
    ("13B", 64, 2, 1, 307209, "none", 2048),
    ("7B", 8, 6, 1, 85144, "none", 2048),
    ("1B", 8, 14, 1, 363645, "none", 2048),
)
ON_A100 = (
    ("125M", 8, 40, 2, 1142641, "none", 2048),
    ("350M", 8, 32, 2, 470263, "none", 2048),
    ("760M", 8, 24, 2, 259472, "none", 2048),
    ("1B", 8, 14, 4, 164109, "none", 2048),
    ("1B", 8, 3, 4, 110516, "none", 8192),
    ("3B", 8, 10, 2, 86491, "none", 2048),
    ("7B", 8, 6, 2, 37130, "none", 2048),
    ("7B", 8, 2, 2, 13382, "full", 32768),
    ("13B", 8, 2, 3, 18097, "none", 2048),
    ("30B", 8, 3, 21, 7330, "full", 2048),
    ("70B", 64, 8, 4, 26274, "full", 2048),
    ("70B", 32, 2, 16, 11962, "full", 2048),
)


def fsdp(gpu: str, name: str, gpus: int, micro: int, rounds: int, speed: int, recompute: str, sequence: int) -> Row:
    setup = Setup(gpus, micro_batch=micro, zero=3, recompute=recompute)
    batch = gpus * micro * rounds
    shape, step = foundry(*FOUNDRY[name], sequence), batch * sequence / speed
    return modelled(
        f"MPT {name}, {sequence:,} tokens", shape, setup, gpu, sequence, batch, step, "llm-foundry's benchmarks"
    )


COST_MODEL = [
    *(weak_scaling(name, shape, *row) for (name, shape), row in zip(MEGATRON.items(), WEAK_SCALING, strict=True)),
    *korthikanti("Megatron 22B", MEGATRON_22B, 1, 1, 4, 4, 1.42, 1.10),
    *korthikanti("Megatron 175B", MEGATRON_175B, 8, 3, 64, 1, 18.13, 13.75),
    *korthikanti("Megatron 530B", MEGATRON_530B, 35, 3, 280, 1, 49.05, 37.83),
    *korthikanti("Megatron 1T", MEGATRON_1T, 64, 1, 512, 1, 94.42, 71.49),
    llama3(64, 1, 8192, 2048, 430),
    llama3(128, 1, 8192, 2048, 400),
    llama3(8, 16, 131072, 128, 380),
    *(fsdp("h100-80gb", *row) for row in ON_H100),
    *(fsdp("a100-80gb", *row) for row in ON_A100),
]
DEEPSEEK_LAYOUT = Setup(128, pipeline=16, zero=1, expert=64)


def deepseek(part_of_experts: str, without: tuple = ()) -> Row:
    """DeepSeek-V3's own layout, 61 layers on 16 stages; its run hides the all-to-alls, the cost model does not."""
    cluster = Cluster.from_section({"gpu": "h800-80gb", "gpus": 2048})
    parts = step_seconds(DEEPSEEK_V3, DEEPSEEK_LAYOUT, cluster, 4096, 15360, "fp8")
    hidden = sum(parts[name] for name in without) * (1 + bubble_over_ideal(16, 120))
    told = "Zhao 2025 (Insights into DeepSeek-V3), table 4"
    quantity = f"seconds a step, 2,048 h800-80gb, {part_of_experts}"
    return Row("DeepSeek-V3", quantity, 19.926, sum(parts.values()) - hidden, 0.0, told)


# Where it fails: its rings are faster than DeepSpeed's were over many nodes in 2021 (Narayanan 2021, table 2).
OUTSIDE = [
    modelled(
        "GPT-3 175B, ZeRO 3",
        MEGATRON_175B,
        Setup(gpus, micro_batch=micro, zero=3, recompute="full"),
        "a100-80gb",
        2048,
        1536,
        seconds(hardware_flops(MEGATRON_175B, 2048, "full") * 1536 * 2048, gpus, tflops),
        "Narayanan 2021, table 2",
    )
    for gpus, micro, tflops in ((384, 4, 144), (768, 2, 88), (1536, 1, 44))
]
MIXED = [deepseek("all-to-alls exposed"), deepseek("all-to-alls hidden", ("expert",))]
