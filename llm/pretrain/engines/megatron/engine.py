"""The Engine of llm/training/engine.py on megatron-core: tensor, pipeline, context, sequence and data parallelism.

There is one process per rank, with gloo on CPUs and NCCL on GPUs. bf16 is megatron-core's Float16Module on every
device: bf16 weights with fp32 copies that the optimizer updates, residuals and sums in fp32. shim.py, beside this
module, must be installed before this module is imported (build.py does).
"""

from collections.abc import Iterator

import torch
import torch.distributed as dist
from megatron.core import parallel_state, tensor_parallel
from megatron.core.distributed import DistributedDataParallel, DistributedDataParallelConfig, finalize_model_grads
from megatron.core.optimizer.clip_grads import clip_grad_by_total_norm_fp32
from megatron.core.pipeline_parallel import get_forward_backward_func
from megatron.core.transformer.module import Float16Module

from llm.errors import InputError
from llm.model.config import ModelConfig
from llm.model.transformer import CausalLM, initialise
from llm.pretrain.engines.megatron import loss, model, state
from llm.pretrain.engines.megatron.optimizer import build_optimizer
from llm.training.engine import Piece, Read, Rows
from llm.training.engines.layout import Layout
from llm.training.settings import OptimizerSettings


class MegatronEngine:
    """One rank's engine. The layout's world size must be that of the process group, or 1 without one. A process can
    have one engine at a time: megatron-core's groups are global."""

    def __init__(
        self,
        config: ModelConfig,
        layout: Layout,
        settings: OptimizerSettings,
        dtype: torch.dtype,
        seed: int,
        recompute: bool = False,
    ) -> None:
        model.check(config, layout)
        start_groups(layout)
        self.config, self.layout, self.settings = config, layout, settings
        self.figures: dict[str, float] = {}
        self.rank, self.world_size = dist.get_rank(), dist.get_world_size()
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.core = model.transformer_config(config, layout, dtype)
        sharded = layout.sharding == "optimizer"
        ddp = DistributedDataParallelConfig(grad_reduce_in_fp32=True, use_distributed_optimizer=sharded)
        vocabulary = -(-config.vocab_size // layout.tensor) * layout.tensor
        self.chunks = []
        for stage in range(layout.virtual) if layout.virtual > 1 else (None,):
            chunk = model.build_stage(config, self.core, vocabulary, stage, recompute)
            chunk = chunk.to(self.device)
            if dtype == torch.bfloat16:
                chunk = Float16Module(self.core, chunk)
            self.chunks.append(DistributedDataParallel(self.core, ddp, chunk, disable_bucketing=bool(stage)))
        self.core.finalize_model_grads_func = finalize_model_grads
        self.optimizer = build_optimizer(self.chunks, settings, dtype, sharded)
        self.adamw = self.optimizer.optimizer
        self.held = state.held_parameters(self.chunks, self.optimizer, config)
        initial = initialise(CausalLM(config), seed).state_dict()
        state.load_weights(self.held, lambda name, where: initial[name][where], "initial weights")

    def gradients(self, rows: Rows, batch_size: int) -> tuple[float, float]:
        data = self.layout.data
        share = batch_size // data
        size = self.layout.micro_batch or share
        if batch_size % data or share % size:
            raise InputError(
                f"pretrain.batch_size: {batch_size} rows do not divide among {data} data ranks in micro-batches of "
                f"{size}; change it, or pretrain.parallel.micro_batch"
            )
        if self.layout.virtual > 1 and share // size % self.layout.pipeline:
            raise InputError(
                f"pretrain.parallel.micro_batch: {share // size} micro-batches of {size} rows are no multiple of the "
                f"{self.layout.pipeline} pipeline ranks, which virtual stages need; choose a smaller micro_batch"
            )
        for chunk in self.chunks:
            chunk.zero_grad_buffer()
        tokens_BT = rows(share * parallel_state.get_data_parallel_rank(), share)
        losses = self.run(tokens_BT.split(size), train=True)
        total = torch.zeros((), dtype=torch.float64, device=self.device)
        for micro_batch in losses:
            total += micro_batch.double().mean()
        ranks = self.world_size // self.layout.pipeline  # all ranks that hold the last stage
        dist.all_reduce(total)
        self.optimizer.prepare_grads()
        return float(total) / (ranks * (share // size)), float(self.optimizer.get_grad_norm())

    def run(self, micro_batches: tuple[torch.Tensor, ...], train: bool) -> list[torch.Tensor]:
        """Run the pipeline on micro-batches, int64 [B, T + 1] each, of one shape. Return the losses of each, fp32 [B, T
        / context], on the last stage, [] elsewhere. With `train`, gradients are added to the buffers and summed over
        the ranks."""
        rows, tokens = micro_batches[0].shape[0], micro_batches[0].shape[1] - 1
        schedule = get_forward_backward_func()
        iterators = [iter(micro_batches) for _ in self.chunks]
        return schedule(
            forward_step_func=self.forward_step,
            data_iterator=iterators if len(iterators) > 1 else iterators[0],
            model=self.chunks,
            num_microbatches=len(micro_batches),
            seq_length=tokens,
            micro_batch_size=rows,
            forward_only=not train,
        )

    def forward_step(self, batches: Iterator[torch.Tensor], chunk: torch.nn.Module):
        """Compute one stage of one micro-batch, as the schedules ask; return its output, and the function that makes
        the loss of it."""
        tokens_BT = next(batches).to(self.device, non_blocking=True)
        position_S = model.own_positions(tokens_BT.shape[1] - 1)
        input_BS, target_BS = tokens_BT[:, position_S], tokens_BT[:, position_S + 1]
        output = chunk(input_BS, position_S.expand_as(input_BS), None)

        def training_loss(logits_BSW: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            nll_BS, log_sum_BS = loss.token_losses(logits_BSW, target_BS, self.config.vocab_size)
            objective = nll_BS.mean()
            if self.config.z_loss:
                objective = objective + self.config.z_loss * log_sum_BS.square().mean()
            # This is the mean over a context rank's tokens; the schedule multiplies by the number of context ranks.
            return objective / self.layout.context, nll_BS.detach()

        return output, training_loss

    def update(self, factor: float, norm: float) -> None:
        for group in self.adamw.param_groups:
            group["lr"] = self.settings.learning_rate * factor
        clip_grad_by_total_norm_fp32(self.optimizer.get_parameters(), self.settings.clip_norm, norm)
        self.optimizer.step_with_ready_grads()
        self.skip()

    def skip(self) -> None:
        self.optimizer.zero_grad()

    def scores(self, tokens_BT: torch.Tensor) -> torch.Tensor:
        n_rows, n_tokens = tokens_BT.shape[0], tokens_BT.shape[1] - 1
        share = -(-n_rows // (self.layout.data * self.layout.pipeline))  # one micro-batch for each pipeline rank
        unit = model.token_unit(self.layout)
        tokens = -(-n_tokens // unit) * unit
        padded_BT = tokens_BT.new_zeros(share * self.layout.data * self.layout.pipeline, tokens + 1)
        padded_BT[:n_rows, : n_tokens + 1] = tokens_BT  # later tokens do not change earlier ones
        first = parallel_state.get_data_parallel_rank() * self.layout.pipeline
        with torch.no_grad():
            losses = self.run(padded_BT.split(share)[first : first + self.layout.pipeline], train=False)
        found_BT = torch.zeros(len(padded_BT), tokens, device=self.device)
        if losses and parallel_state.get_tensor_model_parallel_rank() == 0:
            found_BT[first * share :][: len(losses) * share, model.own_positions(tokens)] = torch.cat(losses)
        dist.all_reduce(found_BT)  # every element is on one rank, zero on the others
        return found_BT[:n_rows, :n_tokens]

    def weights(self) -> list[Piece]:
        return state.weight_pieces(self.held)

    def optimizer_state(self) -> list[Piece]:
        return state.optimizer_pieces(self.held, self.adamw)

    def load(self, weights: Read, optimizer_state: Read, origin: str) -> None:
        state.load_weights(self.held, weights, origin)
        state.load_optimizer(self.held, self.adamw, optimizer_state, origin)


def start_groups(layout: Layout) -> None:
    """Make megatron-core's process groups for this layout, replacing an earlier engine's. Without a process group a
    group of one rank is made."""
    if not dist.is_initialized():
        backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
        dist.init_process_group(backend, store=dist.HashStore(), rank=0, world_size=1)
    if dist.get_world_size() != layout.world_size:
        raise InputError(f"pretrain.parallel: {layout.world_size} ranks are laid out, {dist.get_world_size()} run")
    parallel_state.destroy_model_parallel()
    parallel_state.initialize_model_parallel(
        tensor_model_parallel_size=layout.tensor,
        pipeline_model_parallel_size=layout.pipeline,
        virtual_pipeline_model_parallel_size=layout.virtual if layout.virtual > 1 else None,
        context_parallel_size=layout.context,
        create_gloo_process_groups=False,
    )
    # Random states are forked around what might draw a dropout; there is none, so this tracker does nothing.
    tensor_parallel.random.initialize_rng_tracker(inference_rng_tracker=True, force_reset=True)
