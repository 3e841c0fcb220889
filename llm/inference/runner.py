"""Computes a step: puts the tokens of all its sequences into one forward pass, and returns the logits that are needed.

The number of rows is padded to a multiple of 8, on some processors to 16 at least, with which a matrix product gives
each row the same bytes whatever the others are (docs/inference.md says where that was measured). Operators of quantized
weights and reordered matrices do so for any number.

Legend: R rows, V vocabulary, D d_model.
"""

from collections.abc import Mapping

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from llm.inference import fused
from llm.inference.adapters import Groups, grouped
from llm.inference.attention import KVPool, Layout, PagedAttention, Threads, Way
from llm.inference.fused import OneCall, can_fuse
from llm.inference.recorded import RecordedSteps
from llm.inference.row_by_row import MULTIPLE, least_rows, padded, row_by_row
from llm.inference.scheduler import Step
from llm.inference.sequence import Sequence
from llm.model.transformer import CausalLM

ROWS_OF_LOGITS = 64  # at once: those of a long prompt would fill the memory


def multiple_of(model: CausalLM) -> int:
    """Return what the number of rows has to be a multiple of, as the linear layers say by `row_multiple`: 1 for packed
    integers and reordered matrices, 8 for all others."""
    linear = [layer for layer in model.model.layers.modules() if hasattr(layer, "in_features")]
    return max(getattr(layer, "row_multiple", MULTIPLE) for layer in linear)


def filled(n_rows: int, multiple: int, weight: Tensor) -> int:
    """Return how many rows are computed for n; where any number may be (a multiple of 1), so many."""
    return n_rows if multiple == 1 else padded(n_rows, multiple, least_rows(weight))


class ModelRunner:
    """groups: where the adapted layers look up which rows are whose."""

    def __init__(self, model: CausalLM, pool: KVPool, way: Way, threads: Threads, groups: Groups) -> None:
        self.model, self.pool, self.way, self.threads, self.groups = model, pool, way, threads, groups
        self.multiple = multiple_of(model)
        self.weight = model.model.embed_tokens.weight
        self.fuses = way == "kernel" and pool.dtype == torch.bfloat16 and can_fuse(model)
        self.layers = fused.prepared(model) if self.fuses else []
        self.one_call = OneCall.of(model) if self.fuses else None
        self.recorded = RecordedSteps(model, pool) if way == "sdpa" and model.device.type == "cuda" else None

    def run(self, step: Step, needed: Mapping[Sequence, range]) -> Tensor:
        """Compute a step's tokens. Returns the rows after the last norm that are `needed`, which says for each sequence
        of `step.counts` which of its tokens' rows are; in that order, [R, D]."""
        with row_by_row(self.weight, needed=self.multiple != 1):
            return self.computed(step, needed)

    def computed(self, step: Step, needed: Mapping[Sequence, range]) -> Tensor:
        for source, target in step.copies:
            self.pool.copy(source, target)
        layout, tokens_R = self.layout(step, needed)
        names = [sequence.request.adapter for sequence in step.counts]
        self.groups.rows = grouped(names, layout.spans, least_rows(self.weight), self.model.device)
        rows = [row for begin, end in layout.needed or () for row in range(begin, end)]
        if self.recorded is not None and not self.groups.rows and set(step.counts.values()) == {1}:
            found_SD = self.recorded.run(layout, tokens_R)
            if found_SD is not None:
                return found_SD[rows]
        attention = PagedAttention(self.model.config, self.pool, layout, self.way, self.threads)
        if not self.fuses:
            return self.model.hidden(tokens_R[None].to(self.model.device), engine=attention)[0][rows]
        padding = rows[:1] * (padded(len(rows), self.multiple) - len(rows))
        # Adapted layers know rows by their place among all.
        if self.groups.rows or len(rows) + len(padding) == len(tokens_R):
            return fused.hidden(self.model, self.layers, self.one_call, tokens_R, attention)[rows]
        return fused.hidden(self.model, self.layers, self.one_call, tokens_R, attention, rows + padding)[: len(rows)]

    def forget(self) -> None:
        """Drop what knows the weights by their place in memory."""
        if self.recorded is not None:
            self.recorded.forget()

    def layout(self, step: Step, needed: Mapping[Sequence, range]) -> tuple[Layout, Tensor]:
        """Return where the rows stand, and their tokens."""
        total = filled(sum(step.counts.values()), self.multiple, self.weight)
        tokens_R, position_R = np.zeros(total, np.int64), np.zeros(total, np.int64)
        spans: list[tuple[int, int]] = []
        wanted: list[tuple[int, int]] = []
        row = 0
        for sequence, count in step.counts.items():
            begin = sequence.computed
            text = sequence.tokens[begin : begin + count]
            tokens_R[row : row + count] = text + sequence.draft[: count - len(text)]
            position_R[row : row + count] = np.arange(begin, begin + count)
            spans.append((row, row + count))
            wanted.append((row + needed[sequence].start, row + needed[sequence].stop))
            row += count
        table_SW = np.zeros((len(spans), max(len(each.table) for each in step.counts)), np.int64)
        for place, sequence in enumerate(step.counts):
            table_SW[place, : len(sequence.table)] = sequence.table
        return Layout(position_R, spans, table_SW, wanted), torch.from_numpy(tokens_R)


def output_logits(model: CausalLM, x_RD: Tensor) -> Tensor:
    """Return fp32 logits [R, V] of rows after the last norm; each row's bytes are its own."""
    return logits_as_computed(model, x_RD).float()


def logits_as_computed(model: CausalLM, x_RD: Tensor) -> Tensor:
    """Return the same in the dtype of the product."""
    multiple = getattr(getattr(model, "lm_head", None), "row_multiple", MULTIPLE)
    weight = model.model.embed_tokens.weight
    missing = filled(len(x_RD), multiple, weight) - len(x_RD)
    with row_by_row(weight, needed=multiple != 1):
        return model.logits(F.pad(x_RD, (0, 0, 0, missing)))[: len(x_RD)]


def rows_with_logits(sequence: Sequence, count: int) -> range:
    """Return which of a sequence's next `count` rows need logits: those that predict a new token, and those of the
    prompt whose log-probabilities are asked for and not yet there."""
    request, begin = sequence.request, sequence.computed
    end = begin + count
    first = len(sequence.tokens) - 1  # its row predicts the first new token
    if request.max_new_tokens == 0:
        end = min(end, first)
    if sequence.wants_prompt:
        first = len(sequence.output.prompt_logprobs)
    return range(min(max(first, begin), end) - begin, end - begin)
