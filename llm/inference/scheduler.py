"""Decides, step by step, which tokens of which sequences are computed next: continuous batching (Yu et al. 2022, Orca)
with chunked prefill (Agrawal et al. 2023, Sarathi) under one budget of tokens.

The order is that of arrival, and a sequence keeps its rank for life. A step takes one token of every running sequence
that has its prompt behind it, then shares what is left of the budget among the prompts, the short ones in whole, so
that a long prompt delays nobody. Where blocks run out, the sequence that came last gives its own back and computes
again later.

A sequence whose blocks are not free lets later, lighter ones pass, but at most `overtakes` of them; then nobody is
admitted before it, and it starts when enough of the running ones have ended, each of which ends after its
max_new_tokens at the latest. The first in rank is never preempted, so something always goes on.

A sequence whose next block a running one is just computing waits for that, as if it were not free: of requests that
come together and begin alike, one computes the beginning.
"""

import bisect
from collections.abc import Callable
from dataclasses import dataclass, field

from llm.inference.blocks import BlockManager
from llm.inference.sequence import Sequence, sequence_of


@dataclass(frozen=True)
class Limits:
    """token_budget: tokens of a step. max_sequences: that run at once, the completions of one request counted each.
    overtakes: how many later sequences may be admitted before a blocked one."""

    token_budget: int = 512
    max_sequences: int = 64
    overtakes: int = 32


@dataclass
class Step:
    """What to compute: `counts`, for each sequence how many of its tokens (with its draft) after those computed; and
    the blocks to copy before that, (from, to)."""

    counts: dict[Sequence, int] = field(default_factory=dict)
    copies: list[tuple[int, int]] = field(default_factory=list)


