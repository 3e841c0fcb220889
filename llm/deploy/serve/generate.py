"""Generates text: requests in, completions out. Greedy or sampled, batched, with a key-value cache.

`Engine` is the interface for callers (rollouts, scripts, a server); `StaticEngine` is a simple one: requests run in
batches of fixed membership, in their order, and a batch ends with its longest request. It has no paging, no prefix
sharing, and no insertion into a running batch.

Legend: B rows of the batch, T tokens, V vocabulary, D d_model.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F

from llm.errors import InputError
from llm.model.cache import KVCache
from llm.model.transformer import CausalLM

OnToken = Callable[[int, int], None]


@dataclass(frozen=True)
class Request:
    """One prompt and how to continue it.

    temperature 0: greedy. top_k 0 and top_p 1.0: no restriction. repetition_penalty divides the positive logits of
    every token that the prompt or the answer has, and multiplies the negative ones (Keskar et al. 2019); 1.0: none.
    `seed` (one or several ints) alone decides the random numbers of this request, whatever else runs beside it.
    Generation ends after one of `stop_ids`, which is kept as the last token, after `max_new_tokens`, or where the
    model's context is full.
    """

    prompt: Sequence[int]
    max_new_tokens: int
    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0
    repetition_penalty: float = 1.0
    seed: int | Sequence[int] = 0
    stop_ids: Sequence[int] = ()


class Engine(Protocol):
    def run(self, requests: Sequence[Request], on_token: OnToken | None = None) -> list[list[int]]:
        """Return the new tokens of each request, in the requests' order. `on_token(request index, token)` is called as
        they come."""
        ...


@dataclass(frozen=True)
class StaticEngine:
    """Runs batches of `batch_size` requests, in order. `use_cache=False` recomputes the whole sequence for each
    token."""

    model: CausalLM
    batch_size: int = 16
    use_cache: bool = True

    @torch.inference_mode()
    def run(self, requests: Sequence[Request], on_token: OnToken | None = None) -> list[list[int]]:
        for index, request in enumerate(requests):
            check_request(request, index, self.model.config.context_length, self.model.config.vocab_size)
        completions: list[list[int]] = [[] for _ in requests]
        for begin in range(0, len(requests), self.batch_size):
            batch = requests[begin : begin + self.batch_size]
            for row, token in batch_tokens(self.model, batch, self.use_cache):
                completions[begin + row].append(token)
                if on_token is not None:
                    on_token(begin + row, token)
        return completions


def generate(
    model: CausalLM,
    prompts: list[list[int]],
    *,
    max_new_tokens: int,
    temperature: float = 0.0,
    top_k: int = 0,
    top_p: float = 1.0,
    repetition_penalty: float = 1.0,
    seed: int = 0,
    stop_ids: Sequence[int] = (),
    batch_size: int = 16,
) -> list[list[int]]:
    """Return the new tokens of each prompt; prompt i draws from the random stream (seed, i). See Request."""
    requests = [
        Request(prompt, max_new_tokens, temperature, top_k, top_p, repetition_penalty, (seed, index), stop_ids)
        for index, prompt in enumerate(prompts)
    ]
    return StaticEngine(model, batch_size).run(requests)


def batch_tokens(model: CausalLM, batch: Sequence[Request], use_cache: bool) -> Iterator[tuple[int, int]]:
    """Yield (row, token) for each new token of a batch, step by step until every row has ended."""
    device = model.device
    samplers = [np.random.Generator(np.random.PCG64(request.seed)) for request in batch]
    limits = [new_token_limit(request, model.config.context_length) for request in batch]
    sequences = [list(request.prompt) for request in batch]
    cache = None
    if use_cache:
        longest = max(len(request.prompt) for request in batch) + max(limits)
        cache = KVCache(model.config, len(batch), longest, model.model.embed_tokens.weight.dtype, device)
    active = [True] * len(batch)
    step_BT = pad(sequences, device)
    length_B = torch.tensor([len(sequence) for sequence in sequences], device=device)
    for step in range(max(limits)):
        x_BTD = model.hidden(step_BT, cache)
        if cache is None or step == 0:  # shorter prompts are padded on the right, which no token attends to
            x_BD = x_BTD[torch.arange(len(batch), device=device), length_B - 1]
        else:
            x_BD = x_BTD[:, -1]
        if cache is not None and step == 0:
            cache.truncate(length_B)
        logits_BV = penalised(F.linear(x_BD, model.output_weight), batch, sequences)
        chosen = choose(logits_BV, batch, samplers, active)
        for row, token in enumerate(chosen):
            if not active[row]:
                continue
            sequences[row].append(token)
            active[row] = step + 1 < limits[row] and token not in batch[row].stop_ids
            yield row, token
        if not any(active):
            return
        if cache is None:
            step_BT = pad(sequences, device)
            length_B = torch.tensor([len(sequence) for sequence in sequences], device=device)
        else:
            step_BT = torch.tensor([[sequence[-1]] for sequence in sequences], device=device)


def penalised(logits_BV: torch.Tensor, batch: Sequence[Request], sequences: list[list[int]]) -> torch.Tensor:
    """Return the logits after each request's repetition_penalty. sequences: prompt and answer so far of each row."""
    rows = [row for row, request in enumerate(batch) if request.repetition_penalty != 1.0]
    if not rows:
        return logits_BV
    logits_BV = logits_BV.clone()
    for row in rows:
        penalty = batch[row].repetition_penalty
        seen = torch.tensor(sorted(set(sequences[row])), device=logits_BV.device)
        values = logits_BV[row, seen]
        logits_BV[row, seen] = torch.where(values > 0, values / penalty, values * penalty)
    return logits_BV


