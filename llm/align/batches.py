"""Makes batches of encoded conversations and preference pairs, as an endless stream to train on and once to evaluate.

The order of the items is a function of (seed, step) alone. Padding goes to the right, where a causal model cannot see
it, so that no attention mask is needed. Shapes: B sequences of a batch, T tokens of its longest sequence.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from llm.errors import InputError

# Batches that are sorted by length together: enough to halve the padding, few enough to keep the order random.
WINDOW = 16


@dataclass(frozen=True)
class Example:
    """One conversation: ids, and a mask that is 1 on the assistant's tokens and their [EOS]; `kind` groups metrics."""

    ids: np.ndarray
    mask: np.ndarray
    kind: str
    value = 0.0

    @property
    def sides(self) -> tuple["Example", ...]:
        """What goes through the model: itself."""
        return (self,)


@dataclass(frozen=True)
class Pair:
    """One prompt with the preferred answer and the rejected one; `value`: the margin by which a reward model is to
    prefer it. reference: log p of both by the reference, where that is known before training."""

    chosen: Example
    rejected: Example
    kind: str
    value: float = 0.0
    reference: tuple[float, float] | None = None

    @property
    def sides(self) -> tuple[Example, ...]:
        """What goes through the model."""
        return self.chosen, self.rejected


@dataclass(frozen=True)
class Labelled:
    """An answer that is a good one (`value` 1) or a bad one (0); `mismatched`: the same prompt with another prompt's
    answer."""

    example: Example
    mismatched: Example
    value: float
    kind: str

    @property
    def sides(self) -> tuple[Example, ...]:
        """What goes through the model."""
        return self.example, self.mismatched


Item = Example | Pair | Labelled
P = TypeVar("P", bound=Any)


