"""Decodes on a GPU by CUDA graphs: a step in which each sequence has one token is recorded once for its size, then
replayed in one launch. Its kernels are so small that each takes longer to launch than to run.

A size is a number of sequences and of blocks, both rounded up to powers of two; what is missing repeats the first
sequence, which writes the same keys and values to the same place once more. Queries that share a key-value head are
rows of one product, so keys and values are gathered once. Prompts, guesses ahead and adapters take the plain way.

Legend: S sequences, W blocks of a sequence, K key-value heads, G query heads of each, H d_head, N = K G; D d_model.
"""

import logging
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from llm.inference.attention import KVPool, Layout
from llm.inference.fixed_order import BLOCK
from llm.model.config import ModelConfig
from llm.model.positions import alibi_slopes
from llm.model.transformer import CausalLM

log = logging.getLogger(__name__)
WARM_UP = 2  # calls before the recording, in which libraries choose their kernels and take their memory
TOKEN, POSITION, TABLE = 0, 1, 2  # columns of a step's inputs; the table takes all that follow

Compute = Callable[[], Tensor]


class OneTokenEach:
    """What a model's forward pass asks about such a step (llm/model/attending.py). Nothing here waits for the GPU or
    copies to it, as a recording forbids. inputs: int64 [S, 2 + W] on the device."""

    def __init__(self, config: ModelConfig, pool: KVPool, inputs: Tensor, slope_N: Tensor | None) -> None:
        self.pool, self.n_kv_heads = pool, config.n_kv_heads
        position_S, self.table_SW = inputs[:, POSITION], inputs[:, TABLE:]
        # No sequence is longer than the context, so that tables scaled by its length are those of the context.
        self.position_BT, self.longest = position_S[None], config.context_length
        self.block_S = self.table_SW.gather(1, position_S[:, None] // BLOCK)[:, 0]
        self.slot_S = position_S % BLOCK
        slots = torch.arange(self.table_SW.shape[1] * BLOCK, device=inputs.device)
        distance_S11T = (position_S[:, None] - slots)[:, None, None]
        self.mask = distance_S11T >= 0
        if slope_N is not None:
            slope_KG1 = slope_N.view(config.n_kv_heads, -1, 1)
            self.mask = (-slope_KG1 * distance_S11T).masked_fill(distance_S11T < 0, float("-inf"))

    def attend(self, layer: int, q_1NSH: Tensor, k_1KSH: Tensor, v_1KSH: Tensor) -> Tensor:
        """Keep the tokens' keys and values, and return what their queries find: [1, N, S, H]."""
        self.pool.store(layer, k_1KSH[0].transpose(0, 1), v_1KSH[0].transpose(0, 1), self.block_S, self.slot_S)
        k_SKTH, v_SKTH = self.pool.gathered(layer, self.table_SW, q_1NSH.dtype)
        q_SKGH = q_1NSH[0].transpose(0, 1).unflatten(1, (self.n_kv_heads, -1))
        mask = self.mask.to(q_1NSH.dtype) if self.mask.is_floating_point() else self.mask
        found_SKGH = F.scaled_dot_product_attention(q_SKGH, k_SKTH, v_SKTH, attn_mask=mask)
        return found_SKGH.flatten(1, 2).transpose(0, 1)[None]


class RecordedSteps:
    """Replays steps by their size. record: makes a recording, whose calls compute anew from the same inputs' memory."""

    def __init__(self, model: CausalLM, pool: KVPool, record: Callable[[Compute], Compute] | None = None) -> None:
        self.model, self.pool, self.record = model, pool, record or CudaGraphs()
        self.known: dict[tuple[int, int], tuple[Tensor, Compute]] = {}
        self.works = True
        self.slope_N: Tensor | None = None
        if model.config.position == "alibi":  # here, since a recording may copy nothing to the device
            self.slope_N = torch.tensor(alibi_slopes(model.config.n_heads), dtype=torch.float32, device=model.device)

    def run(self, layout: Layout, tokens_R: Tensor) -> Tensor | None:
        """Compute a step whose spans have one row each. Returns its rows after the last norm, [S, D], whose memory
        the next step takes; None where it could not be recorded, after which nothing is."""
        if not self.works:
            return None
        n_sequences, n_blocks = layout.table_SW.shape
        size = power_of_two(n_sequences), power_of_two(n_blocks)
        given = np.zeros((size[0], TABLE + size[1]), np.int64)
        given[:n_sequences, TOKEN] = tokens_R[:n_sequences]
        given[:n_sequences, POSITION] = layout.position_R[:n_sequences]
        given[:n_sequences, TABLE : TABLE + n_blocks] = layout.table_SW
        given[n_sequences:] = given[0]
        if size not in self.known:
            inputs = torch.from_numpy(given).to(self.model.device)
            try:
                self.known[size] = inputs, self.record(lambda: self.computed(inputs))
            except RuntimeError as error:
                log.warning("decoding without CUDA graphs: %s", error)
                self.works = False
                return None
        inputs, replay = self.known[size]
        inputs.copy_(torch.from_numpy(given))
        return replay()[:n_sequences]

    def computed(self, inputs: Tensor) -> Tensor:
        """The forward pass of a step, [S, D]."""
        attention = OneTokenEach(self.model.config, self.pool, inputs, self.slope_N)
        return self.model.hidden(inputs[None, :, TOKEN], engine=attention)[0]

    def forget(self) -> None:
        """Drop the recordings, which know the weights by their place in memory."""
        self.known.clear()


class CudaGraphs:
    """Records what a function launches. All recordings share memory, as only one is replayed at a time."""

    def __init__(self) -> None:
        self.memory = torch.cuda.graph_pool_handle()

    def __call__(self, compute: Compute) -> Compute:
        aside = torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(WARM_UP):
                compute()
        torch.cuda.current_stream().wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        # Other threads of a server may call CUDA meanwhile.
        with torch.cuda.graph(graph, pool=self.memory, capture_error_mode="thread_local"):
            found = compute()

        def replayed() -> Tensor:
            graph.replay()
            return found

        return replayed


def power_of_two(n: int) -> int:
    """Return the smallest power of two that is not below n."""
    return 1 << (n - 1).bit_length()