def choose(
    logits_BV: torch.Tensor, batch: Sequence[Request], samplers: list[np.random.Generator], active: list[bool]
) -> list[int]:
    """Return the next token of each row; rows that have ended get a greedy one, which is not used."""
    tokens = logits_BV.argmax(-1).tolist()
    for row, request in enumerate(batch):
        if active[row] and request.temperature > 0:
            tokens[row] = sample(logits_BV[row], request, samplers[row].random())
    return tokens


def sample(logits_V: torch.Tensor, request: Request, uniform: float) -> int:
    """Sample one token from softmax(logits / temperature), cut to the `top_k` likeliest, then to the smallest set whose
    probability reaches `top_p` (Holtzman et al. 2019), by inverting the cumulative distribution at `uniform`, in
    fp64."""
    logits_V = logits_V.double() / request.temperature
    order_V = torch.sort(logits_V, descending=True, stable=True)
    keep = min(request.top_k or len(logits_V), len(logits_V))
    cumulative = torch.softmax(order_V.values[:keep], -1).cpu().cumsum(-1)  # on the CPU the order of the sums is fixed
    if request.top_p < 1.0:
        within = int(torch.searchsorted(cumulative, request.top_p)) + 1
        cumulative = cumulative[:within]
    target = uniform * cumulative[-1]
    place = min(int(torch.searchsorted(cumulative, target, right=True)), len(cumulative) - 1)
    return int(order_V.indices[place])


def pad(sequences: list[list[int]], device: torch.device) -> torch.Tensor:
    """Return the sequences as int64 [B, T], zeros to the right."""
    rows = [torch.tensor(sequence, dtype=torch.int64) for sequence in sequences]
    return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True).to(device)


def new_token_limit(request: Request, context_length: int) -> int:
    """Return how many tokens the request may get before the context is full."""
    return min(request.max_new_tokens, context_length - len(request.prompt))


def check_request(request: Request, index: int, context_length: int, vocab_size: int) -> None:
    """Raise InputError for a request that cannot be run."""
    if not 0 < len(request.prompt) < context_length:
        raise InputError(
            f"request {index}: a prompt of {len(request.prompt)} tokens; this model takes 1 to {context_length - 1}"
        )
    if not 0 <= min(request.prompt) <= max(request.prompt) < vocab_size:
        raise InputError(f"request {index}: token ids outside 0 ... {vocab_size - 1}; use the model's own tokenizer")
    if request.max_new_tokens < 1:
        raise InputError(f"request {index}: max_new_tokens {request.max_new_tokens}; ask for at least 1")
    if request.temperature < 0 or request.top_k < 0 or not 0 < request.top_p <= 1:
        raise InputError(
            f"request {index}: temperature {request.temperature}, top_k {request.top_k}, top_p {request.top_p}; "
            "they must be >= 0, >= 0 and in (0, 1]"
        )
    if request.repetition_penalty <= 0:
        raise InputError(f"request {index}: repetition_penalty {request.repetition_penalty}; it must be above 0")