@dataclass(frozen=True)
class Batch:
    """Items, padded: their first sides, then their second ones. tokens_BT int64; mask_BT bool, true on the tokens to
    learn; length_B int64, without padding. values_B: of the items, fp32. targets: response tokens of the whole step's
    batch, of which these may be a part. packed: is it computed as one sequence (llm/align/packing.py)? reference_B:
    log p of each side by the reference, fp32, where it is known."""

    tokens_BT: Tensor
    mask_BT: Tensor
    length_B: Tensor
    values_B: Tensor
    targets: int
    packed: bool = False
    reference_B: Tensor | None = None

    def __len__(self) -> int:
        return len(self.values_B)

    def __getitem__(self, items: Tensor) -> "Batch":
        sides = len(self.length_B) // len(self)
        items = items.to(self.tokens_BT.device)
        rows = (torch.arange(sides, device=items.device)[:, None] * len(self) + items).flatten()
        tokens_BT, mask_BT, length_B = self.tokens_BT[rows], self.mask_BT[rows], self.length_B[rows]
        values_B = self.values_B[items]
        return Batch(tokens_BT, mask_BT, length_B, values_B, self.targets, self.packed, self.known(rows))

    def side(self, side: int) -> "Batch":
        """Return one side of every item, its padding cut."""
        rows = slice(side * len(self), (side + 1) * len(self))
        longest = int(self.length_B[rows].max())
        tokens_BT, mask_BT = self.tokens_BT[rows, :longest], self.mask_BT[rows, :longest]
        length_B, known = self.length_B[rows], self.known(rows)
        return Batch(tokens_BT, mask_BT, length_B, self.values_B, self.targets, self.packed, known)

    def known(self, rows: Tensor | slice) -> Tensor | None:
        """Return what the reference says of these rows."""
        return None if self.reference_B is None else self.reference_B[rows]

    def to(self, device: torch.device | str, non_blocking: bool = False) -> "Batch":
        return each_tensor(self, lambda tensor: tensor.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> "Batch":
        return each_tensor(self, lambda tensor: tensor.pin_memory())


def collate(items: Sequence[Item], pad: int, targets: int | None = None, packed: bool = False) -> Batch:
    """Pad `items` to the longest of their sides. targets: None where they are a whole batch."""
    examples = [example for sides in zip(*(item.sides for item in items), strict=True) for example in sides]
    tokens_BT, mask_BT = padded([example.ids for example in examples], [example.mask for example in examples], pad)
    length_B = torch.tensor([len(example.ids) for example in examples])
    values_B = torch.tensor([item.value for item in items], dtype=torch.float32)
    targets = count_targets(items) if targets is None else targets
    return Batch(tokens_BT, mask_BT, length_B, values_B, targets, packed, references(items))


def references(items: Sequence[Item]) -> Tensor | None:
    """Return what the reference says of each side, first of all first ones; None where it is not known of all."""
    known = [item.reference for item in items if isinstance(item, Pair) and item.reference is not None]
    return torch.tensor(known, dtype=torch.float32).T.flatten() if len(known) == len(items) else None


def padded(ids: Sequence, masks: Sequence, pad: int) -> tuple[Tensor, Tensor]:
    """Return sequences and their masks, padded to the longest: int64 and bool [B, T]."""
    tokens_BT = np.full((len(ids), max(map(len, ids))), pad, dtype=np.int64)
    mask_BT = np.zeros(tokens_BT.shape, dtype=bool)
    for row, (own, mask) in enumerate(zip(ids, masks, strict=True)):
        tokens_BT[row, : len(own)] = own
        mask_BT[row, : len(own)] = mask
    return torch.from_numpy(tokens_BT), torch.from_numpy(mask_BT)


def each_tensor(part: P, change: Callable[[Tensor], Tensor]) -> P:
    """Return a dataclass with every tensor in it changed."""
    values = {each.name: getattr(part, each.name) for each in fields(part)}
    return replace(part, **{name: change(value) for name, value in values.items() if isinstance(value, Tensor)})


def count_targets(items: Sequence[Item]) -> int:
    """Return how many tokens of the items are predicted and learned: the first token of a sequence never is."""
    return sum(int(example.mask[1:].sum()) for item in items for example in item.sides)


def longest_sides(items: Sequence[Item]) -> list[int]:
    """Return the tokens of each item's longest side."""
    return [max(len(example.ids) for example in item.sides) for item in items]


class ItemStream:
    """The Stream (llm/training/prefetch.py) of a training set: epoch after epoch of shuffled batches; what of an epoch
    fills no batch is left out. Raises InputError where there are fewer items than a batch has."""

    def __init__(self, items: Sequence[Item], batch_size: int, seed: int, pad: int, packed: bool = False) -> None:
        self.items, self.batch_size, self.seed, self.pad, self.packed = items, batch_size, seed, pad, packed
        self.lengths = longest_sides(items)
        self.per_epoch = len(items) // batch_size
        if self.per_epoch < 1:
            raise InputError(
                f"{len(items)} examples do not fill one batch of {batch_size}: lower the batch or get more data"
            )
        self.epoch: tuple[int, list[list[int]]] | None = None

    def rows(self, begin: int, first: int, count: int) -> Batch:
        """Return items first ... first + count - 1 of the batch that begins at `begin`."""
        batch = self.batch(begin)
        return collate(batch[first : first + count], self.pad, count_targets(batch), self.packed)

    def tokens_of(self, begin: int, count: int) -> int:
        """Return the tokens of the batch that begins at `begin`, all sides, prompts too."""
        return sum(len(example.ids) for item in self.batch(begin)[:count] for example in item.sides)

    def batch(self, begin: int) -> list[Item]:
        """Return the batch that begins at item `begin` of the endless stream."""
        epoch, within = divmod(begin // self.batch_size, self.per_epoch)
        kept = self.epoch
        if kept is None or kept[0] != epoch:
            kept = (epoch, epoch_order(self.lengths, self.batch_size, self.seed, epoch))
            self.epoch = kept  # in one assignment: two threads may make rows
        return [self.items[index] for index in kept[1][within]]


def epoch_order(lengths: list[int], batch: int, seed: int, epoch: int) -> list[list[int]]:
    """Return the batches of one epoch, as indices. The epoch is shuffled by (seed, epoch); inside windows of WINDOW
    batches items are grouped by length to save padding."""
    random = np.random.Generator(np.random.PCG64([seed, epoch]))
    order = random.permutation(len(lengths))
    size = np.asarray(lengths)
    groups = []
    for start in range(0, len(order), WINDOW * batch):
        window = order[start : start + WINDOW * batch]
        window = window[np.argsort(size[window], kind="stable")]
        groups += [window[i : i + batch].tolist() for i in range(0, len(window) - batch + 1, batch)]
    return [groups[i] for i in random.permutation(len(groups))]


def evaluation_order(lengths: list[int], batch: int) -> list[list[int]]:
    """Return every index once, by length, `batch` at a time; the last batch may be smaller."""
    order = np.argsort(np.asarray(lengths), kind="stable").tolist()
    return [order[start : start + batch] for start in range(0, len(order), batch)]
