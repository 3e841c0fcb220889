"""Attention patterns of prompts, which no file stores: they are computed anew at every forward pass.

A head's pattern is softmax(q k^T / sqrt(H) + bias), row by row what a token gives to the tokens up to itself. Two
sums say most of it: its entropy (does the head look everywhere, or at one place?) and its sink, the share that goes to
the first token (Xiao et al. 2023, arXiv:2309.17453).

Legend: B 1 row, T tokens, N query heads, K key-value heads, H d_head.
"""

import torch

from llm.errors import InputError
from llm.model.config import ModelConfig
from llm.model.positions import alibi_bias
from llm.model.transformer import CausalLM, for_each_query_head
from llm.package.inventory.embedding import spelled
from llm.package.inventory.matrices import rounded
from llm.tokenize.open import AnyTokenizer

UNIT = 1000  # patterns are written in thousandths


class Watched:
    """Attends like the model itself, in fp32, and keeps each layer's pattern [N, T, T] in `layers`."""

    def __init__(self, config: ModelConfig, n_tokens: int) -> None:
        self.config, self.longest = config, n_tokens
        self.position_BT = torch.arange(n_tokens)[None]
        self.layers: list[torch.Tensor] = []

    def attend(self, layer: int, q_BNTH: torch.Tensor, k_BKTH: torch.Tensor, v_BKTH: torch.Tensor) -> torch.Tensor:
        k_BNTH, v_BNTH = (for_each_query_head(x, q_BNTH.shape[1]).float() for x in (k_BKTH, v_BKTH))
        scores_BNTT = q_BNTH.float() @ k_BNTH.transpose(2, 3) * self.config.d_head**-0.5
        if self.config.position == "alibi":
            scores_BNTT = scores_BNTT + alibi_bias(self.position_BT, self.longest, self.config.n_heads)
        later_TT = torch.ones(self.longest, self.longest, dtype=torch.bool).triu(1)
        pattern_BNTT = scores_BNTT.masked_fill(later_TT, float("-inf")).softmax(-1)
        self.layers.append(pattern_BNTT[0])
        return (pattern_BNTT @ v_BNTH).to(q_BNTH.dtype)


def patterns(model: CausalLM, tokens: list[int]) -> torch.Tensor:
    """Return the patterns of one prompt, fp32 [layers, N, T, T]; rows sum to one, and no token sees a later one."""
    watched = Watched(model.config, len(tokens))
    with torch.no_grad():
        model.hidden(torch.tensor([tokens]), watched)
    return torch.stack(watched.layers)


def entropies(patterns_LNTT: torch.Tensor) -> torch.Tensor:
    """Return each head's entropy [layers, N], the mean over tokens after the first: of the most that as many tokens
    allow, so 1 is a head that looks everywhere alike, and 0 one that looks at one place."""
    most_T = torch.arange(2, patterns_LNTT.shape[-1] + 1).log()
    return (torch.special.entr(patterns_LNTT[:, :, 1:]).sum(-1) / most_T).mean(-1)


def sinks(patterns_LNTT: torch.Tensor) -> torch.Tensor:
    """Return the share that goes to the first token [layers, N], the mean over tokens after it."""
    return patterns_LNTT[:, :, 1:, 0].mean(-1)


def shown(patterns_LNTT: torch.Tensor) -> list[dict]:
    """Return every head's pattern in thousandths, as rows that end at the token itself."""
    rounded = (patterns_LNTT * UNIT).round().int().tolist()
    return [
        {"layer": layer, "head": head, "weights": [row[: end + 1] for end, row in enumerate(rows)]}
        for layer, heads in enumerate(rounded)
        for head, rows in enumerate(heads)
    ]


def looks(model: CausalLM, tokenizer: AnyTokenizer, prompts: list[str], most: int) -> dict:
    """Return {prompts, heads, entropy, sink}: every head's pattern of each prompt; entropy and sink by layer and head,
    means over prompts; and the means of all heads. A prompt begins as texts in pretraining do, and is cut after `most`
    tokens, or where the context ends."""
    found: list[dict] = []
    sums: list[tuple[torch.Tensor, torch.Tensor]] = []
    for prompt in prompts:
        begin = [] if tokenizer.bos is None else [tokenizer.bos]
        tokens = [*begin, *tokenizer.encode(prompt)][: min(most, model.config.context_length)]
        if len(tokens) < 2:
            raise InputError(f"package.inventory.prompts: {prompt!r} is a single token, which has nothing to look at")
        seen = patterns(model, tokens)
        sums.append((entropies(seen), sinks(seen)))
        found.append({"prompt": prompt, "tokens": [spelled(tokenizer, i) for i in tokens], "heads": shown(seen)})
    entropy_LN, sink_LN = (torch.stack(values).mean(0) for values in zip(*sums, strict=True))
    tables = {"entropy": entropy_LN, "sink": sink_LN}
    return {
        "prompts": found,
        "heads": {name: [[rounded(x) for x in row] for row in table.tolist()] for name, table in tables.items()},
        **{name: rounded(float(table.mean())) for name, table in tables.items()},
    }
