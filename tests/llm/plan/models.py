"""Shapes of published models, each from its paper or its config.json."""

from llm.model.shape import Shape

NO_BIAS = dict.fromkeys(("qkv_bias", "output_bias", "ffn_bias", "norm_bias"), False)


def gpt3(d_model: int, n_layers: int, n_heads: int) -> Shape:
    return Shape.gpt(d_model, n_layers, n_heads, 50257, 2048)


def gpt2(d_model: int, n_layers: int, n_heads: int) -> Shape:
    return Shape.gpt(d_model, n_layers, n_heads, 50257, 1024)


def megatron(d_model: int, n_layers: int, n_heads: int) -> Shape:
    return Shape.gpt(d_model, n_layers, n_heads, 51200, 2048)


def bloom(d_model: int, n_layers: int, n_heads: int) -> Shape:
    """ALiBi, a norm behind the embedding; 250,680 tokens padded to 250,880."""
    others = {"learned_positions": 0, "embedding_norm": True, "vocab_multiple": 128 * 4, "dropout": False}
    return Shape.gpt(d_model, n_layers, n_heads, 250680, 2048, **others)


def opt(d_model: int, n_layers: int, n_heads: int) -> Shape:
    """Two positions more than the context."""
    return Shape.gpt(d_model, n_layers, n_heads, 50272, 2048, learned_positions=2050)


def neox(d_model: int, n_layers: int, n_heads: int, vocab_size: int) -> Shape:
    """Rotary, not tied; parallel blocks with two norms (GPT-NeoX, Pythia)."""
    others = {"learned_positions": 0, "tied": False, "dropout": False}
    return Shape.gpt(d_model, n_layers, n_heads, vocab_size, 2048, **others)


def mpt(d_model: int, n_layers: int, n_heads: int) -> Shape:
    """ALiBi, no biases."""
    return Shape.gpt(d_model, n_layers, n_heads, 50432, 2048, learned_positions=0, dropout=False, **NO_BIAS)


def foundry(d_model: int, n_layers: int, n_heads: int, sequence: int) -> Shape:
    """llm-foundry's benchmark models: biases, learned positions as long as the sequence."""
    return Shape.gpt(d_model, n_layers, n_heads, 50368, sequence, dropout=False)


def palm(d_model: int, n_layers: int, n_heads: int) -> Shape:
    """Multi-query, gated, parallel behind one norm, no biases, tied."""
    others = {"d_head": 256, "d_ff": 4 * d_model, "tied": True, "norms_per_layer": 1, "context_length": 2048}
    return Shape.llama(d_model, n_layers, n_heads, 1, vocab_size=256000, **others)


def falcon(d_model: int, n_layers: int, n_heads: int, n_kv_heads: int, **others) -> Shape:
    """Rotary, biases in norms alone, parallel blocks."""
    biases = NO_BIAS | {"norm_bias": True}
    sizes = {"n_kv_heads": n_kv_heads, "learned_positions": 0, "dropout": False}
    return Shape.gpt(d_model, n_layers, n_heads, 65024, 2048, **sizes, **biases, **others)


def gopher(d_model: int, n_layers: int, n_heads: int, d_head: int = 128) -> Shape:
    """RMSNorm, relative positions (Gopher, Chinchilla)."""
    others = {"learned_positions": 0, "relative_positions": True, "d_head": d_head, "dropout": False}
    return Shape.gpt(d_model, n_layers, n_heads, 32000, 2048, **others, **NO_BIAS)


GPT3 = {
    "GPT-3 125M": gpt3(768, 12, 12),
    "GPT-3 350M": gpt3(1024, 24, 16),
    "GPT-3 760M": gpt3(1536, 24, 16),
    "GPT-3 1.3B": gpt3(2048, 24, 16),  # table 2.1 has 24 heads of 128, which are 3,072 wide; 1,320 M has 16
    "GPT-3 2.7B": gpt3(2560, 32, 32),
    "GPT-3 6.7B": gpt3(4096, 32, 32),
    "GPT-3 13B": gpt3(5120, 40, 40),  # table 2.1 has 5,140, but 40 heads of 128 are 5,120, and so is 12,850 M
    "GPT-3 175B": gpt3(12288, 96, 96),
}
MEGATRON = {  # Narayanan et al. 2021, table 1
    "Megatron 1.7B": megatron(2304, 24, 24),
    "Megatron 3.6B": megatron(3072, 30, 32),
    "Megatron 7.5B": megatron(4096, 36, 32),
    "Megatron 18.4B": megatron(6144, 40, 48),
    "Megatron 39.1B": megatron(8192, 48, 64),
    "Megatron 76.1B": megatron(10240, 60, 80),
    "Megatron 145.6B": megatron(12288, 80, 96),
    "Megatron 310.1B": megatron(16384, 96, 128),
    "Megatron 529.6B": megatron(20480, 105, 128),
    "Megatron 1008B": megatron(25600, 128, 160),
}
MEGATRON_22B, MEGATRON_175B = megatron(6144, 48, 64), megatron(12288, 96, 96)
LLAMA = {
    "LLaMA 7B": Shape.llama(4096, 32, 32, 32, 11008, 32000),
    "LLaMA 13B": Shape.llama(5120, 40, 40, 40, 13824, 32000),
    "LLaMA 33B": Shape.llama(6656, 60, 52, 52, 17920, 32000),
    "LLaMA 65B": Shape.llama(8192, 80, 64, 64, 22016, 32000),
    "Llama 2 70B": Shape.llama(8192, 80, 64, 8, 28672, 32000),
    "Llama 3 8B": Shape.llama(4096, 32, 32, 8, 14336, 128256),
    "Llama 3 70B": Shape.llama(8192, 80, 64, 8, 28672, 128256),
    "Llama 3 405B": Shape.llama(16384, 126, 128, 8, 53248, 128256),
    "Llama 3.2 1B": Shape.llama(2048, 16, 32, 8, 8192, 128256, tied=True),
    "Llama 3.2 3B": Shape.llama(3072, 28, 24, 8, 8192, 128256, tied=True),
}
PALM = {"PaLM 8B": palm(4096, 32, 16), "PaLM 62B": palm(8192, 64, 32), "PaLM 540B": palm(18432, 118, 48)}
