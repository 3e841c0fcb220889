"""Published figures of mixtures of experts, latent attention and sliding windows beside the planner's; rows as in
published.py. `active` leaves the embedding's look-up out where the source does."""

from llm.model import counts
from llm.model.shape import Shape
from llm.plan.flops import hardware_flops, model_flops, seconds
from tests.llm.plan.models import LLAMA, bloom
from tests.llm.plan.published import Row

LATENT = {"d_head": 128, "d_rope": 64, "kv_rank": 512}
BIASES = dict.fromkeys(("qkv_bias", "output_bias", "ffn_bias", "router_bias", "sinks"), True)


def mixture(experts: int, chosen: int, width: int = 0, shared: int = 0, dense: int = 0) -> dict:
    sizes = {"experts": experts, "experts_per_token": chosen, "d_expert": width}
    return sizes | {"shared_experts": shared, "dense_layers": dense}


def qwen3(d_model: int, n_layers: int, n_heads: int, n_kv_heads: int, experts: int, width: int) -> Shape:
    others = {"d_head": 128, "qk_norm": True} | mixture(experts, 8, width)
    return Shape.llama(d_model, n_layers, n_heads, n_kv_heads, 4 * width, 151936, **others)


def gemma(d_model: int, n_layers: int, n_heads: int, n_kv_heads: int, d_ff: int, vocab_size: int, **others) -> Shape:
    """Gemma 2 and 3: norms before and behind, tied, one layer of `full_every` without a window."""
    values = {"tied": True, "norms_per_layer": 4} | others
    return Shape.llama(d_model, n_layers, n_heads, n_kv_heads, d_ff, vocab_size, **values)


def gpt_oss(n_layers: int, experts: int) -> Shape:
    others = {"d_head": 64, "window": 128, "full_every": 2} | BIASES | mixture(experts, 4)
    return Shape.llama(2880, n_layers, 64, 8, 2880, 201088, **others)


DEEPSEEK_V3 = Shape.llama(
    7168, 61, 128, 128, 18432, 129280, **LATENT, q_rank=1536, router_bias=True, **mixture(256, 8, 2048, 1, 3)
)
DEEPSEEK_V2 = Shape.llama(5120, 60, 128, 128, 12288, 102400, **LATENT, q_rank=1536, **mixture(160, 6, 1536, 2, 1))
DEEPSEEK_LITE = Shape.llama(2048, 27, 16, 16, 10944, 102400, **LATENT, **mixture(64, 6, 1408, 2, 1))
MIXTRAL = Shape.llama(4096, 32, 32, 8, 14336, 32000, **mixture(8, 2))
MIXTRAL_22B = Shape.llama(6144, 56, 48, 8, 16384, 32000, **mixture(8, 2))
QWEN3_30B, QWEN3_235B = qwen3(2048, 48, 32, 4, 128, 768), qwen3(4096, 94, 64, 4, 128, 1536)
QWEN25_72B = Shape.llama(8192, 80, 64, 8, 29568, 152064, qkv_bias=True)
MISTRAL = Shape.llama(4096, 32, 32, 8, 14336, 32000)
BLOOM = bloom(14336, 70, 112)
CARD, ZHAO, QWEN = "the released weights, exact", "Zhao 2025 (Insights into DeepSeek-V3)", "Qwen Team 2025"
G3 = "Gemma Team 2025, table 1"
GEMMA2 = {"window": 4096, "full_every": 2}


def size(model: str, shape: Shape, published: float, source: str, digit: float = 0.0) -> Row:
    return Row(model, "parameters", published, counts.total(shape), 0.0 if "exact" in source else 0.005, source, digit)


def active(model: str, shape: Shape, published: float, source: str, digit: float, looked_up: bool = True) -> Row:
    computed = counts.active(shape) - (0 if looked_up else counts.parameters(shape)["embedding"])
    return Row(
        model, "active parameters" + ("" if looked_up else ", no look-up"), published, computed, 0.005, source, digit
    )


def bare(model: str, shape: Shape, published: float, source: str, digit: float) -> Row:
    return Row(model, "without embeddings", published, counts.non_embedding(shape), 0.005, source, digit)


