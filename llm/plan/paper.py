"""Builds the plan's sections that need no cluster: parameters, FLOPs, tokens, checkpoints, key-value cache."""

from typing import Any

from llm.model import counts as count
from llm.model.shape import Shape
from llm.plan import flops, scaling, storage
from llm.plan.figures import bars, curves, figure, section, table
from llm.plan.request import Request

FORMULAS = {
    "embedding": "V d",
    "positions": "T d, if learned",
    "embedding_norm": "d, and d again with a bias",
    "query": "L d H d_h",
    "key": "L d K d_h",
    "value": "L d K d_h",
    "output": "L H d_h d",
    "sinks": "L H",
    "relative": "L d H d_h, Transformer-XL's",
    "ffn_gate": "L d f, if gated; of dense layers",
    "ffn_up": "L d f; of dense layers",
    "ffn_down": "L f d; of dense layers",
    "experts": "L_m E 3 d f_e, 2 if not gated",
    "shared_experts": "L_m S 3 d f_e, 2 if not gated",
    "router": "L_m d E",
    "norms": "(norms per layer L + 1) d, twice that with biases",
    "qk_norm": "2 L d_h",
    "lm_head": "V d, 0 if tied",
    "head_bias": "V",
}
LATENT = {
    "query": "L (d r_q + r_q + r_q H (d_h + d_r))",
    "key": "L (d (r + d_r) + r)",
    "value": "L r H (d_h + d_v)",
    "output": "L H d_v d",
}
GROUPS = {
    "embedding": ("embedding", "positions"),
    "attention": ("query", "key", "value", "output", "relative", "sinks"),
    "feed_forward": ("ffn_gate", "ffn_up", "ffn_down", "shared_experts", "router"),
    "experts": ("experts",),
    "norms": ("norms", "qk_norm", "embedding_norm"),
    "lm_head": ("lm_head", "head_bias"),
}


def by_group(shape: Shape) -> dict[str, int]:
    """Count parameters by kind of block: embedding, attention, feed-forward, experts, norms, output layer."""
    counts = count.parameters(shape)
    return {group: sum(counts[block] for block in blocks) for group, blocks in GROUPS.items()}


