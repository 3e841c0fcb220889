"""The block manager under random use: no leak, no double free, no shared block written, no wrong hit."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from llm.inference.blocks import ROOT, BlockManager, chained_hash

SIZE, BLOCKS = 2, 9


class User:
    """What a sequence does: its tokens are written to its blocks one by one."""

    def __init__(self, tokens: list[int], salt: str) -> None:
        self.tokens, self.salt = tokens, salt
        self.table: list[int] = []
        self.written = self.registered = 0
        self.serial = ROOT


class Machine(RuleBasedStateMachine):
    """`memory` is what a real cache would hold: (all tokens up to there, salt) by block and slot."""

    hash_of = staticmethod(chained_hash)

    def __init__(self) -> None:
        super().__init__()
        self.blocks = BlockManager(BLOCKS, SIZE, hash_of=self.hash_of)
        self.users: list[User] = []
        self.memory: dict[tuple[int, int], tuple] = {}

    @rule(tokens=st.lists(st.integers(0, 1), min_size=1, max_size=7), salt=st.sampled_from(["", "tenant"]))
    def start(self, tokens: list[int], salt: str) -> None:
        user = User(tokens, salt)
        found = self.blocks.find(tokens[:-1], salt)
        idle = sum(self.blocks.references[block] == 0 for block in found)
        if self.blocks.blocks_for(len(tokens)) - len(found) > self.blocks.n_free - idle:
            return
        for block in found:
            self.blocks.hold(block)
        user.table, user.registered = list(found), len(found)
        user.written = len(found) * SIZE
        user.serial = self.blocks.serial_of(found[-1]) if found else ROOT
        for place in range(user.written):  # a hit holds what this user would have written
            assert self.memory[found[place // SIZE], place % SIZE] == (tuple(tokens[: place + 1]), salt)
        while len(user.table) < self.blocks.blocks_for(len(tokens)):
            user.table.append(self.blocks.allocate())
        self.users.append(user)

    @precondition(lambda self: self.users)
    @rule(data=st.data())
    def write(self, data: st.DataObject) -> None:
        user = data.draw(st.sampled_from(self.users))
        if user.written == len(user.tokens):
            user.tokens.append(data.draw(st.integers(0, 1)))
        index = user.written // SIZE
        shared = index < len(user.table) and self.blocks.references[user.table[index]] > 1
        if (index >= len(user.table) or shared) and not self.blocks.n_free:
            return
        if index >= len(user.table):
            user.table.append(self.blocks.allocate())
        elif shared:
            source, target = self.blocks.make_writable(user.table, index)
            for slot in range(user.written % SIZE):
                self.memory[target, slot] = self.memory[source, slot]
        assert self.blocks.references[user.table[index]] == 1  # nobody else reads what is written now
        user.written += 1
        self.memory[user.table[index], (user.written - 1) % SIZE] = (tuple(user.tokens[: user.written]), user.salt)
        if user.written % SIZE == 0 and user.registered == index and user.serial >= 0:
            part = user.tokens[index * SIZE : user.written]
            user.serial = self.blocks.register(user.table, index, user.serial, part, user.salt)
            user.registered += 1

    @precondition(lambda self: self.users)
    @rule(data=st.data())
    def fork(self, data: st.DataObject) -> None:
        user = data.draw(st.sampled_from(self.users))
        twin = User(list(user.tokens[: user.written]) or [0], user.salt)
        twin.table = list(user.table[: self.blocks.blocks_for(user.written)])
        twin.written, twin.registered, twin.serial = user.written, user.registered, user.serial
        for block in twin.table:
            self.blocks.hold(block)
        self.users.append(twin)

    @precondition(lambda self: self.users)
    @rule(data=st.data())
    def stop(self, data: st.DataObject) -> None:
        user = data.draw(st.sampled_from(self.users))
        self.users.remove(user)
        self.blocks.release(user.table)

    @invariant()
    def counts_hold(self) -> None:
        self.blocks.check([user.table for user in self.users])
        for user in self.users:
            for place in range(user.written):
                seen = self.memory[user.table[place // SIZE], place % SIZE]
                assert seen == (tuple(user.tokens[: place + 1]), user.salt)


class Colliding(Machine):
    """Two hashes in all: nearly every lookup meets another block's content."""

    hash_of = staticmethod(lambda parent, tokens, salt: bytes([sum(tokens) % 2]))


TestBlocks = Machine.TestCase
TestCollisions = Colliding.TestCase
TestBlocks.settings = TestCollisions.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_a_double_free_is_an_error() -> None:
    blocks = BlockManager(2, 4)
    block = blocks.allocate()
    blocks.release([block])
    with pytest.raises(ValueError, match=f"block {block} is released twice"):
        blocks.release([block])


def test_the_tail_of_a_prefix_goes_first() -> None:
    blocks = BlockManager(4, 1)
    table: list[int] = []
    serial = ROOT
    for index in range(3):
        table.append(blocks.allocate())
        serial = blocks.register(table, index, serial, [index], "")
    blocks.release(table)
    kept = [len(blocks.find([0, 1, 2], ""))]
    for _ in range(4):
        blocks.allocate()
        kept.append(len(blocks.find([0, 1, 2], "")))
    assert kept == [3, 3, 2, 1, 0]  # the block that was never used, then the last of the prefix first


def test_tenants_and_adapters_do_not_meet() -> None:
    blocks = BlockManager(4, 2)
    table = [blocks.allocate()]
    blocks.register(table, 0, ROOT, [5, 6], "a")
    assert blocks.find([5, 6], "a") == table
    assert blocks.find([5, 6], "b") == blocks.find([5, 7], "a") == blocks.find([5], "a") == []
