"""Published figures beside the planner's, one row each: what, published, computed, how far they may be apart.

Every row names its source and its convention. Where the figure is published in few digits, half of the last one is
allowed too (67B is 66.5 to 67.5). Rows that the author did not remember exactly are not here.
"""

from dataclasses import dataclass, replace

from llm.model import counts
from llm.model.shape import Shape
from llm.plan import flops, storage
from tests.llm.plan.models import GPT3, LLAMA, MEGATRON, PALM, bloom, falcon, foundry, gopher, gpt2, mpt, neox, opt


@dataclass(frozen=True)
class Row:
    """tolerance: relative. digit: the value of the last digit published, in the unit of `published`."""

    model: str
    quantity: str
    published: float
    computed: float
    tolerance: float
    source: str
    digit: float = 0.0

    @property
    def error(self) -> float:
        return self.computed / self.published - 1

    @property
    def holds(self) -> bool:
        return abs(self.computed - self.published) <= max(self.tolerance * self.published, self.digit / 2 * 1.0001)


def size(model: str, shape: Shape, published: float, source: str, digit: float = 0.0, tolerance=0.005) -> Row:
    return Row(model, "parameters", published, counts.total(shape), tolerance, source, digit)


def exact(model: str, shape: Shape, published: int, source: str) -> Row:
    return size(model, shape, published, f"{source}, exact", tolerance=0.0)