def cached(model: str, shape: Shape, published: int, source: str) -> Row:
    return Row(model, "KV cache per token, bytes", published, counts.kv_bytes_per_token(shape), 0.0, source)


MIXTURES = [
    size("DeepSeek-V3", DEEPSEEK_V3, 671.03e9, "DeepSeek-AI 2024 (V3), its weights", 1e7),
    active("DeepSeek-V3", DEEPSEEK_V3, 37.55e9, "its weights, both embeddings counted", 1e7),
    active("DeepSeek-V3", DEEPSEEK_V3, 37e9, "DeepSeek-AI 2024 (V3)", 1e9, looked_up=False),
    size("DeepSeek-V2", DEEPSEEK_V2, 236e9, "DeepSeek-AI 2024 (V2)", 1e9),
    active("DeepSeek-V2", DEEPSEEK_V2, 21e9, "DeepSeek-AI 2024 (V2)", 1e9),
    size("DeepSeek-V2-Lite", DEEPSEEK_LITE, 15.7e9, "DeepSeek-AI 2024 (V2), appendix B", 1e8),
    size("Mixtral 8x7B", MIXTRAL, 46_702_792_704, CARD),
    active("Mixtral 8x7B", MIXTRAL, 12.9e9, "Jiang 2024", 1e8),
    size("Mixtral 8x22B", MIXTRAL_22B, 140_620_634_112, CARD),
    active("Mixtral 8x22B", MIXTRAL_22B, 39e9, "Mistral AI 2024", 1e9),
    size("Qwen3-30B-A3B", QWEN3_30B, 30.5e9, QWEN, 1e8),
    bare("Qwen3-30B-A3B", QWEN3_30B, 29.9e9, QWEN, 1e8),
    size("Qwen3-235B-A22B", QWEN3_235B, 235e9, QWEN, 1e9),
    active("Qwen3-235B-A22B", QWEN3_235B, 22e9, QWEN, 1e9),
    bare("Qwen3-235B-A22B", QWEN3_235B, 234e9, QWEN, 1e9),
    size("Qwen3-Coder-480B", qwen3(6144, 62, 96, 8, 160, 2560), 480e9, QWEN, 1e9),
    active("Qwen3-Coder-480B", qwen3(6144, 62, 96, 8, 160, 2560), 35e9, QWEN, 1e9),
    size("gpt-oss-120b", gpt_oss(36, 128), 116.83e9, "OpenAI 2025, table 1", 1e7),
    active("gpt-oss-120b", gpt_oss(36, 128), 5.13e9, "OpenAI 2025, table 1", 1e7, looked_up=False),
    size("gpt-oss-20b", gpt_oss(24, 32), 20.91e9, "OpenAI 2025, table 1", 1e7),
    active("gpt-oss-20b", gpt_oss(24, 32), 3.61e9, "OpenAI 2025, table 1", 1e7, looked_up=False),
    size("DBRX", Shape.llama(6144, 40, 48, 8, 10752, 100352, **mixture(16, 4)), 132e9, "Databricks 2024", 1e9),
    active("DBRX", Shape.llama(6144, 40, 48, 8, 10752, 100352, **mixture(16, 4)), 36e9, "Databricks 2024", 1e9),
    size("OLMoE", Shape.llama(2048, 16, 16, 16, 1024, 50304, **mixture(64, 8)), 6.9e9, "Muennighoff 2024", 1e8),
    active("OLMoE", Shape.llama(2048, 16, 16, 16, 1024, 50304, **mixture(64, 8)), 1.3e9, "Muennighoff 2024", 1e8),
    size("Phi-3.5-MoE", Shape.llama(4096, 32, 32, 8, 6400, 32064, **mixture(16, 2)), 41.9e9, "Abdin 2024", 1e8),
    active("Phi-3.5-MoE", Shape.llama(4096, 32, 32, 8, 6400, 32064, **mixture(16, 2)), 6.6e9, "Abdin 2024", 1e8),
    size("Gemma 2 2B", gemma(2304, 26, 8, 4, 9216, 256000, d_head=256, **GEMMA2), 2_614_341_888, CARD),
    size("Gemma 2 9B", gemma(3584, 42, 16, 8, 14336, 256000, d_head=256, **GEMMA2), 9_241_705_984, CARD),
    size("Gemma 2 27B", gemma(4608, 46, 32, 16, 36864, 256000, d_head=128, **GEMMA2), 27_227_128_320, CARD),
]
SMALL_GEMMA = gemma(1152, 26, 4, 1, 6912, 262144, d_head=256, qk_norm=True, window=512, full_every=6)
GEMMA3_27B = gemma(5376, 62, 32, 16, 21504, 262208, d_head=128, qk_norm=True, window=1024, full_every=6)
GEMMA3 = {"d_head": 256, "qk_norm": True, "window": 1024, "full_every": 6}
MIXTURES += [
    bare("Gemma 3 1B", SMALL_GEMMA, 698e6, G3, 1e6),
    bare("Gemma 3 4B", gemma(2560, 34, 8, 4, 10240, 262208, **GEMMA3), 3209e6, G3, 1e6),
    bare("Gemma 3 12B", gemma(3840, 48, 16, 8, 15360, 262208, **GEMMA3), 10759e6, G3, 1e6),
    bare("Gemma 3 27B", GEMMA3_27B, 25600e6, G3, 1e6),
]
CACHES = [
    cached("DeepSeek-V3", DEEPSEEK_V3, 70_272, f"{ZHAO}, table 1"),
    cached("Qwen2.5 72B", QWEN25_72B, 327_680, f"{ZHAO}, table 1"),
    cached("Llama 3 405B", LLAMA["Llama 3 405B"], 516_096, f"{ZHAO}, table 1"),
    Row(
        "DeepSeek-V2",
        "KV cache per token, thousands of values",
        34.6,
        counts.kv_bytes_per_token(DEEPSEEK_V2, 1) / 1e3,
        0.0,
        "DeepSeek-AI 2024 (V2), table 9",
        0.1,
    ),
    Row(
        "Mistral 7B",
        "KV cache of 32,768 tokens over that in its window",
        8,
        counts.kv_bytes(MISTRAL, 32768) / counts.kv_bytes(Shape(**{**vars(MISTRAL), "window": 4096}), 32768),
        0.0,
        "Jiang 2023, section 2",
    ),
]
MIXTURE_FLOPS = [
    Row(
        name,
        "GFLOPs per token, matmul, causal, 4,096 tokens",
        published,
        model_flops(shape, 4096, attention="causal") / 1e9,
        0.01,
        f"{ZHAO}, table 2",
    )
    for name, shape, published in (("DeepSeek-V3", DEEPSEEK_V3, 250), ("DeepSeek-V2", DEEPSEEK_V2, 155))
]
STEP = 15360 * 4096  # tokens of DeepSeek-V3's step
MIXTURE_TIMES = [
    *(
        Row(
            "DeepSeek-V3",
            f"seconds a step, 2,048 GPUs at {tflops} TFLOP/s, {attention}",
            19.926,
            seconds(model_flops(DEEPSEEK_V3, 4096, attention=attention) * STEP, 2048, tflops),
            0.01,
            f"{ZHAO}, table 4",
        )
        for attention, tflops in (("causal", 385), ("full", 432))
    ),
    Row(
        "DeepSeek-V3",
        "GPU hours, 14.8 T tokens at 385 TFLOP/s, causal",
        2.664e6,
        seconds(model_flops(DEEPSEEK_V3, 4096, attention="causal") * 14.8e12, 1, 385) / 3600,
        0.01,
        "DeepSeek-AI 2024 (V3), table 1",
    ),
    Row(
        "BLOOM 176B",
        "seconds a step, 384 GPUs at 149.77 TFLOP/s",
        104.7,
        seconds(hardware_flops(BLOOM, 2048) * 2048 * 2048, 384, 149.77),
        0.01,
        "BigScience's training log, hardware",
    ),
]