def parameters_section(request: Request) -> dict:
    """Build the section of parameters: every block with its formula, compared with GPT's formulas."""
    shape = request.shape
    counts, groups = count.parameters(shape), by_group(shape)
    whole, active = count.total(shape), count.active(shape)
    formulas = FORMULAS | (LATENT if shape.kv_rank else {})
    rows = [[block, size, size / whole, formulas[block]] for block, size in counts.items() if size]
    d, layers, heads, d_head = shape.d_model, shape.n_layers, shape.n_heads, shape.d_head
    forward = groups["feed_forward"] + groups["experts"]
    gpt: list[list[Any]] = [
        ["embedding", "V d", shape.vocab_size * d, groups["embedding"]],
        ["attention", "L 4 d^2", layers * 4 * d * d, groups["attention"]],
        ["feed_forward", "L 2 d d_ff", layers * 2 * d * shape.d_ff, forward],
        ["norms", "(2 L + 1) 2 d", (2 * layers + 1) * 2 * d, groups["norms"]],
        ["d_k", "d / H", d // heads, d_head],
        ["d_ff", "4 d", 4 * d, shape.d_ff],
    ]
    for row in gpt:
        row += [row[2] / row[3] - 1 if row[3] else 0.0]
    note = (
        "Biases count with their matrix. GPT's formulas hold for multi-head attention, d_ff = 4 d, two matrices, norms "
        "with a bias, a tied output layer; where this model is another, the last column shows by how much they miss."
    )
    figures = [
        figure("Parameters", whole, "parameters", "sum of all blocks; a tied output layer counts once", "shape"),
        figure("Without embeddings", count.non_embedding(shape), "parameters", "N", "Kaplan 2020, section 2.1"),
        figure("In one layer", count.in_layers(shape) // layers, "parameters", "all layers / L", "shape"),
        figure("Share of the feed-forward", forward / whole, "share", "feed-forward and experts / all", "shape"),
        figure("Share of attention", groups["attention"] / whole, "share", "Q, K, V, O / all", "shape"),
    ]
    if shape.experts:
        one = f"all but {shape.experts - shape.experts_per_token} of {shape.experts} experts in each mixture"
        figures[1:1] = [
            figure("Active parameters", active, "parameters", one + ", both embeddings counted", "DeepSeek 2024"),
            figure(
                "Active, without the embedding's look-up",
                active - counts["embedding"] * (not shape.tied),
                "parameters",
                "what multiplies a token",
                "DeepSeek 2024",
            ),
        ]
    return section(
        "parameters",
        "Parameters",
        note,
        figures,
        [
            table("By block", ["block", "parameters", "share", "formula"], ["", "parameters", "share", ""], rows),
            table(
                "Against GPT's formulas",
                ["block", "formula", "it gives", "this model has", "off by"],
                ["", "", "count", "count", "share"],
                gpt,
            ),
        ],
        [bars("Parameters by block", "parameters", [(name, {name: size}) for name, size in groups.items() if size])],
    )


def flops_section(request: Request) -> dict:
    """Build the section of FLOPs, per token and in all, in every convention and with each recomputation."""
    shape, sequence = request.shape, request.sequence
    chosen = flops.model_flops(shape, sequence, request.formula, request.attention, request.logits)
    rows = []
    for formula, source in (
        ("matmul", "Narayanan 2021, eq. 3; Korthikanti 2022, appendix A"),
        ("palm", "Chowdhery 2022, appendix B"),
        ("6n", "Brown 2020, table D.1"),
        ("6n_non_embedding", "Kaplan 2020, section 2.1"),
        ("chinchilla", "Hoffmann 2022, appendix F"),
    ):
        for attention in ("full", "causal") if formula in ("matmul", "palm") else ("full",):
            value = flops.model_flops(shape, sequence, formula, attention)
            told = attention if "6n" not in formula else "not counted"
            rows.append([formula, told, "model", value, value * request.tokens, source])
    for recompute in ("selective", "full"):
        value = flops.hardware_flops(shape, sequence, recompute)
        place = "Korthikanti 2022, appendix A" if recompute == "selective" else "Narayanan 2021, eq. 3"
        rows.append(["matmul", "full", f"hardware, {recompute} recomputation", value, value * request.tokens, place])
    figures = [
        figure("FLOPs per token", chosen, "FLOPs", f"{request.formula}, attention {request.attention}", "config"),
        figure("FLOPs of the training", chosen * request.tokens, "FLOPs", "per token x tokens", "config"),
        figure("In petaFLOP/s-days", chosen * request.tokens / 8.64e19, "", "/ (10^15 x 86,400)", "Brown 2020"),
        figure(
            "6 N D", 6 * count.active(shape) * request.tokens, "FLOPs", "6 N D, N: active, embeddings too", "Brown 2020"
        ),
        figure(
            "Attention's share",
            3 * count.attention_products(shape, sequence) / flops.model_flops(shape, sequence),
            "share",
            "12 L H d_h T / matmul, windows cut",
            "Chowdhery 2022, appendix B",
        ),
    ]
    lengths = [sequence * 2**power for power in range(0, 8)]
    growth = {
        "matrices": [[n, 6 * count.multiplied(shape)] for n in lengths],
        "attention, full": [[n, 3 * count.attention_products(shape, n)] for n in lengths],
        "logits": [[n, 6 * shape.padded_vocab * shape.d_model] for n in lengths],
    }
    note = (
        "A multiply-add is 2 FLOPs; backward is twice forward. Model FLOPs are what the mathematics needs (MFU), "
        "hardware FLOPs include what is computed again (HFU). matmul counts the output layer, not the embedding."
    )
    columns = ["formula", "attention", "kind", "per token", "in all", "source"]
    return section(
        "flops",
        "FLOPs",
        note,
        figures,
        [table("In every convention", columns, ["", "", "", "FLOPs", "FLOPs", ""], rows)],
        [curves("FLOPs per token by context", "tokens of context", "FLOPs per token", ("tokens", "FLOPs"), growth)],
    )


def tokens_section(request: Request) -> dict:
    """Build the section of tokens: Chinchilla's rule and its three approaches, for this model and for this budget."""
    size = count.active(request.shape)
    budget = 6 * size * request.tokens
    fits = {"approach 3": scaling.PARAMETRIC, "approach 3, fitted again": scaling.REPLICATED}
    rows = [
        ["20 tokens per parameter", 20.0 * size, (budget / 120) ** 0.5, 20 * (budget / 120) ** 0.5, "Hoffmann 2022"]
    ]
    for name in scaling.POWER_LAWS:
        best = scaling.optimal_by_power_law(name, budget)
        rows.append([name, scaling.tokens_by_power_law(name, size), *best, "Hoffmann 2022, table 2"])
    for name, fit in fits.items():
        source = "Hoffmann 2022, eq. 10" if fit is scaling.PARAMETRIC else "Besiroglu 2024"
        rows.append([name, fit.optimal_tokens(size), *fit.optimal(budget), source])
    figures = [
        figure("Tokens planned", request.tokens, "tokens", "D", "config"),
        figure("Tokens per parameter", request.tokens / size, "", "D / N", "Hoffmann 2022, table 3"),
        figure("Chinchilla-optimal tokens", 20.0 * size, "tokens", "20 N", "Hoffmann 2022, table 3"),
        figure("Steps", request.tokens / request.batch_tokens, "steps", "D / batch", "config"),
        figure(
            "Loss expected",
            scaling.PARAMETRIC.loss(size, request.tokens),
            "nats",
            "1.69 + 406.4 / N^0.34 + 410.7 / D^0.28, on Chinchilla's data and tokenizer",
            "Hoffmann 2022, eq. 10",
        ),
    ]
    points = [request.tokens * 10 ** (power / 8) for power in range(-16, 17)]
    lines = {name: [[n, fit.loss(size, n)] for n in points] for name, fit in fits.items()}
    mark = ("planned", request.tokens, scaling.PARAMETRIC.loss(size, request.tokens))
    columns = ["by", "tokens for this model", "model for this budget", "tokens for this budget", "source"]
    units = ["", "tokens", "parameters", "tokens", ""]
    return section(
        "tokens",
        "Tokens",
        "C = 6 N D. The approaches disagree far from the budgets they were fitted on, 6e18 to 3e21 FLOPs; of a "
        "mixture, which none of them was fitted on, N are the active parameters.",
        figures,
        [table("Compute-optimal", columns, units, rows, f"budget: 6 N D = {budget:.3g} FLOPs")],
        [curves("Loss by tokens", "tokens", "nats per token", ("tokens", "nats"), lines, [mark], (True, False))],
    )


def storage_section(request: Request) -> dict:
    """Build the section of checkpoint, quantized weight and key-value cache sizes."""
    shape = request.shape
    rows = [
        [told, each, storage.checkpoint_bytes(shape, holds), storage.checkpoint_bytes(shape, holds) / 2**30]
        for holds, (each, told) in storage.CHECKPOINTS.items()
    ]
    rows += [
        [name, bits / 8, size, size / 2**30]
        for name, bits, size in (
            ("INT8 weights", 8, storage.quantized_bytes(shape, 8)),
            ("INT4 weights, a 16-bit scale for 128", 4.125, storage.quantized_bytes(shape, 4, 128)),
        )
    ]
    figures = [
        *cache_figures(request),
        figure("Checkpoint with optimizer", storage.checkpoint_bytes(shape), "bytes", "14 N", "Le Scao 2022"),
    ]
    lengths = [128 * 2**power for power in range(0, 12)]
    lines = {
        f"{n:,} user{'s' * (n > 1)}": [[t, count.kv_bytes(shape, t, n, request.kv_bytes)] for t in lengths]
        for n in sorted({1, request.users})
    }
    lines["bf16 weights"] = [[t, storage.checkpoint_bytes(shape, "weights_bf16")] for t in lengths]
    return section(
        "storage",
        "Checkpoints and key-value cache",
        "GB are 10^9 bytes, GiB 2^30: a published size may be either (BLOOM's 329 GB are GiB). Sizes are exact.",
        figures,
        [table("On disk", ["what", "bytes per parameter", "size", "GiB"], ["", "", "bytes", "number"], rows)],
        [curves("KV cache by context", "tokens of each user", "bytes", ("tokens", "bytes"), lines)],
    )


def cache_figures(request: Request) -> list[dict]:
    """Return figures of the key-value cache: per token, per user, of all users, and without the savings of grouped
    heads, latents and windows.
    """
    shape, users, length, size = request.shape, request.users, request.user_tokens, request.kv_bytes
    token, one = count.kv_bytes_per_token(shape, size), count.kv_bytes(shape, length, 1, size)
    formula, source = f"L K (d_h + d_v) x {size}", "Shazeer 2019; Ainslie 2023"
    if shape.kv_rank:
        formula, source = f"L (r + d_r) x {size}", "DeepSeek 2024"
    figures = [figure("KV cache per token", token, "exact bytes", formula, source)]
    if shape.window_layers:
        beyond = (shape.n_layers - shape.window_layers) * count.kv_values(shape) * size
        told = f"the {shape.n_layers - shape.window_layers} layers without a window"
        figures.append(figure(f"KV cache per token beyond {shape.window:,}", beyond, "exact bytes", told, "Gemma 2025"))
    every = 2 * shape.n_layers * shape.n_heads * shape.d_head * size * length * users
    return [
        *figures,
        figure(f"KV cache per user of {length:,} tokens", one, "exact bytes", "all layers, windows cut", "shape"),
        figure(f"KV cache of {users:,} users", one * users, "exact bytes", "per user x users", "shape"),
        figure("The same if every head had its own, in every layer", every, "exact bytes", "2 L H d_h", "Ainslie 2023"),
    ]