D1 = "Brown 2020, table D.1"
CARD = "the released weights"
GPT3_MILLIONS = (125, 356, 760, 1320, 2650, 6660, 12850, 174600)
GPT3_FLOPS = (2.25e20, 6.41e20, 1.37e21, 2.38e21, 4.77e21, 1.20e22, 2.31e22, 3.14e23)
MEGATRON_BILLIONS = (1.7, 3.6, 7.5, 18.4, 39.1, 76.1, 145.6, 310.1, 529.6, 1008.0)
LLAMA_EXACT = (
    6_738_415_616,
    13_015_864_320,
    32_528_943_616,
    65_285_660_672,
    68_976_648_192,
    8_030_261_248,
    70_553_706_496,
    405_853_388_800,
    1_235_814_400,
    3_212_749_824,
)
PYTHIA = (  # Biderman et al. 2023, table 1: layers, width, heads, vocabulary, all, without embeddings
    ("70M", 6, 512, 8, 50304, 70_426_624, 18_915_328),
    ("160M", 12, 768, 12, 50304, 162_322_944, 85_056_000),
    ("410M", 24, 1024, 16, 50304, 405_334_016, 302_311_424),
    ("1B", 16, 2048, 8, 50304, 1_011_781_632, 805_736_448),
    ("1.4B", 24, 2048, 16, 50304, 1_414_647_808, 1_208_602_624),
    ("2.8B", 32, 2560, 32, 50304, 2_775_208_960, 2_517_652_480),
    ("6.9B", 32, 4096, 32, 50432, 6_857_302_016, 6_444_163_072),
    ("12B", 36, 5120, 40, 50688, 11_846_072_320, 11_327_027_200),
)
PARAMETERS = [
    *(size(m, s, n * 1e6, D1, 1e6) for (m, s), n in zip(GPT3.items(), GPT3_MILLIONS, strict=True)),
    *(
        size(m, s, n * 1e9, "Narayanan 2021, table 1", 1e8)
        for (m, s), n in zip(MEGATRON.items(), MEGATRON_BILLIONS, strict=True)
    ),
    *(exact(m, s, n, CARD) for (m, s), n in zip(LLAMA.items(), LLAMA_EXACT, strict=True)),
    *(
        size(m, s, n, "Chowdhery 2022, table 1", 1e7)
        for (m, s), n in zip(PALM.items(), (8.63e9, 62.50e9, 540.35e9), strict=True)
    ),
    exact("GPT-2", gpt2(768, 12, 12), 124_439_808, CARD),
    exact("GPT-2 medium", gpt2(1024, 24, 16), 354_823_168, CARD),
    exact("GPT-2 large", gpt2(1280, 36, 20), 774_030_080, CARD),
    exact("GPT-2 XL", gpt2(1600, 48, 25), 1_557_611_200, CARD),
    exact("BLOOM 560M", bloom(1024, 24, 16), 559_214_592, CARD),
    exact("BLOOM 7.1B", bloom(4096, 30, 32), 7_069_016_064, CARD),
    exact("BLOOM 176B", bloom(14336, 70, 112), 176_247_271_424, CARD),
    exact("MPT 7B", mpt(4096, 32, 32), 6_649_286_656, CARD),
    size("MPT 30B", mpt(7168, 48, 64), 29.96e9, CARD, 1e7),
    exact("DeepSeek LLM 7B", Shape.llama(4096, 30, 32, 32, 11008, 102400), 6_910_365_696, CARD),
    size("DeepSeek LLM 67B", Shape.llama(8192, 95, 64, 8, 22016, 102400), 67e9, "DeepSeek-AI 2024, its name", 1e9),
    exact("OPT 125M", opt(768, 12, 12), 125_239_296, CARD),
    exact("OPT 1.3B", opt(2048, 24, 32), 1_315_758_080, CARD),
    exact("OPT 6.7B", opt(4096, 32, 32), 6_658_473_984, CARD),
    exact("OPT 13B", opt(5120, 40, 40), 12_853_473_280, CARD),
    exact("OPT 30B", opt(7168, 48, 56), 29_974_540_288, CARD),
    size("OPT 175B", opt(12288, 96, 96), 175e9, "Zhang 2022, table 1", 1e9),
    exact("GPT-NeoX 20B", neox(6144, 44, 64, 50432), 20_554_567_680, "Black 2022, section 2"),
    exact("Falcon 7B", falcon(4544, 32, 71, 1, norms_per_layer=1), 6_921_720_704, CARD),
    exact("Falcon 40B", falcon(8192, 60, 128, 8), 41_303_293_952, CARD),
    exact("Falcon 180B", falcon(14848, 80, 232, 8, tied=False), 179_522_565_120, CARD),
    *(exact(f"Pythia {m}", neox(d, n, h, v), every, CARD) for m, n, d, h, v, every, _ in PYTHIA),
    *(
        Row(f"Pythia {m}", "without embeddings", bare, counts.non_embedding(neox(d, n, h, v)), 0.0, CARD)
        for m, n, d, h, v, _, bare in PYTHIA
    ),
    exact(
        "GPT-J 6B",
        Shape.gpt(
            4096,
            28,
            16,
            50400,
            2048,
            learned_positions=0,
            tied=False,
            norms_per_layer=1,
            qkv_bias=False,
            output_bias=False,
            head_bias=True,
        ),
        6_050_882_784,
        CARD,
    ),
    exact("Mistral 7B", Shape.llama(4096, 32, 32, 8, 14336, 32000), 7_241_732_096, CARD),
    exact("Qwen2 7B", Shape.llama(3584, 28, 28, 4, 18944, 152064, qkv_bias=True), 7_615_616_512, CARD),
    exact("Qwen3 8B", Shape.llama(4096, 36, 32, 8, 12288, 151936, qk_norm=True), 8_190_735_360, CARD),
    exact("Gemma 7B", Shape.llama(3072, 28, 16, 16, 24576, 256000, d_head=256, tied=True), 8_537_680_896, CARD),
    exact("Gemma 2B", Shape.llama(2048, 18, 8, 1, 16384, 256000, tied=True), 2_506_172_416, CARD),
    exact("OLMo 7B", Shape.llama(4096, 32, 32, 32, 11008, 50304, norm_scale=False), 6_888_095_744, CARD),
    exact("StarCoder 15.5B", Shape.gpt(6144, 40, 48, 49152, 8192, n_kv_heads=1), 15_517_456_384, CARD),
    size("Gopher 280B", gopher(16384, 80, 128), 280e9, "Rae 2021, table 1", 1e9),
    size("Gopher 7.1B", gopher(4096, 32, 32), 7.1e9, "Rae 2021, table 1", 1e8),
    size("Gopher 417M", gopher(1536, 12, 12), 417e6, "Rae 2021, table 1", 1e6),
    size("Chinchilla 70B", gopher(8192, 80, 64), 70e9, "Hoffmann 2022, table 4", 1e9),
    exact("llm-foundry 70B", foundry(8192, 80, 64, 2048), 64_862_437_376, "llm-foundry's benchmarks"),
    exact("llm-foundry 30B, 8k", foundry(7168, 48, 56, 8192), 30_019_254_272, "llm-foundry's benchmarks"),
    exact("llm-foundry 7B, 64k", foundry(4096, 32, 32, 65536), 6_918_905_856, "llm-foundry's benchmarks"),
]
GIB = 2**30
STORAGE = [
    Row(
        "BLOOM 176B",
        "bf16 weights, GiB",
        329,
        storage.checkpoint_bytes(bloom(14336, 70, 112), "weights_bf16") / GIB,
        0.03,
        "Le Scao 2022",
    ),
    Row(
        "BLOOM 176B",
        "checkpoint with optimizer, TiB",
        2.3,
        storage.checkpoint_bytes(bloom(14336, 70, 112)) / 2**40,
        0.03,
        "Le Scao 2022",
    ),
    Row(
        "GPT-NeoX 20B",
        "fp16 weights, GiB",
        39,
        storage.checkpoint_bytes(neox(6144, 44, 64, 50432), "weights_bf16") / GIB,
        0.03,
        "its repository",
    ),
    Row(
        "GPT-NeoX 20B",
        "checkpoint with optimizer, GiB",
        268,
        storage.checkpoint_bytes(neox(6144, 44, 64, 50432)) / GIB,
        0.03,
        "its repository",
    ),
    Row(
        "Llama 3 405B",
        "bf16 weights, GB",
        810,
        storage.checkpoint_bytes(LLAMA["Llama 3 405B"], "weights_bf16") / 1e9,
        0.03,
        "Hugging Face, July 2024",
    ),
    Row(
        "LLaMA 7B",
        "KV cache per token, bytes",
        524288,
        counts.kv_bytes_per_token(LLAMA["LLaMA 7B"]),
        0.0,
        "arithmetic",
    ),
    Row(
        "LLaMA 7B",
        "KV cache of 4,096 tokens, GiB",
        2,
        counts.kv_bytes(LLAMA["LLaMA 7B"], 4096) / GIB,
        0.0,
        "arithmetic",
    ),
    Row(
        "LLaMA 7B",
        "KV cache of 100 users, GiB",
        200,
        counts.kv_bytes(LLAMA["LLaMA 7B"], 4096, 100) / GIB,
        0.0,
        "arithmetic",
    ),
    Row(
        "OPT 13B",
        "KV cache per token, KiB",
        800,
        counts.kv_bytes_per_token(opt(5120, 40, 40)) / 1024,
        0.0,
        "Kwon 2023, section 3",
    ),
    Row(
        "Llama 3 8B",
        "KV cache of 16,000 tokens, GiB",
        1.95,
        counts.kv_bytes(LLAMA["Llama 3 8B"], 16000) / GIB,
        0.0,
        "Hugging Face, July 2024",
        0.01,
    ),
    Row(
        "Llama 3 70B",
        "KV cache of 128,000 tokens, GiB",
        39.06,
        counts.kv_bytes(LLAMA["Llama 3 70B"], 128000) / GIB,
        0.0,
        "Hugging Face, July 2024",
        0.01,
    ),
]
# DeepSeek-AI 2024, table 3: layers, width, M = 72 L d^2 + 12 L d s without embeddings, sequences of 4,096.
DEEPSEEK = ((8, 512, 352e6), (24, 2048, 9.66e9), (32, 4096, 45.1e9), (40, 5120, 85.6e9), (80, 8192, 419e9))
# Hoffmann et al. 2022, table A4: layers, width, heads, their width, FLOPs over 6 N D.
CHINCHILLA = (
    ("73M", 10, 640, 10, 64, 1.03),
    ("305M", 20, 1024, 16, 64, 1.10),
    ("552M", 24, 1280, 10, 128, 1.08),
    ("1.1B", 26, 1792, 14, 128, 1.04),
    ("1.6B", 28, 2048, 16, 128, 1.03),
    ("6.8B", 40, 3584, 28, 128, 0.99),
)


