"""Runs requests: the loop over scheduler, model runner and sampler. `generate` is the call for scripts and rollouts,
`add`, `step` and `abort` are those of a server.

    engine = Engine(model)
    outputs = engine.generate([Request(prompt, max_new_tokens=64, temperature=1.0, seed=7, logprobs=0)])
    outputs[0].completions[0].tokens, outputs[0].completions[0].logprobs
"""

from collections.abc import Callable, Iterator, Mapping
from collections.abc import Sequence as Listing
from dataclasses import dataclass
from itertools import count

import torch
from torch import Tensor

from llm.errors import InputError
from llm.inference.adapters import Adapter, adapt
from llm.inference.attention import BLOCK, KVPool, Threads, best_way, block_bytes
from llm.inference.blocks import BlockManager
from llm.inference.lookup import guessed
from llm.inference.runner import ROWS_OF_LOGITS, ModelRunner, logits_as_computed, rows_with_logits
from llm.inference.sampler import alternatives, argmax, choose, is_plain, log_softmax
from llm.inference.scheduler import Limits, Scheduler
from llm.inference.sequence import Alternatives, Completion, Output, Reason, Request, Sequence, sequence_of
from llm.model.transformer import CausalLM
from llm.runtime.malloc import give_back_code, give_back_freed_memory


@dataclass(frozen=True)
class EngineSettings:
    """kv_bytes: of the key-value cache, which is made at the start and never grows. kv_dtype: what it holds, the
    model's dtype unless said; bfloat16 and int8 save memory and change results. deterministic: attention in one fixed
    order; without it torch's own, whose bytes depend on the batch. draft_tokens: how many tokens are guessed ahead from
    what was said before; 0: none. It changes no byte."""

    kv_bytes: int = 256 * 2**20
    kv_dtype: torch.dtype | None = None
    limits: Limits = Limits()
    prefix_sharing: bool = True
    deterministic: bool = True
    draft_tokens: int = 0


@dataclass(frozen=True)
class Event:
    """One new token of a request's completion, with its log-probability and alternatives where asked for. token -1: the
    prompt alone was asked for, and is done. finished: it was the last, and why."""

    request: int
    completion: int
    token: int
    finished: str | None
    logprob: float | None = None
    alternatives: Alternatives | None = None


