"""FLOPs of training, per token, in every convention that papers use. A multiply-add counts 2.

A formula is chosen by name, and attention is counted in full, halved for the causal mask, or not at all:
  matmul             every matrix product; for GPT's shape it is Megatron-LM's formula (Narayanan et al. 2021, eq. 3,
                     without recomputation; Korthikanti et al. 2022, appendix A), for GQA, gates, any d_ff too
  6n                 6 N, all parameters (Brown et al. 2020, table D.1; Hoffmann et al. 2022)
  6n_non_embedding   6 N without embeddings (Kaplan et al. 2020, section 2.1)
  palm               6 N + 12 L H Q T, all parameters (Chowdhery et al. 2022, appendix B)
  chinchilla         matmul with relative positions, the embedding as a product, the softmax (Hoffmann, appendix F)
Model FLOPs are what the mathematics needs; hardware FLOPs add what recomputation repeats.
"""

from llm.errors import InputError
from llm.plan.parameters import matrices, non_embedding, total
from llm.plan.shape import Shape

FORMULAS = ("matmul", "6n", "6n_non_embedding", "palm", "chinchilla")
ATTENTION = {"full": 1.0, "causal": 0.5, "none": 0.0}
RECOMPUTE = ("none", "selective", "full")


def model_flops(shape: Shape, sequence: int, formula: str = "matmul", attention: str = "full", logits=True) -> float:
    """FLOPs per token, forward and backward, in a sequence of `sequence` tokens.

    `attention` concerns matmul, palm and chinchilla; `logits` matmul alone. Backward is twice forward.
    """
    share = share_of(attention)
    if formula == "6n":
        return 6 * total(shape)
    if formula == "6n_non_embedding":
        return 6 * non_embedding(shape)
    if formula == "palm":
        return 6 * total(shape) + share * 12 * shape.n_layers * shape.d_attention * sequence
    if formula == "chinchilla":
        embedding = 2 * shape.padded_vocab * shape.d_model
        softmax = share * 3 * shape.n_layers * shape.n_heads * sequence
        return 3 * (forward(shape, sequence, share, True) + embedding + softmax)
    if formula == "matmul":
        return 3 * forward(shape, sequence, share, logits)
    raise InputError(f"plan.formula: {formula!r} is not one of {', '.join(FORMULAS)}")


def hardware_flops(shape: Shape, sequence: int, recompute: str = "full", attention: str = "full", logits=True) -> float:
    """FLOPs per token that the hardware executes, matmul formula.

    full: each layer's forward pass twice, the output layer's not: 96 B s l h^2 (1 + s/6h + V/16lh) for GPT's shape
    (Narayanan et al. 2021, eq. 3). selective: 72 B L s h^2 (1 + s/3h + v/12hL) (Korthikanti et al. 2022, appendix A),
    which counts the attention products twice, forward and backward; repeating their forward alone is a third of that.
    """
    share = share_of(attention)
    model = 3 * forward(shape, sequence, share, logits)
    if recompute == "none":
        return model
    if recompute == "selective":
        return model + 3 * share * attention_products(shape, sequence)
    if recompute == "full":
        return model + forward(shape, sequence, share, False)
    raise InputError(f"plan.layout.recompute: {recompute!r} is not one of {', '.join(RECOMPUTE)}")


def forward(shape: Shape, sequence: int, share: float, logits: bool) -> float:
    """Matrix products of one token's forward pass; `share` of the attention scores is counted."""
    layers = 2 * shape.n_layers * matrices(shape)
    head = 2 * shape.padded_vocab * shape.d_model if logits else 0
    return layers + share * attention_products(shape, sequence) + head


def attention_products(shape: Shape, sequence: int) -> float:
    """Q K^T and the weighted sum of V, all layers, one token against `sequence` others, forward."""
    return 4 * shape.n_layers * shape.d_attention * sequence


def share_of(attention: str) -> float:
    if attention not in ATTENTION:
        raise InputError(f"plan.attention: {attention!r} is not one of {', '.join(ATTENTION)}")
    return ATTENTION[attention]


def utilisation(flops_per_token: float, tokens_per_second: float, gpus: int, peak_tflops: float) -> float:
    """MFU (of model FLOPs) or HFU (of hardware FLOPs): achieved over peak (Chowdhery et al. 2022, appendix B)."""
    return flops_per_token * tokens_per_second / (gpus * peak_tflops * 1e12)


def seconds(flops: float, gpus: int, tflops: float) -> float:
    """Time for `flops` at `tflops` achieved by each GPU: F / (n X) (Narayanan et al. 2021, section 5.1)."""
    return flops / (gpus * tflops * 1e12)


def megatron_days(parameters: float, tokens: float, gpus: int, tflops: float) -> float:
    """End-to-end training time 8 T P / (n X), in days, full recomputation (Narayanan et al. 2021, eq. 4)."""
    return seconds(8 * tokens * parameters, gpus, tflops) / 86400