def over_six(layers: int, width: int, heads: int, d_head: int) -> float:
    """Layers and attention alone over 6 N: what the table's ratios are, whatever the appendix lists beside them."""
    shape = gopher(width, layers, heads, d_head)
    counted = flops.model_flops(replace(shape, relative_positions=False), 2048, logits=False)
    return counted / flops.model_flops(shape, 2048, "6n")


TOTAL_FLOPS = [
    *(
        Row(f"Chinchilla's {m}", "FLOPs over 6 N D", ratio, over_six(*sizes), 0.01, "Hoffmann 2022, table A4", 0.01)
        for m, *sizes, ratio in CHINCHILLA
    ),
    *(
        Row(m, "FLOPs, 6 N D, 300 B tokens", n, flops.model_flops(s, 2048, "6n") * 300e9, 0.01, D1)
        for (m, s), n in zip(GPT3.items(), GPT3_FLOPS, strict=True)
    ),
    *(
        Row(
            m,
            f"FLOPs, palm, {d / 1e9:.0f} B tokens",
            n,
            flops.model_flops(PALM[m], 2048, "palm") * d,
            0.01,
            "Chowdhery 2022, its table of compute",
        )
        for m, n, d in (("PaLM 8B", 4.29e22, 780e9), ("PaLM 62B", 3.08e23, 795e9), ("PaLM 540B", 2.56e24, 780e9))
    ),
    *(
        Row(
            f"DeepSeek's {layers} x {width}",
            "FLOPs per token, matmul without logits",
            published,
            flops.model_flops(Shape.gpt(width, layers, 8, 102400, 4096), 4096, logits=False),
            0.01,
            "DeepSeek-AI 2024, table 3",
        )
        for layers, width, published in DEEPSEEK
    ),
    Row(
        "Llama 3 405B",
        "FLOPs, 6 N D, 15.6 T tokens",
        3.8e25,
        flops.model_flops(LLAMA["Llama 3 405B"], 8192, "6n") * 15.6e12,
        0.01,
        "Dubey 2024, section 3.2",
    ),
]