class Engine:
    """`model` stays the caller's: after its weights have changed, call `forget_prefixes`. decode: token ids to text,
    for `stop_texts`. adapters: by name; their layers are replaced in `model` by such that can add them."""

    def __init__(
        self,
        model: CausalLM,
        settings: EngineSettings | None = None,
        decode: Callable[[list[int]], str] | None = None,
        adapters: Mapping[str, Adapter] | None = None,
    ) -> None:
        settings = settings or EngineSettings()
        self.adapters = adapters or {}
        groups = adapt(model, self.adapters)
        self.model, self.settings, self.decode = model, settings, decode
        config, weight = model.config, model.model.embed_tokens.weight
        dtype = settings.kv_dtype or weight.dtype
        per_block = block_bytes(config, dtype)
        # More than all sequences at full length would never be used.
        useful = settings.limits.max_sequences * -(-config.context_length // BLOCK)
        n_blocks = min(settings.kv_bytes // per_block, useful)
        if n_blocks < 1:
            raise InputError(
                f"kv_bytes: {settings.kv_bytes:,} hold no block of {BLOCK} tokens ({per_block:,} bytes); give more"
            )
        self.blocks = BlockManager(n_blocks, BLOCK, sharing=settings.prefix_sharing)
        self.scheduler = Scheduler(self.blocks, settings.limits)
        way = best_way(weight.device, settings.deterministic)
        pool = KVPool(config, n_blocks, dtype, weight.device)
        self.runner = ModelRunner(model, pool, way, Threads(torch.get_num_threads()), groups)
        self.sequences: dict[int, list[Sequence]] = {}
        self.numbers = count()

    def generate(self, requests: Listing[Request]) -> list[Output]:
        """Run the requests to their end; outputs in their order. Raises InputError, which names the request, before
        anything runs."""
        for index, request in enumerate(requests):
            try:
                self.check(request)
            except InputError as error:
                raise InputError(f"request {index}: {error}") from None
        outputs = [self.output(self.add(request)) for request in requests]
        while self.has_work:
            self.step()
        return outputs

    @property
    def longest(self) -> int:
        """How many tokens a sequence can come to: as many as the context and the cache have room for."""
        return min(self.model.config.context_length, self.blocks.n_blocks * self.blocks.block_size)

    def check(self, request: Request) -> None:
        """Raise InputError for a request that could never run."""
        config = self.model.config
        request.validate(config.context_length, config.vocab_size)
        longest = request.longest(config.context_length)
        if self.blocks.blocks_for(longest) > self.blocks.n_blocks:
            raise InputError(
                f"{longest} tokens need {self.blocks.blocks_for(longest)} blocks, the key-value cache has "
                f"{self.blocks.n_blocks}; ask for fewer, or give it more memory (kv_bytes)"
            )
        if request.n > self.settings.limits.max_sequences:
            raise InputError(f"n {request.n}; at most {self.settings.limits.max_sequences} sequences run at once")
        if request.adapter and request.adapter not in self.adapters:
            raise InputError(f"adapter {request.adapter!r}: there is none of this name; {', '.join(self.adapters)}")
        if request.stop_texts and self.decode is None:
            raise InputError("stop_texts: this engine was made without a tokenizer; use stop_ids")

    def add(self, request: Request) -> int:
        """Let a request wait; returns its number. Raises InputError for one that could never run."""
        self.check(request)
        number = next(self.numbers)
        output = Output(request, [Completion() for _ in range(request.n)])
        leader = sequence_of(output, (number, 0), request.longest(self.model.config.context_length), self.decode)
        leader.leads = request.n > 1
        self.sequences[number] = [leader]
        self.scheduler.add(leader)
        return number

    def output(self, number: int) -> Output:
        """Return what a request that is not finished has got."""
        return self.sequences[number][0].output

    def abort(self, number: int) -> None:
        """End a request in whatever state it is. One that has ended, or never was, is no error."""
        for sequence in self.sequences.get(number, []):
            for completion in sequence.output.completions:
                completion.finish_reason = completion.finish_reason or "abort"
            self.end(sequence)

    def warm_up(self) -> None:
        """Answer what nobody asked, so that who asks first need not wait for what a first call makes, and give back
        what that alone took: on a CPU 15 MB of machine code and freed memory."""
        self.generate([Request((0,), 1)])
        self.forget_prefixes()
        give_back_code()
        give_back_freed_memory()

    def forget_prefixes(self) -> None:
        """Drop cached prefixes: needed after the weights have changed. Raises RuntimeError while requests run."""
        if self.has_work:
            raise RuntimeError("requests are running; the keys and values they have are of the old weights")
        self.blocks.forget()
        self.runner.forget()

    @property
    def running(self) -> Listing[Sequence]:
        """The sequences that have blocks, in the order of their arrival."""
        return self.scheduler.running

    @property
    def has_work(self) -> bool:
        return bool(self.scheduler.waiting or self.scheduler.running)

    @torch.inference_mode()
    def step(self) -> list[Event]:
        """Compute the next step, and return the tokens that came."""
        for sequence in self.scheduler.running if self.settings.draft_tokens else ():
            if sequence.remaining == 1 and not sequence.leads:  # siblings share what a leader has computed, no more
                sequence.draft = guessed(sequence.tokens, min(self.settings.draft_tokens, sequence.room - 1))
        step = self.scheduler.schedule()
        if not step.counts:
            return []
        needed = {sequence: rows_with_logits(sequence, n_tokens) for sequence, n_tokens in step.counts.items()}
        hidden_RD = self.runner.run(step, needed)
        logits = self.each_row(hidden_RD, any(is_plain(sequence.request) for sequence in step.counts))
        events = []
        for sequence, n_tokens in step.counts.items():
            events += self.taken(sequence, n_tokens, needed[sequence], logits)
        return events

    def each_row(self, hidden_RD: Tensor, plain: bool) -> Iterator[tuple[Tensor, int]]:
        """Yield (logits [V], the likeliest token) of the rows; without `plain` nobody asks for that token."""
        for begin in range(0, len(hidden_RD), ROWS_OF_LOGITS):
            logits_RV = logits_as_computed(self.model, hidden_RD[begin : begin + ROWS_OF_LOGITS])
            likeliest_R = argmax(logits_RV) if plain else [-1] * len(logits_RV)
            yield from zip(logits_RV, likeliest_R, strict=True)

    def taken(
        self, sequence: Sequence, n_tokens: int, needed: range, logits: Iterator[tuple[Tensor, int]]
    ) -> list[Event]:
        """Take what was computed of a sequence: its prompt's log-probabilities, then new tokens as far as the draft was
        right."""
        known, begin = len(sequence.tokens), sequence.computed
        supposed, sequence.draft = [sequence.tokens[-1], *sequence.draft], []
        sequence.computed = min(begin + n_tokens, known)
        new = [sequence]
        events: list[Event] = []
        for position in range(begin + needed.start, begin + needed.stop):
            logits_V, likeliest = next(logits)
            if position + 1 < known:
                self.note_prompt(sequence.output, position + 1, logits_V)
                continue
            right = sequence.tokens[position:] == [supposed[position + 1 - known]]
            if right and sequence.completion.finish_reason is None:
                siblings = self.scheduler.fork(sequence, self.decode)
                self.sequences[sequence.rank[0]] += siblings
                new += siblings
                events += [self.appended(each, logits_V, likeliest) for each in (sequence, *siblings)]
                sequence.computed = position + 1
        self.scheduler.register(sequence)
        if sequence.request.max_new_tokens == 0 and sequence.computed == known:
            for index, completion in enumerate(sequence.output.completions):
                completion.finish_reason = "length"
                events.append(Event(sequence.rank[0], index, -1, "length"))
        for each in new:
            if each.completion.finish_reason is not None:
                self.end(each)
        return events

    def note_prompt(self, output: Output, position: int, logits_V: Tensor) -> None:
        """Keep how likely the prompt's token at `position` is."""
        log_probs_V = log_softmax(logits_V)
        output.prompt_logprobs.append(float(log_probs_V[output.request.prompt[position]]))
        output.prompt_alternatives.append(alternatives(log_probs_V, output.request.prompt_logprobs or 0))

    def appended(self, sequence: Sequence, logits_V: Tensor, likeliest: int) -> Event:
        """Choose a sequence's next token, and see whether it is the last."""
        request, completion = sequence.request, sequence.completion
        token = likeliest if is_plain(request) else choose(logits_V.float(), sequence)
        if request.logprobs is not None:
            log_probs_V = log_softmax(logits_V)
            completion.logprobs.append(float(log_probs_V[token]))
            completion.alternatives.append(alternatives(log_probs_V, request.logprobs))
        sequence.tokens.append(token)
        completion.tokens.append(token)
        completion.finish_reason = ended(sequence, token)
        told = (completion.logprobs[-1], completion.alternatives[-1]) if request.logprobs is not None else (None, None)
        return Event(*sequence.rank, token, completion.finish_reason, *told)

    def end(self, sequence: Sequence) -> None:
        """Free what a finished sequence holds."""
        self.scheduler.remove(sequence)
        if sequence.output.finished:
            self.sequences.pop(sequence.rank[0], None)


def ended(sequence: Sequence, token: int) -> Reason | None:
    """Say why a sequence ends with its new token; None where it goes on."""
    if sequence.matcher is not None:
        sequence.matcher.consume_token(token)
        if sequence.matcher.is_error():  # the grammar has become larger than the library's limits
            return "abort"
    fulfilled = sequence.matcher is not None and sequence.matcher.is_stopped()
    if token in sequence.request.stop_ids or fulfilled or (sequence.stop is not None and sequence.stop.add(token)):
        return "stop"
    return None if sequence.room else "length"


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
    stop_ids: Listing[int] = (),
) -> list[list[int]]:
    """Return the new tokens of each prompt; prompt i draws from the random stream (seed, i). See Request."""
    requests = [
        Request(
            prompt,
            max_new_tokens,
            temperature,
            top_k,
            top_p,
            repetition_penalty=repetition_penalty,
            seed=(seed, index),
            stop_ids=stop_ids,
        )
        for index, prompt in enumerate(prompts)
    ]
    return [output.completions[0].tokens for output in Engine(model).generate(requests)]
