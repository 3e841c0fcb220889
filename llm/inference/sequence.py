"""Says what can be asked of the engine (Request), what comes back (Output), and keeps what is on the way (Sequence)."""

import math
from collections.abc import Callable, Mapping
from collections.abc import Sequence as Listing
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from llm.errors import InputError
from llm.inference.detokenizer import StopTexts
from llm.inference.grammar import Grammar, Matcher

Alternatives = list[tuple[int, float]]
Reason = Literal["stop", "length", "abort"]
MAX_ALTERNATIVES = 128


@dataclass(frozen=True)
class Request:
    """One prompt and how to continue it.

    temperature 0 is greedy. top_k 0, top_p 1, min_p 0, repetition_penalty 1 and the other penalties 0 do nothing; they
    act in the order penalties, logit_bias, grammar, temperature, top_k, top_p, min_p. `seed` (one or several ints)
    alone decides the random numbers, whatever else runs beside it. A completion ends after one of `stop_ids`, which is
    kept as its last token, where its text holds one of `stop_texts`, where its `grammar` is fulfilled and nothing can
    be added, after `max_new_tokens`, or where the context is full.

    n: completions of the prompt; they share its blocks. logprobs: log-probabilities of the chosen tokens, with so many
    alternatives. prompt_logprobs: the same of the prompt's tokens. Both are the model's own, before penalties, bias,
    temperature and cuts. adapter: the name of one that the engine was given. salt: only requests of one salt share
    cached prefixes.
    """

    prompt: Listing[int]
    max_new_tokens: int
    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    logit_bias: Mapping[int, float] = field(default_factory=dict)
    seed: int | Listing[int] = 0
    stop_ids: Listing[int] = ()
    stop_texts: Listing[str] = ()
    n: int = 1
    logprobs: int | None = None
    prompt_logprobs: int | None = None
    adapter: str = ""
    salt: str = ""
    grammar: Grammar | None = None

    def longest(self, context_length: int) -> int:
        """Return how many tokens a sequence of it can come to, the prompt's included."""
        return min(len(self.prompt) + self.max_new_tokens, context_length)

    def validate(self, context_length: int, vocab_size: int) -> None:
        """Raise InputError for what cannot be run."""
        if not 0 < len(self.prompt) <= context_length - (self.max_new_tokens > 0):
            raise InputError(
                f"a prompt of {len(self.prompt)} tokens; this model takes 1 to {context_length - 1}, and a new token"
            )
        if not 0 <= min(self.prompt) <= max(self.prompt) < vocab_size:
            raise InputError(f"token ids outside 0 ... {vocab_size - 1}; use the model's own tokenizer")
        if self.max_new_tokens < (0 if self.prompt_logprobs is not None else 1):
            raise InputError(f"max_new_tokens {self.max_new_tokens}; ask for at least 1")
        numbers = (
            ("temperature", self.temperature, 0.0, math.inf),
            ("top_k", self.top_k, 0, math.inf),
            ("min_p", self.min_p, 0.0, 1.0),
            ("presence_penalty", self.presence_penalty, -math.inf, math.inf),
            ("frequency_penalty", self.frequency_penalty, -math.inf, math.inf),
            ("n", self.n, 1, 128),
            ("logprobs", self.logprobs or 0, 0, MAX_ALTERNATIVES),
            ("prompt_logprobs", self.prompt_logprobs or 0, 0, MAX_ALTERNATIVES),
        )
        for name, value, low, high in numbers:
            if not (math.isfinite(value) and low <= value <= high):
                raise InputError(f"{name} {value}; it must be in [{low}, {high}]")
        if not 0 < self.top_p <= 1:
            raise InputError(f"top_p {self.top_p}; it must be in (0, 1]")
        if not 0 < self.repetition_penalty < math.inf:
            raise InputError(f"repetition_penalty {self.repetition_penalty}; it must be above 0")
        for token, bias in self.logit_bias.items():
            if not 0 <= token < vocab_size or math.isnan(bias):
                raise InputError(f"logit_bias {token}: {bias}; it takes ids of 0 ... {vocab_size - 1} and numbers")
        if any(not text for text in self.stop_texts):
            raise InputError("stop: an empty text would stop at once; leave it out")


@dataclass
class Completion:
    """What one continuation has so far. `logprobs` and `alternatives` belong to `tokens` one to one, where asked for;
    an alternative is (token, log-probability), the likeliest first. finish_reason: None until it has ended."""

    tokens: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    alternatives: list[Alternatives] = field(default_factory=list)
    finish_reason: Reason | None = None


@dataclass
class Output:
    """What one request got: its completions, and of the prompt's tokens from the second on the log-probabilities and
    alternatives, where asked for. cached_tokens: of the prompt, that a prefix hit spared."""

    request: Request
    completions: list[Completion]
    prompt_logprobs: list[float] = field(default_factory=list)
    prompt_alternatives: list[Alternatives] = field(default_factory=list)
    cached_tokens: int = 0

    @property
    def finished(self) -> bool:
        return all(completion.finish_reason for completion in self.completions)


@dataclass(eq=False)
class Sequence:
    """One continuation on its way through the engine.

    tokens: prompt and what came since, at most `limit`. computed: so many of them have keys and values in the blocks of
    `table`. rank: (arrival, index among the request's n), kept through preemption. registered: so many blocks, from the
    first, are known to the prefix cache, the last of them by `serial`. leads: its siblings are forked from it once the
    prompt is computed. overtaken: how often a later request was admitted before it. stop, matcher: see the request's
    stop texts and follow its grammar, where it has any.
    """

    output: Output
    rank: tuple[int, int]
    limit: int
    key: np.ndarray
    tokens: list[int]
    stop: StopTexts | None = None
    matcher: Matcher | None = None
    computed: int = 0
    table: list[int] = field(default_factory=list)
    registered: int = 0
    serial: int = 0
    overtaken: int = 0
    leads: bool = False
    draft: list[int] = field(default_factory=list)

    @property
    def request(self) -> Request:
        return self.output.request

    @property
    def kin(self) -> str:
        """What a prefix must have in common beside its tokens."""
        return f"{self.request.adapter}\0{self.request.salt}"

    @property
    def completion(self) -> Completion:
        return self.output.completions[self.rank[1]]

    @property
    def width(self) -> int:
        """How many sequences it is, or will be once its prompt is computed."""
        return self.request.n if self.leads else 1

    @property
    def wants_prompt(self) -> bool:
        """Are log-probabilities of the prompt asked for, and not all there?"""
        request = self.request
        return request.prompt_logprobs is not None and len(self.output.prompt_logprobs) + 1 < len(request.prompt)

    @property
    def room(self) -> int:
        """Tokens that it may still get."""
        return self.limit - len(self.tokens)

    @property
    def remaining(self) -> int:
        """Tokens whose keys and values are still to be computed."""
        return len(self.tokens) - self.computed


def sequence_of(
    output: Output, rank: tuple[int, int], limit: int, decode: Callable[[list[int]], str] | None = None
) -> Sequence:
    """Make a sequence of a request: that of its completion rank[1]. decode: token ids to text, for stop texts."""
    request = output.request
    seed = (request.seed,) if isinstance(request.seed, int) else tuple(request.seed)
    seed = tuple(number & (2**64 - 1) for number in (*seed, rank[1]))
    return Sequence(
        output,
        rank,
        limit,
        key=np.random.SeedSequence(seed).generate_state(2, np.uint64),
        tokens=list(request.prompt),
        stop=StopTexts(decode, request.stop_texts) if decode is not None and request.stop_texts else None,
        matcher=None if request.grammar is None else request.grammar.matcher(),
    )
