"""Counts the FLOPs of training per token in every convention that papers use. A multiply-add counts 2.

The caller names a formula, and whether attention counts in full, with its causal mask, or not at all:
  matmul             every matrix product; for GPT's shape this is Megatron-LM's formula (Narayanan et al. 2021, eq. 3,
                     without recomputation; Korthikanti et al. 2022, appendix A), also for GQA, gates and any d_ff
  6n                 6 N, all parameters (Brown et al. 2020, table D.1; Hoffmann et al. 2022)
  6n_non_embedding   6 N without embeddings (Kaplan et al. 2020, section 2.1)
  palm               6 N + 12 L H Q T, all parameters (Chowdhery et al. 2022, appendix B)
  chinchilla         matmul with the embedding as a product and the softmax, without relative positions' matrices
                     (Hoffmann et al. 2022, appendix F; the ratios of its table A4 leave embedding and logits out)
N are the active parameters: of a mixture's experts only those that a token is sent to.
Model FLOPs are what the mathematics needs; hardware FLOPs add what recomputation repeats.
"""

from dataclasses import replace

from llm.errors import InputError
from llm.model.counts import active, attention_products, keys_seen, multiplied, non_embedding, total
from llm.model.shape import Shape

FORMULAS = ("matmul", "6n", "6n_non_embedding", "palm", "chinchilla")
RECOMPUTE = ("none", "selective", "full")


def model_flops(shape: Shape, sequence: int, formula: str = "matmul", attention: str = "full", logits=True) -> float:
    """Return the FLOPs per token, forward and backward, in a sequence of `sequence` tokens. Backward is twice forward.

    `attention` matters for matmul, palm and chinchilla, `logits` for matmul alone. Raises InputError for an unknown
    formula.
    """
    keys_seen(sequence, attention)
    if formula == "6n":
        return 6 * active(shape)
    if formula == "6n_non_embedding":
        return 6 * (active(shape) - total(shape) + non_embedding(shape))
    if formula == "palm":
        return 6 * active(shape) + 3 * attention_products(shape, sequence, attention)
    if formula == "chinchilla":
        embedding = 2 * shape.padded_vocab * shape.d_model
        softmax = 3 * shape.n_layers * shape.n_heads * keys_seen(sequence, attention)
        plain = replace(shape, relative_positions=False)
        return 3 * (forward(plain, sequence, attention, True) + embedding + softmax)
    if formula == "matmul":
        return 3 * forward(shape, sequence, attention, logits)
    raise InputError(f"plan.formula: {formula!r} is not one of {', '.join(FORMULAS)}")


def hardware_flops(
    shape: Shape, sequence: int, recompute: str = "full", attention: str = "full", logits=True, formula: str = "matmul"
) -> float:
    """Return the FLOPs per token that the hardware executes. Raises InputError for an unknown `recompute`.

    full: each layer's forward pass runs twice, the output layer's once: 96 B s l h^2 (1 + s/6h + V/16lh) for GPT's
    shape (Narayanan et al. 2021, eq. 3); a formula without layers counts four passes for three: 8 N for 6 N (eq. 4).
    selective: 72 B L s h^2 (1 + s/3h + v/12hL) (Korthikanti et al. 2022, appendix A), which counts the attention
    products twice, forward and backward; repeating only their forward pass is a third of that.
    """
    model = model_flops(shape, sequence, formula, attention, logits)
    if recompute == "none":
        return model
    if recompute == "selective":
        return model + 3 * attention_products(shape, sequence, attention)
    if recompute == "full":
        return model + (forward(shape, sequence, attention, False) if formula == "matmul" else model / 3)
    raise InputError(f"plan.layout.recompute: {recompute!r} is not one of {', '.join(RECOMPUTE)}")


def forward(shape: Shape, sequence: int, attention: str, logits: bool) -> float:
    """Return the FLOPs of the matrix products in one token's forward pass."""
    head = 2 * shape.padded_vocab * shape.d_model if logits else 0
    return 2 * multiplied(shape) + attention_products(shape, sequence, attention) + head


def seconds(flops: float, gpus: int, tflops: float) -> float:
    """Return the seconds for `flops` at `tflops` achieved by each GPU: F / (n X) (Narayanan et al. 2021, section
    5.1)."""
    return flops / (gpus * tflops * 1e12)


def megatron_days(parameters: float, tokens: float, gpus: int, tflops: float) -> float:
    """Return the days of a training with full recomputation: 8 T P / (n X) (Narayanan et al. 2021, eq. 4)."""
    return seconds(8 * tokens * parameters, gpus, tflops) / 86400