class Scheduler:
    """`waiting` and `running` are sorted by rank."""

    def __init__(self, blocks: BlockManager, limits: Limits) -> None:
        self.blocks, self.limits = blocks, limits
        self.waiting: list[Sequence] = []
        self.running: list[Sequence] = []
        self.preemptions = 0
        self.hit_tokens = 0
        self.asked_tokens = 0

    def add(self, sequence: Sequence) -> None:
        """Let a sequence wait in its place."""
        bisect.insort(self.waiting, sequence, key=lambda each: each.rank)

    def fork(self, leader: Sequence, decode: Callable[[list[int]], str] | None) -> list[Sequence]:
        """Return the siblings of a sequence whose prompt is computed, once. They share its blocks, and run."""
        siblings: list[Sequence] = []
        while leader.leads and len(siblings) + 1 < leader.request.n:
            rank = (leader.rank[0], len(siblings) + 1)
            sibling = sequence_of(leader.output, rank, leader.limit, decode)
            sibling.computed, sibling.registered, sibling.serial = leader.computed, leader.registered, leader.serial
            sibling.table = list(leader.table)
            for block in sibling.table:
                self.blocks.hold(block)
            bisect.insort(self.running, sibling, key=lambda each: each.rank)
            siblings.append(sibling)
        leader.leads = False
        return siblings

    def register(self, sequence: Sequence) -> None:
        """Make the blocks known that a sequence has filled."""
        size, table = self.blocks.block_size, sequence.table
        while sequence.serial >= 0 and (sequence.registered + 1) * size <= sequence.computed:
            index = sequence.registered
            part = sequence.tokens[index * size : (index + 1) * size]
            sequence.serial = self.blocks.register(table, index, sequence.serial, part, sequence.kin)
            sequence.registered += 1

    def remove(self, sequence: Sequence) -> None:
        """Forget a sequence, whatever its state, and free its blocks."""
        for listing in (self.waiting, self.running):
            if sequence in listing:
                listing.remove(sequence)
        self.blocks.release(sequence.table)

    def schedule(self) -> Step:
        """Choose the next step; empty where nothing waits or runs."""
        step = Step()
        for sequence in list(self.running):
            if sequence in self.running and sequence.remaining == 1:
                self.decode(sequence, step)
        self.admit()
        prompts = [sequence for sequence in self.running if sequence not in step.counts]
        left = self.limits.token_budget - sum(step.counts.values())
        for sequence, share in zip(prompts, fair_shares([each.remaining for each in prompts], left), strict=True):
            if share:
                step.counts[sequence] = share
        return step

    def decode(self, sequence: Sequence, step: Step) -> None:
        """Plan a sequence's next token and its draft, if the budget has room for it; find blocks for them."""
        left = self.limits.token_budget - sum(step.counts.values())
        if left < 1:
            return
        del sequence.draft[left - 1 :]
        if self.missing(sequence) > self.blocks.n_free:
            sequence.draft.clear()
        while (missing := self.missing(sequence)) > self.blocks.n_free:
            victim = self.running[-1]
            self.preempt(victim, step)
            if victim is sequence:
                return
        index = sequence.computed // self.blocks.block_size
        if missing and index < len(sequence.table):
            copy = self.blocks.make_writable(sequence.table, index)
            step.copies += [copy] if copy else []
        self.extend(sequence, sequence.computed + 1 + len(sequence.draft))
        step.counts[sequence] = 1 + len(sequence.draft)

    def missing(self, sequence: Sequence) -> int:
        """Return how many blocks a sequence's next tokens need: new ones, and a copy of a shared one."""
        end = sequence.computed + 1 + len(sequence.draft)
        index = sequence.computed // self.blocks.block_size
        shared = index < len(sequence.table) and self.blocks.references[sequence.table[index]] > 1
        return max(0, self.blocks.blocks_for(end) - len(sequence.table)) + shared

    def extend(self, sequence: Sequence, n_tokens: int) -> None:
        while len(sequence.table) < self.blocks.blocks_for(n_tokens):
            sequence.table.append(self.blocks.allocate())

    def preempt(self, sequence: Sequence, step: Step) -> None:
        """Take a running sequence's blocks; it waits again, in its old place."""
        step.counts.pop(sequence, None)
        step.copies = [(source, target) for source, target in step.copies if target not in sequence.table]
        self.running.remove(sequence)
        self.blocks.release(sequence.table)
        sequence.computed = sequence.registered = sequence.serial = 0
        sequence.draft.clear()
        self.preemptions += 1
        self.add(sequence)

    def admit(self) -> None:
        """Start waiting sequences, in their order, while there is room."""
        blocked: list[Sequence] = []
        for sequence in list(self.waiting):
            active = sum(each.width for each in self.running)
            if self.running and active + sequence.width > self.limits.max_sequences:
                return
            known = [] if sequence.wants_prompt else self.blocks.find(sequence.tokens[:-1], sequence.kin)
            if self.is_underway(sequence, len(known)) or not self.place(sequence, known):
                blocked.append(sequence)
                if sequence.overtaken >= self.limits.overtakes:
                    return
                continue
            self.waiting.remove(sequence)
            bisect.insort(self.running, sequence, key=lambda each: each.rank)
            for each in blocked:
                each.overtaken += 1
            if any(each.overtaken >= self.limits.overtakes for each in blocked):
                return

    def is_underway(self, sequence: Sequence, n_known: int) -> bool:
        """Is a running sequence computing the block of this one's that follows those which are known? Who has been
        overtaken often enough does not wait for that."""
        if sequence.wants_prompt or not self.blocks.sharing or sequence.overtaken >= self.limits.overtakes:
            return False
        end = (n_known + 1) * self.blocks.block_size
        if end >= len(sequence.tokens):
            return False
        part = sequence.tokens[:end]
        return any(
            each.registered <= n_known and each.serial >= 0 and each.kin == sequence.kin and each.tokens[:end] == part
            for each in self.running
        )

    def place(self, sequence: Sequence, found: list[int]) -> bool:
        """Give a sequence blocks for its tokens, first those that were found of a known prefix. Returns whether there
        were enough. At least one token is left to compute, and all of them where the prompt's log-probabilities are
        asked for."""
        tokens, request = sequence.tokens, sequence.request
        idle = sum(self.blocks.references[block] == 0 for block in found)
        if self.blocks.blocks_for(len(tokens)) - len(found) > self.blocks.n_free - idle:
            return False
        for block in found:
            self.blocks.hold(block)
        sequence.table[:] = found
        sequence.registered = len(found)
        sequence.serial = self.blocks.serial_of(found[-1]) if found else 0
        sequence.computed = len(found) * self.blocks.block_size
        self.extend(sequence, len(tokens))
        self.hit_tokens += sequence.computed
        self.asked_tokens += len(tokens)
        if len(tokens) == len(request.prompt):
            sequence.output.cached_tokens = sequence.computed
        return True


def fair_shares(wanted: list[int], budget: int) -> list[int]:
    """Share a budget so that nobody gets less than another unless it wants less (max-min fairness)."""
    shares = [0] * len(wanted)
    order = sorted(range(len(wanted)), key=lambda index: (wanted[index], -index))
    for place, index in enumerate(order):  # the one that wants most comes last, and takes what is left
        shares[index] = min(wanted[index], budget // (len(order) - place))
        budget -= shares[index]
    return shares
