"""Makes batches of token windows. The tokens of a step are a function of (seed, step): there is no state to restore.

The plan's documents, end to end, are one virtual stream of tokens (nothing is copied, shards stay memory-mapped). It is
cut into windows of T tokens, and the windows are shuffled, so that a long document does not fill a batch and any part
of the plan keeps its domain mix. When the windows are used up, the next epoch joins the documents in another order,
cuts and shuffles again. Each document stands between [BOS] and [EOS]; there is no mask between documents.
"""

from pathlib import Path

import numpy as np
import polars as pl
import torch

from llm.errors import InputError
from llm.tokenize.indexed import IndexedTokens, check_ids


class TokenStream:
    """The training tokens of a plan. `rows(...)` returns int64 [B, T + 1]: inputs are [:, :-1], targets [:, 1:].
    `tokens`: their number in one epoch. vocab_size: of the model that reads them."""

    def __init__(self, tokens_dir: Path, plan: Path, context_length: int, vocab_size: int, seed: int = 0) -> None:
        table = pl.read_parquet(plan)
        names = sorted(table["source"].unique().to_list())
        self.shards = [IndexedTokens(Path(tokens_dir) / name / "train") for name in names]
        number = {name: index for index, name in enumerate(names)}
        self.source = table["source"].replace_strict(number, return_dtype=pl.Int64).to_numpy()
        self.document = table["document"].cast(pl.Int64).to_numpy()
        self.length = np.zeros(len(table), np.int64)
        for index, shard in enumerate(self.shards):
            rows = self.source == index
            if rows.any() and self.document[rows].max() >= len(shard):
                raise InputError(
                    f"{plan}: uses document {self.document[rows].max()} of {names[index]}, whose train shard has "
                    f"{len(shard)}; the plan and the token shards come from different clean shards, build both again"
                )
            self.length[rows] = shard.lengths[self.document[rows]]
        self.tokens_dir, self.vocab_size = tokens_dir, vocab_size
        self.context_length = context_length
        self.seed = seed
        self.tokens = int(self.length.sum())
        # The last window needs one more token: its last target.
        self.windows = (self.tokens - 1) // context_length
        if self.windows < 1:
            raise InputError(
                f"{plan}: {self.tokens} tokens are less than one window of model.context_length {context_length}; "
                "add text or shorten the context"
            )
        self.epoch: tuple[int, np.ndarray, np.ndarray, np.ndarray] | None = None

    def rows(self, begin: int, first: int, count: int) -> torch.Tensor:
        """Return windows begin + first ... begin + first + count - 1 of the shuffled, endless stream, int64 [count, T +
        1]. Raises InputError for an id outside the vocabulary."""
        tokens_BT = np.stack([self.window(begin + first + row) for row in range(count)]).astype(np.int64)
        check_ids(tokens_BT, self.vocab_size, self.tokens_dir)
        return torch.from_numpy(tokens_BT)

    def tokens_of(self, begin: int, count: int) -> int:
        """Return how many tokens `count` windows train on, wherever they begin."""
        return count * self.context_length

    def window(self, index: int) -> np.ndarray:
        """Return the T + 1 tokens of a window, from as many documents as it crosses."""
        epoch, within = divmod(index, self.windows)
        order, ends, permutation = self.epoch_order(epoch)
        begin = int(permutation[within]) * self.context_length
        end = begin + self.context_length + 1
        pieces = []
        row = int(np.searchsorted(ends, begin, side="right"))
        while begin < end:
            use = order[row]
            offset = begin - (int(ends[row]) - int(self.length[use]))
            piece = self.shards[self.source[use]][self.document[use]][offset : offset + end - begin]
            pieces.append(piece)
            begin += len(piece)
            row += 1
        return np.concatenate(pieces)

    def epoch_order(self, epoch: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return, for one epoch, the plan's rows in order, where each ends in the stream, and the shuffled windows. The
        latest epoch is cached; an epoch is computed from its number, so that any step can be asked for first."""
        kept = self.epoch
        if kept is None or kept[0] != epoch:
            generator = np.random.Generator(np.random.PCG64([self.seed, epoch]))
            # The plan is itself in a seeded order; only later epochs need another.
            order = generator.permutation(len(self.length)) if epoch else np.arange(len(self.length))
            found = (epoch, order, np.cumsum(self.length[order]), generator.permutation(self.windows))
            self.epoch = found  # in one assignment: two threads may make rows
            return found[1:]
        return kept[1:]
