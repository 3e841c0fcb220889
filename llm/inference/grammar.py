"""Keeps an answer to what was asked for, a JSON schema or a regular expression: at each token, the tokens that can go
on are known, and all others get a probability of zero. A kept library (llguidance) does the parsing; which grammar a
request has is compiled outside, over its model's tokenizer (llm/deploy/serve/structured.py).

A matcher's state is a function of the grammar and the tokens so far, so who else is in the batch, a preemption or
guesses ahead change nothing.

Legend: V vocabulary.
"""

from dataclasses import dataclass, field
from typing import Protocol, Self

import numpy as np
import torch
from torch import Tensor


class Matcher(Protocol):
    """The library's: where one sequence is in its grammar."""

    def deep_copy(self) -> Self: ...
    def compute_bitmask(self) -> bytes: ...
    def consume_token(self, token: int) -> bool: ...
    def is_stopped(self) -> bool: ...
    def is_error(self) -> bool: ...


@dataclass(frozen=True)
class Grammar:
    """A compiled grammar. source: what it was made from."""

    source: str
    beginning: Matcher = field(compare=False, repr=False)

    def matcher(self) -> Matcher:
        """Return one for a new sequence."""
        return self.beginning.deep_copy()


def permitted(logits_V: Tensor, matcher: Matcher) -> Tensor:
    """Return the logits with -inf for all tokens that cannot come next. Rows of the output layer beyond the tokenizer's
    tokens never can."""
    bits = np.unpackbits(np.frombuffer(matcher.compute_bitmask(), np.uint8), bitorder="little")
    allowed_V = np.zeros(len(logits_V), bool)
    known = min(len(bits), len(allowed_V))
    allowed_V[:known] = bits[:known]
    return logits_V.masked_fill(~torch.from_numpy(allowed_V).to(logits_V.device), -torch.inf)
