"""Who is computed when: shares of the budget, rank, bounds on waiting. Real sequences and blocks, no model."""

import random

from hypothesis import given
from hypothesis import strategies as st

from llm.inference.blocks import BlockManager
from llm.inference.scheduler import Limits, Scheduler, Step, fair_shares
from llm.inference.sequence import Completion, Output, Request, Sequence, sequence_of

SIZE = 4


class Clerk:
    """Plays the engine: takes every step's tokens as computed, and gives each decoded sequence a token."""

    def __init__(self, n_blocks: int, sharing: bool = False, **limits: int) -> None:
        self.blocks = BlockManager(n_blocks, SIZE, sharing=sharing)
        self.scheduler = Scheduler(self.blocks, Limits(**limits))
        self.number = 0
        self.ended: list[Sequence] = []

    def add(self, prompt: int, new: int) -> Sequence:
        output = Output(Request([1] * prompt, new), [Completion()])
        sequence = sequence_of(output, (self.number, 0), prompt + new)
        self.number += 1
        self.scheduler.add(sequence)
        return sequence

    def step(self) -> Step:
        step = self.scheduler.schedule()
        for sequence, count in step.counts.items():
            sequence.computed += count
            self.scheduler.register(sequence)
            if not sequence.remaining:
                sequence.tokens.append(1)
                if len(sequence.tokens) == sequence.limit:
                    self.scheduler.remove(sequence)
                    self.ended.append(sequence)
        self.blocks.check([each.table for each in self.scheduler.running])
        return step


@given(st.lists(st.integers(1, 100), max_size=8), st.integers(0, 200))
def test_shares_are_fair(wanted: list[int], budget: int) -> None:
    shares = fair_shares(wanted, budget)
    assert sum(shares) == min(sum(wanted), budget)
    assert all(share <= want for share, want in zip(shares, wanted, strict=True))
    # Who does not get all it wants gets at most one token less than any other gets.
    least = min((share for share, want in zip(shares, wanted, strict=True) if share < want), default=None)
    assert least is None or max(shares) <= least + 1


def test_a_short_prompt_is_not_behind_a_long_one() -> None:
    clerk = Clerk(400, token_budget=64)
    long = clerk.add(1000, 5)
    clerk.step()
    short = clerk.add(20, 5)
    step = clerk.step()
    assert step.counts[short] == 20 and step.counts[long] == 44
    assert len(short.tokens) == 21  # its first token came in the step after it arrived


def test_decoding_goes_on_beside_a_long_prompt() -> None:
    clerk = Clerk(400, token_budget=32)
    talkers = [clerk.add(4, 50) for _ in range(5)]
    clerk.step()
    clerk.add(1000, 1)
    for _ in range(20):
        before = [len(each.tokens) for each in talkers]
        step = clerk.step()
        assert [len(each.tokens) for each in talkers] == [length + 1 for length in before]
        assert sum(step.counts.values()) == 32


def test_light_requests_pass_a_heavy_one_so_many_times_and_no_more() -> None:
    clerk = Clerk(20, token_budget=256, overtakes=3)
    first = clerk.add(40, 20)  # holds 10 of 20 blocks, and more and more
    clerk.step()
    heavy = clerk.add(60, 2)
    light = [clerk.add(4, 2) for _ in range(12)]
    while heavy not in clerk.ended:
        clerk.step()
    assert [each for each in clerk.ended if each in light and clerk.ended.index(each) < clerk.ended.index(first)] == (
        light[:3]
    )
    assert heavy.overtaken == 3
    while clerk.scheduler.running or clerk.scheduler.waiting:
        clerk.step()
    assert len(clerk.ended) == 14


def test_a_preempted_sequence_keeps_its_place() -> None:
    clerk = Clerk(6, token_budget=64)
    old, young = clerk.add(8, 16), clerk.add(8, 16)
    while not clerk.scheduler.preemptions:
        clerk.step()
    late = clerk.add(4, 4)
    assert clerk.scheduler.waiting == [young, late] and clerk.scheduler.running == [old]
    while clerk.scheduler.running or clerk.scheduler.waiting:
        clerk.step()
    assert clerk.ended.index(old) < clerk.ended.index(young)


def test_waiting_has_a_bound() -> None:
    """With light requests arriving for ever: a heavy one waits until those that passed it, and those that ran, are
    through. All that is counted is steps."""
    for seed in range(20):
        chance = random.Random(seed)
        clerk = Clerk(16, token_budget=32, max_sequences=8, overtakes=4)
        for _ in range(6):
            clerk.add(chance.randrange(1, 12), chance.randrange(1, 12))
        clerk.step()
        heavy, waited = clerk.add(50, 4), 0
        while not heavy.table:
            clerk.add(chance.randrange(1, 12), chance.randrange(1, 12))
            clerk.step()
            waited += 1
            assert waited < 200


def test_who_waits_for_a_shared_beginning_waits_no_longer_than_it_takes() -> None:
    """Nothing that another computes is computed again, others pass meanwhile, but not more than `overtakes`."""
    clerk = Clerk(400, sharing=True, token_budget=16, overtakes=3)
    clerk.add(40, 2)
    follower, blocked = clerk.add(44, 2), 0
    clerk.step()
    assert not follower.table
    while not follower.table:
        clerk.step()
        blocked += 1
    assert blocked == 3 and follower.output.cached_tokens == 40
    while clerk.scheduler.running:
        clerk.step()
    clerk.blocks.forget()
    clerk.add(100, 2)
    follower = clerk.add(104, 2)
    light = [clerk.add(3, 1) for _ in range(7)]  # less than a block: they wait for nobody
    clerk.step()
    assert follower.overtaken == 3 and not follower.table and not light[3].table
    clerk.step()
    assert follower.table
