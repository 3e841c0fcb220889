"""The figures of the description that this project began with, beside what its formulas, or the papers', give.

docs/description.md has the table. A verdict is `right` where the figure is the value rounded; everything else says why
it is off.
"""

from llm.model.counts import kv_bytes, kv_bytes_per_token, parameters, total
from llm.model.shape import Shape
from llm.plan.paper import by_group
from llm.plan.storage import checkpoint_bytes

GPT3 = Shape.gpt(12288, 96, 96, 50257, 2048)
GPT2 = Shape.gpt(768, 12, 12, 50257, 1024)
LLAMA_7B = Shape.llama(4096, 32, 32, 32, 11008, 32000)
LLAMA_70B = Shape.llama(8192, 80, 64, 8, 28672, 32000)
SMALL = Shape.gpt(2048, 24, 16, 50257, 2048)
LARGE = Shape.gpt(8192, 80, 64, 50257, 2048)
RIGHT = "right"


def claims() -> list[tuple[str, str, float, float, str, str]]:
    """(block, claim, its value, the value computed, unit, verdict)."""
    gpt3, llama = by_group(GPT3), by_group(LLAMA_7B)
    tokens, tied = 300e9, total(GPT3)
    norms = parameters(LLAMA_7B)["norms"]
    qkv = 6 * GPT3.d_model**2
    return [
        ("Quick Reference", "GPT-3: parameters", 175e9, tied, "parameters", RIGHT),
        ("Quick Reference", "GPT-3: d_k = d / H", 128, GPT3.d_model // GPT3.n_heads, "count", RIGHT),
        ("Quick Reference", "GPT-3: d_ff = 4 d", 49152, 4 * GPT3.d_model, "count", RIGHT),
        ("Quick Reference", "GPT-3: training FLOPs, 6 N D", 3.14e23, 6 * tied * tokens, "FLOPs", RIGHT),
        (
            "Web Crawl Data",
            "GPT-3 used ~410B tokens of Common Crawl",
            410e9,
            0.6 * tokens,
            "tokens",
            "410 B is the set's size; 60% of 300 B tokens, 180 B, were read: 0.44 epochs (Brown 2020, table 2.2)",
        ),
        (
            "Books & Academic",
            "~22B book tokens at roughly 2x",
            22e9,
            12e9 + 55e9,
            "tokens",
            "Books1 has 12 B (1.9 epochs), Books2 55 B (0.43 epochs); 8% of the mix each (Brown 2020, table 2.2)",
        ),
        (
            "Domain Mixing",
            "Books2: 22% of the mix",
            0.22,
            0.08,
            "share",
            "22% is WebText2, read 2.9 times; Books2 is 8%, read 0.43 times (Brown 2020, table 2.2)",
        ),
        ("Domain Mixing", "Wikipedia: ~4B tokens", 4e9, 3e9, "tokens", "3 B tokens (Brown 2020, table 2.2)"),
        (
            "Core Hyperparameters",
            "Small (1B): d=2048, L=24, H=16",
            1e9,
            total(SMALL),
            "parameters",
            "with d_ff = 4 d and GPT-3's vocabulary it is GPT-3 XL, 1.3 B",
        ),
        (
            "Core Hyperparameters",
            "Medium (7B): d=4096, L=32, H=32",
            7e9,
            total(LLAMA_7B),
            "parameters",
            "right as a name: LLaMA-7B's own shape, 6.74 B",
        ),
        (
            "Core Hyperparameters",
            "Large (70B): d=8192, L=80, H=64",
            70e9,
            total(LARGE),
            "parameters",
            "with the block's d_ff = 4 d and multi-head attention it has 65 B (LLaMA-65B's size); Llama 2 70B has "
            f"grouped attention and three matrices of 28,672: {total(LLAMA_70B) / 1e9:.2f} B",
        ),
        (
            "Attention Variants",
            "MHA: H heads x 3 matrices, 4 d^2 per layer",
            4,
            3 + 1,
            "count",
            "right with W_O as the fourth; the three of the sentence before are 3 d^2",
        ),
        (
            "Attention Variants",
            "MQA: KV cache 1/H of MHA",
            1 / 32,
            kv_bytes_per_token(Shape.llama(4096, 32, 32, 1, 11008, 32000)) / kv_bytes_per_token(LLAMA_7B),
            "share",
            RIGHT,
        ),
        (
            "Attention Variants",
            "GQA: KV cache G/H of MHA (70B: 8/64)",
            8 / 64,
            kv_bytes_per_token(LLAMA_70B) / kv_bytes_per_token(Shape.llama(8192, 80, 64, 64, 28672, 32000)),
            "share",
            RIGHT,
        ),
        (
            "Optimizer",
            "weights shrink by lambda = 0.1 each step (- lambda theta)",
            0.1,
            0.1 * 3e-4,
            "share",
            "AdamW multiplies the decay by the rate (Loshchilov 2019, algorithm 2): - alpha lambda theta, here at "
            "alpha = 3e-4; as written, weights would halve in 7 steps",
        ),
        ("Checkpointing", "70B: ~280 GB weights in fp32", 280e9, 4 * 70e9, "bytes", RIGHT),
        (
            "Checkpointing",
            "70B: ~560 GB optimizer state",
            560e9,
            8 * 70e9,
            "bytes",
            "right for m and v in fp32: twice the weights, not `as large as`; with bf16 training's fp32 master copy a "
            f"checkpoint of 14 bytes a parameter is {checkpoint_bytes(LLAMA_70B) / 1e9:.0f} GB for Llama 2 70B",
        ),
        ("Token Embedding", "LLaMA-7B: 32000 x 4096", 131e6, parameters(LLAMA_7B)["embedding"], "parameters", RIGHT),
        (
            "Token Embedding",
            "GPT-3: 50257 x 12288",
            617e6,
            parameters(GPT3)["embedding"],
            "parameters",
            "617.6 M, cut off instead of rounded",
        ),
        (
            "Token Embedding",
            "the matrix is used three times",
            3,
            2,
            "count",
            "three is for encoder-decoders (Press 2017); a decoder has two uses, and LLaMA-7B does not tie: its output "
            "layer has 131 M of its own",
        ),
        (
            "Q, K, V",
            "GPT-3: L 4 d^2 = 58.7B",
            58.7e9,
            96 * 4 * 12288**2,
            "parameters",
            "96 x 4 x 12288^2 is 57.98 B; and 4 counts W_O: Q, K, V alone are three quarters, 43.5 B",
        ),
        ("Q, K, V", "~33% of all parameters", 0.33, gpt3["attention"] / tied, "share", RIGHT),
        (
            "Q, K, V",
            "Q, K, V dominate FLOPs at short context",
            1,
            qkv / (2 * GPT3.n_heads * GPT3.d_head * GPT3.d_model + qkv + 16 * GPT3.d_model**2),
            "share",
            "per token and layer 6 d^2 of 24 d^2; the feed-forward takes 16 d^2",
        ),
        (
            "Q, K, V",
            "GPT-2 (117M)",
            117e6,
            total(GPT2),
            "parameters",
            "124 M: OpenAI corrected the paper's 117 M in its repository (Radford 2019)",
        ),
        (
            "Feed-Forward",
            "GPT-3: L 2 d d_ff = 117B",
            117e9,
            96 * 2 * 12288 * 49152,
            "parameters",
            "96 x 2 x 12288 x 49152 is 115.96 B",
        ),
        (
            "Feed-Forward",
            "~66% of all parameters",
            0.66,
            gpt3["feed_forward"] / tied,
            "share",
            f"right for GPT-3; LLaMA-7B {llama['feed_forward'] / total(LLAMA_7B):.0%}, GPT-2 "
            f"{by_group(GPT2)['feed_forward'] / total(GPT2):.0%}, Llama 2 70B "
            f"{by_group(LLAMA_70B)['feed_forward'] / total(LLAMA_70B):.0%}",
        ),
        (
            "Feed-Forward",
            "SwiGLU: 2 d d_ff per layer",
            2,
            3,
            "count",
            "three matrices: 3 d d_ff; the same count only with d_ff = 8/3 d (Shazeer 2020)",
        ),
        (
            "Normalization",
            "LLaMA-7B: 65 x 2 x 4096 = 533K",
            533e3,
            norms,
            "parameters",
            "RMSNorm has no beta (Zhang 2019): 65 x 4096 = 266,240, half",
        ),
        (
            "Normalization",
            "0.008% of 7B",
            8e-5,
            norms / total(LLAMA_7B),
            "share",
            "half, for the same reason: 0.004%",
        ),
        (
            "KV Cache",
            "LLaMA-7B: 524 KB per token",
            524e3,
            kv_bytes_per_token(LLAMA_7B),
            "bytes",
            "right: 524,288 bytes, 512 KiB",
        ),
        (
            "KV Cache",
            "LLaMA-7B, 4096 tokens: 2.1 GB",
            2.1e9,
            kv_bytes(LLAMA_7B, 4096),
            "bytes",
            "right to two digits: 2,147,483,648 bytes, 2 GiB (LLaMA-7B was trained on 2,048 tokens, Llama 2 on 4,096)",
        ),
        (
            "KV Cache",
            "100 users: 210 GB",
            210e9,
            kv_bytes(LLAMA_7B, 4096, 100),
            "bytes",
            "214.7 GB (200 GiB): 2.1 was rounded before it was multiplied",
        ),
        (
            "Quantization",
            "INT8/INT4 shrinks a model 4-8x",
            4,
            2,
            "count",
            "from fp16 2 to 4 times, as the block on quantization says; 4 to 8 from fp32 only",
        ),
        ("Quantization", "70B in fp16: 140 GB", 140e9, 2 * 70e9, "bytes", RIGHT),
        (
            "Quantization",
            "70B in INT4: 35 GB, fits 2 A100 40GB",
            35e9,
            0.5 * 70e9,
            "bytes",
            "right; the weights alone fit one, without scales and cache",
        ),
        (
            "Continuous Batching",
            "an A100 80GB serves hundreds of users",
            200,
            (80e9 - checkpoint_bytes(LLAMA_7B, "weights_bf16")) // kv_bytes(LLAMA_7B, 4096),
            "users",
            "of LLaMA-7B with 4,096 tokens each so many fit beside the weights; hundreds need shorter ones or GQA",
        ),
    ]
