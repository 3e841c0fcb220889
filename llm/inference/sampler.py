"""Chooses the next token of a sequence from its logits, and says how likely the model found it.

Random numbers are counted, not drawn in turn: the one for a token is a function of the request's seed, the completion's
number and the token's position, by Philox (Salmon et al. 2011). Everything here looks at one row by itself.

Legend: V vocabulary.
"""

from collections import Counter

import numpy as np
import torch
from torch import Tensor

from llm.inference.grammar import permitted
from llm.inference.sequence import Alternatives, Request, Sequence

try:
    from kernels.decoder import likeliest
except ImportError:  # where only torch and numpy are installed
    likeliest = None  # type: ignore[assignment]

LEAST_TEMPERATURE = 1e-200  # fp32 divided by it is finite in fp64; below it nothing would change


def uniform(key: np.ndarray, position: int) -> float:
    """Return the number in [0, 1) of a sequence's token at `position`."""
    word = np.random.Philox(key=key, counter=np.array([position, 0, 0, 0], np.uint64)).random_raw()
    return (int(word) >> 11) * 2.0**-53


def choose(logits_V: Tensor, sequence: Sequence) -> int:
    """Return the sequence's next token for the model's fp32 logits of it."""
    request = sequence.request
    adjusted_V = adjusted(logits_V, request, sequence.tokens)
    if sequence.matcher is not None:
        adjusted_V = permitted(adjusted_V, sequence.matcher)
    if request.temperature == 0:
        return int(adjusted_V.argmax())
    return sample(adjusted_V, request, uniform(sequence.key, len(sequence.tokens)))


def is_plain(request: Request) -> bool:
    """Is the likeliest token all that a request asks for?"""
    return request.temperature == 0 and request.grammar is None and not changes_logits(request)


def argmax(logits_RV: Tensor) -> list[int]:
    """Return each row's likeliest token, the first of equal ones."""
    if likeliest is None or logits_RV.dtype != torch.bfloat16 or not logits_RV.is_cpu:
        return logits_RV.argmax(-1).tolist()
    found_R = np.zeros(len(logits_RV), np.int64)
    likeliest(logits_RV.view(torch.int16).numpy(), found_R)
    return found_R.tolist()


def changes_logits(request: Request) -> bool:
    penalties = (request.presence_penalty, request.frequency_penalty, request.repetition_penalty - 1.0)
    return any(penalties) or bool(request.logit_bias)


def adjusted(logits_V: Tensor, request: Request, tokens: list[int]) -> Tensor:
    """Return the logits with penalties and biases. repetition_penalty divides what is positive and multiplies what is
    negative of every token seen, the prompt's too (Keskar et al. 2019); presence and frequency are OpenAI's, of new
    tokens alone."""
    if not changes_logits(request):
        return logits_V
    logits_V = logits_V.clone()
    if request.repetition_penalty != 1.0:
        seen = torch.tensor(sorted(set(tokens)), device=logits_V.device)
        values = logits_V[seen]
        penalty = request.repetition_penalty
        logits_V[seen] = torch.where(values > 0, values / penalty, values * penalty)
    if request.presence_penalty or request.frequency_penalty:
        counts = Counter(tokens[len(request.prompt) :])
        ids = sorted(counts)
        off = [request.presence_penalty + request.frequency_penalty * counts[token] for token in ids]
        logits_V[ids] -= torch.tensor(off, device=logits_V.device)
    for token, bias in request.logit_bias.items():
        logits_V[token] += bias
    return logits_V


def sample(logits_V: Tensor, request: Request, uniform_: float) -> int:
    """Sample one token from softmax(logits / temperature), cut to the `top_k` likeliest, then to the smallest set whose
    probability reaches `top_p` (Holtzman et al. 2019), then to those at least `min_p` as likely as the first, by
    inverting the cumulative distribution at `uniform_`, in fp64. Of equally likely tokens the lower id counts more. The
    likeliest is taken where its logit is infinite (a repetition_penalty next to 0; no token that the grammar takes)."""
    values = logits_V.float().cpu().numpy().astype(np.float64) / max(request.temperature, LEAST_TEMPERATURE)
    if not np.isfinite(values.max()):
        return int(values.argmax())
    kept = None
    if 0 < request.top_k < len(values):
        least = np.partition(values, -request.top_k)[-request.top_k]
        kept = likeliest_first(values, np.flatnonzero(values >= least))[: request.top_k]
    weights = np.exp((values if kept is None else values[kept]) - values.max())
    if request.top_p < 1.0:
        if kept is None:
            # Those less likely than this would not make up 1 - top_p if all tokens were among them.
            least = (1.0 - request.top_p) * weights.sum() / len(weights)
            kept = likeliest_first(values, np.flatnonzero(weights >= min(least, weights.max())))
            total, weights = weights.sum(), weights[kept]
        else:
            total = weights.sum()
        within = int(np.searchsorted(weights.cumsum(), request.top_p * total)) + 1
        kept, weights = kept[:within], weights[:within]
    if request.min_p > 0:
        inside = np.flatnonzero(weights >= request.min_p * weights.max())
        kept, weights = inside if kept is None else kept[inside], weights[inside]
    cumulative = weights.cumsum()
    last = int(np.searchsorted(cumulative, cumulative[-1]))  # behind it there are impossible tokens alone
    place = min(int(np.searchsorted(cumulative, uniform_ * cumulative[-1], side="right")), last)
    return place if kept is None else int(kept[place])


def likeliest_first(values: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """Sort ids that rise by their values, the largest first."""
    return ids[np.argsort(-values[ids], kind="stable")]


def log_softmax(logits_V: Tensor) -> Tensor:
    """Return log-probabilities in fp32; training's cross-entropy makes the same bytes."""
    return torch.log_softmax(logits_V.float(), -1)


def alternatives(log_probs_V: Tensor, count: int) -> Alternatives:
    """Return the `count` likeliest tokens with their log-probabilities, the likeliest first; ties by id."""
    if count == 0:
        return []
    values = log_probs_V.cpu().numpy()
    count = min(count, len(values))
    ids = likeliest_first(values, np.flatnonzero(values >= np.partition(values, -count)[-count]))[:count]
    return [(int(token), float(values[token])) for token in ids]
