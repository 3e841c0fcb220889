"""Shares out the blocks of a paged key-value cache: a pool of fixed blocks, reference counts, copy on write, and
prefixes that later sequences find again (Kwon et al. 2023, PagedAttention).

It knows numbers of blocks only; llm/inference/attention.py has the tensors. A full block can be registered under the
hash of its parent's hash, its tokens and a salt (adapter and tenant); a hit counts only when all of these are compared
and equal. A block that nobody holds keeps its content until it is needed for another, the one that was let go first
before all others; a sequence lets its blocks go from the last to the first, so a prefix outlives what continues it.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

ROOT = 0


def chained_hash(parent: bytes, tokens: tuple[int, ...], salt: str) -> bytes:
    """Return the name of a block that follows the block named `parent` (b"" for the first)."""
    data = parent + np.asarray(tokens, np.int64).tobytes() + salt.encode()
    return hashlib.blake2b(data, digest_size=16).digest()


@dataclass(frozen=True)
class Content:
    """What a registered block holds. `serial` is never used twice; `parent` is the serial of the block before."""

    block: int
    digest: bytes
    parent: int
    serial: int
    tokens: tuple[int, ...]
    salt: str


class OutOfBlocks(Exception):
    """No block is free. The scheduler asks first, so it is a mistake to see this."""


class BlockManager:
    """Hands out blocks 0 ... n_blocks - 1 of `block_size` tokens. sharing: whether prefixes are kept and found."""

    def __init__(
        self,
        n_blocks: int,
        block_size: int,
        *,
        sharing: bool = True,
        hash_of: Callable[[bytes, tuple[int, ...], str], bytes] = chained_hash,
    ) -> None:
        self.n_blocks, self.block_size, self.sharing, self.hash_of = n_blocks, block_size, sharing, hash_of
        self.references = [0] * n_blocks
        self.idle: OrderedDict[int, None] = OrderedDict.fromkeys(range(n_blocks))  # the next to be used first
        self.contents: dict[int, Content] = {}  # by block
        self.by_digest: dict[bytes, Content] = {}
        self.by_serial: dict[int, Content] = {}
        self.last_serial = ROOT
        self.evictions = 0

    @property
    def n_free(self) -> int:
        return len(self.idle)

    def blocks_for(self, n_tokens: int) -> int:
        return -(-n_tokens // self.block_size)

    def allocate(self) -> int:
        """Return a block of one's own; what it held is forgotten."""
        if not self.idle:
            raise OutOfBlocks("no block is free; ask n_free first")
        block, _ = self.idle.popitem(last=False)
        content = self.contents.pop(block, None)
        if content is not None:
            del self.by_digest[content.digest], self.by_serial[content.serial]
            self.evictions += 1
        self.references[block] = 1
        return block

    def hold(self, block: int) -> None:
        """Take one more reference to a block that is held, or registered and idle."""
        self.references[block] += 1
        self.idle.pop(block, None)

    def release(self, table: list[int]) -> None:
        """Let a sequence's blocks go, the last one first, and empty its table."""
        while table:
            self.let_go(table.pop())

    def let_go(self, block: int) -> None:
        if self.references[block] < 1:
            raise ValueError(f"block {block} is released twice")
        self.references[block] -= 1
        if not self.references[block]:
            self.idle[block] = None
            if block not in self.contents:  # nobody can find it: use it before any that could be a hit
                self.idle.move_to_end(block, last=False)

    def make_writable(self, table: list[int], index: int) -> tuple[int, int] | None:
        """See to it that nobody else reads table[index]. Returns (from, to) where its content has to be copied."""
        block = table[index]
        if self.references[block] == 1:
            return None
        table[index] = self.allocate()
        self.references[block] -= 1
        return block, table[index]

    def find(self, tokens: Sequence[int], salt: str) -> list[int]:
        """Return the registered blocks that hold the beginning of `tokens`, whole blocks only. They are not held."""
        found: list[int] = []
        digest, parent = b"", ROOT
        while self.sharing and (len(found) + 1) * self.block_size <= len(tokens):
            begin = len(found) * self.block_size
            part = tuple(tokens[begin : begin + self.block_size])
            digest = self.hash_of(digest, part, salt)
            content = self.by_digest.get(digest)
            if content is None or (content.parent, content.tokens, content.salt) != (parent, part, salt):
                break
            found.append(content.block)
            parent = content.serial
        return found

    def register(self, table: list[int], index: int, parent: int, tokens: Sequence[int], salt: str) -> int:
        """Make the full block table[index] known, which follows the registered block with serial `parent` (ROOT for the
        first). Where an equal block is known, the table takes that one in its place. Returns the block's serial, or -1
        where it cannot be known: sharing is off, the parent is unknown, or another block has this hash."""
        if not self.sharing or (parent != ROOT and parent not in self.by_serial):
            return -1
        part = tuple(tokens)
        digest = self.hash_of(self.by_serial[parent].digest if parent != ROOT else b"", part, salt)
        known = self.by_digest.get(digest)
        block = table[index]
        if known is not None:
            if (known.parent, known.tokens, known.salt) != (parent, part, salt):
                return -1
            if known.block != block:
                self.hold(known.block)
                table[index] = known.block
                self.let_go(block)
            return known.serial
        if block in self.contents:
            return -1
        self.last_serial += 1
        content = Content(block, digest, parent, self.last_serial, part, salt)
        self.contents[block] = self.by_digest[digest] = self.by_serial[content.serial] = content
        return content.serial

    def serial_of(self, block: int) -> int:
        """Return the serial of a registered block."""
        return self.contents[block].serial

    def forget(self) -> None:
        """Drop every cached prefix, for instance because the weights have changed."""
        self.contents.clear()
        self.by_digest.clear()
        self.by_serial.clear()

    def check(self, tables: Sequence[Sequence[int]]) -> None:
        """Raise AssertionError unless the counts are those of `tables`, all that hold blocks."""
        counted = [0] * self.n_blocks
        for table in tables:
            for block in table:
                counted[block] += 1
        assert counted == self.references
        assert {block for block, count in enumerate(counted) if not count} == set(self.idle)
        assert {content.block: content for content in self.by_digest.values()} == self.contents
        for content in self.contents.values():
            assert content.parent == ROOT or content.parent in self.by_serial
