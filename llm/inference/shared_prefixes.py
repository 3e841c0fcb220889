"""Log-probabilities of continuations: what the engine would say of a prompt's last tokens, many texts at a time, with
what texts have in common at their beginning computed once.

A question with many choices is so many texts with one prompt: computing each alone takes as many times as long. Here
the rows of all texts go through the model in one pass. Texts are cut into the cache's blocks; a block that stands for
the same tokens behind the same blocks is one, and rows attend to it through their own text's table. Each row's bytes
are its own (docs/inference.md), so they are those of llm/inference/training.py's `log_probs`.

Legend: R rows, S sequences of a pass, W blocks of the longest table, D d_model, V vocabulary.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from llm.inference.attention import BLOCK, KVPool, Layout, PagedAttention, Threads, best_way
from llm.inference.row_by_row import least_rows, padded, row_by_row
from llm.inference.runner import output_logits
from llm.model.transformer import CausalLM

ROWS = 2048  # computed at once, unless a text alone has more
LOGITS = 1 << 23  # held at once, 32 MiB of fp32

Text = Sequence[int] | np.ndarray


@torch.inference_mode()
def continuations(model: CausalLM, texts: Sequence[Text], begins: Sequence[int]) -> list[np.ndarray]:
    """Return of each text the log-probabilities of its tokens from number `begin` on, in nats, fp64. begins: of each
    text, 1 or more; a text is as long as its begin or longer."""
    found: list[np.ndarray] = [np.empty(0)] * len(texts)
    shared = Pass()
    for index in sorted(range(len(texts)), key=lambda index: list(texts[index])):  # neighbours begin alike
        if not shared.add(index, texts[index], begins[index]):
            finish(shared, model, found)
            shared = Pass()
            shared.add(index, texts[index], begins[index])
    if texts:
        finish(shared, model, found)
    return found


def finish(shared: "Pass", model: CausalLM, found: list[np.ndarray]) -> None:
    """Compute a pass, and put what it gives where it belongs."""
    for index, values in shared.log_probs(model):
        found[index] = values


class Pass:
    """The texts of one forward pass. Of a text all tokens but the last are rows, less those of blocks that stand there
    already."""

    def __init__(self) -> None:
        self.blocks: dict[tuple[int, tuple[int, ...]], int] = {}  # (the block before, tokens): its number
        self.n_blocks = self.n_rows = 0
        self.tables: list[list[int]] = []
        self.spans: list[tuple[int, int]] = []
        self.numbers: list[int] = []
        self.texts: list[Text] = []
        self.asked: list[tuple[int, int]] = []  # of each text: its first row that is asked for, and the end

    def known(self, text: Text, begin: int) -> list[int]:
        """Return the blocks of a text that stand there already, none with a row that is asked for."""
        found: list[int] = []
        for end in range(BLOCK, min(begin, len(text) - 1), BLOCK):
            number = self.blocks.get((found[-1] if found else -1, tuple(text[end - BLOCK : end])))
            if number is None:
                break
            found.append(number)
        return found

    def add(self, number: int, text: Text, begin: int) -> bool:
        """Add a text, unless there is no room for it; an empty pass takes any. Returns whether it did."""
        table, n_rows = self.known(text, begin), len(text) - 1
        first = BLOCK * len(table)
        if self.texts and self.n_rows + n_rows - first > ROWS:
            return False
        for start in range(first, n_rows, BLOCK):
            if start + BLOCK <= n_rows:
                key = (table[-1] if table else -1, tuple(text[start : start + BLOCK]))
                self.blocks.setdefault(key, self.n_blocks)
            table.append(self.n_blocks)
            self.n_blocks += 1
        end = self.n_rows + n_rows - first
        self.spans.append((self.n_rows, end))
        self.asked.append((end - (len(text) - begin), end))
        self.tables.append(table)
        self.numbers.append(number)
        self.texts.append(text)
        self.n_rows = end
        return True

    def log_probs(self, model: CausalLM) -> list[tuple[int, np.ndarray]]:
        """Return each text's number and log-probabilities."""
        x_RD = self.hidden(model)
        rows = [row for first, end in self.asked for row in range(first, end)]
        targets = [
            int(token)
            for text, (first, end) in zip(self.texts, self.asked, strict=True)
            for token in text[len(text) - (end - first) :]
        ]
        at_once = max(1, LOGITS // model.config.vocab_size)
        values = np.concatenate(
            [
                log_probs_of_rows(model, x_RD[rows[start : start + at_once]], targets[start : start + at_once])
                for start in range(0, len(rows), at_once)
            ]
            or [np.empty(0)]
        )
        ends = np.cumsum([end - first for first, end in self.asked])[:-1]
        return list(zip(self.numbers, np.split(values, ends), strict=True))

    def hidden(self, model: CausalLM) -> Tensor:
        """Return the rows after the last norm, [R, D]."""
        weight = model.model.embed_tokens.weight
        tokens_R, position_R = np.zeros((2, padded(self.n_rows, least=least_rows(weight))), np.int64)
        table_SW = np.zeros((len(self.tables), max(map(len, self.tables))), np.int64)
        for place, (text, table, (first, end)) in enumerate(zip(self.texts, self.tables, self.spans, strict=True)):
            begin = len(text) - 1 - (end - first)
            tokens_R[first:end] = text[begin:-1]
            position_R[first:end] = np.arange(begin, len(text) - 1)
            table_SW[place, : len(table)] = table
        pool = KVPool(replace(model.config, n_layers=1), self.n_blocks, weight.dtype, weight.device)
        layout = Layout(position_R, self.spans, table_SW)
        way, threads = best_way(weight.device, deterministic=True), Threads(torch.get_num_threads())
        engine = LayerByLayer(PagedAttention(model.config, pool, layout, way, threads))
        with row_by_row(weight):
            return model.hidden(torch.from_numpy(tokens_R)[None].to(weight.device), engine=engine)[0]


class LayerByLayer:
    """Attends with a pool of one layer, which every layer in turn takes: after the pass nobody asks for it."""

    def __init__(self, paged: PagedAttention) -> None:
        self.paged, self.position_BT, self.longest = paged, paged.position_BT, paged.longest

    def attend(self, layer: int, q_BNTH: Tensor, k_BKTH: Tensor, v_BKTH: Tensor) -> Tensor:
        return self.paged.attend(0, q_BNTH, k_BKTH, v_BKTH)


def log_probs_of_rows(model: CausalLM, x_RD: Tensor, targets: list[int]) -> np.ndarray:
    logits_RV = output_logits(model, x_RD)
    target_R = torch.tensor(targets, device=x_RD.device)
    return -F.cross_entropy(logits_RV, target_R, reduction="none").double().cpu().numpy()
