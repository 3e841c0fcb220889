"""Losses of GRPO, DAPO, Dr. GRPO and GSPO of each step beside TRL's, from the same weights, on the same answers, by the
same optimizer.

    pip install --no-deps --target DIRECTORY -r benchmarks/trl.txt
    PYTHONPATH=DIRECTORY python -m benchmarks.policy_parity [--steps 20]

The answers, their old and reference log-probabilities and advantages are given: random, and the same in every step, so
that ratios leave 1 and are clipped. TRL's loss is that of GRPOTrainer's `_compute_loss`; the loop around it is plain
torch. Exit status 1 where a loss differs by more than 1e-4.
"""

import argparse
import sys
import tempfile
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.align_parity import BOUND, CONFIG, LORA, RATE, plain_step
from llm.align.lora import add_lora, save_adapter
from llm.align.policy import Experience, PolicyGradient, answer_log_probs, chosen, sequences_of
from llm.align.settings.adapter import Schedule
from llm.align.settings.policy import Algorithm, PolicySettings
from llm.align.train_adapter import BETAS, optimizer_of
from llm.model.transformer import CausalLM, initialise
from llm.training.engines.single import SingleEngine

LOSS: dict[Algorithm, tuple[str, str]] = {  # TRL's loss_type and importance_sampling_level
    "grpo": ("grpo", "token"),
    "dapo": ("dapo", "token"),
    "dr_grpo": ("dr_grpo", "token"),
    "gspo": ("grpo", "sequence"),
}
ANSWERS, MOST, KL, LOW, HIGH = 8, 16, 0.1, 0.1, 0.2


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=20)
    options = parser.parse_args()
    torch.set_num_threads(1)
    wrong = False
    for algorithm in LOSS:
        ours, theirs, clipped = curves(algorithm, options.steps)
        off = max(abs(a - b) for a, b in zip(ours, theirs, strict=True))
        wrong |= off > BOUND
        print(
            f"{algorithm:8} {ours[0]:.4f} to {ours[-1]:.4f}, TRL {theirs[-1]:.4f}, {clipped:.0%} clipped at the end; "
            f"differ by at most {off:.1e}",
            flush=True,
        )
    sys.exit(int(wrong))


def curves(algorithm: Algorithm, steps: int) -> tuple[list[float], list[float], float]:
    """The losses of both, step by step, and the share of tokens that are clipped in the last."""
    from peft import PeftModel
    from transformers import LlamaConfig, LlamaForCausalLM

    schedule = Schedule(steps=steps, batch_size=2, learning_rate=RATE, warmup_steps=2)
    told = PolicySettings(
        algorithm=algorithm, schedule=schedule, seed=0, dtype="float32", max_new_tokens=MOST, lora=LORA,
        kl_coef=KL, clip_low=LOW, clip_high=HIGH,
    )  # fmt: skip
    model = initialise(CausalLM(replace(CONFIG, init="normal", init_std=0.15)), 0)
    peer: Any = LlamaForCausalLM(LlamaConfig(**CONFIG.to_hf()))
    peer.load_state_dict(model.state_dict(), strict=False)
    peer.tie_weights()
    add_lora(model, LORA, 0)
    engine = SingleEngine(PolicyGradient(model, told, ()), optimizer_of(schedule))
    with tempfile.TemporaryDirectory() as directory:
        adapter = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
        save_adapter(adapter, LORA, Path(directory), base="base")
        peer = PeftModel.from_pretrained(peer, directory, is_trainable=True).train()
    weights = [weight for weight in peer.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=RATE, betas=BETAS, weight_decay=0.0)
    given = experience(model)
    ours, theirs = [], []
    for step in range(1, steps + 1):
        loss, norm = engine.gradients(lambda first, count: given, 2)
        ours.append(loss)
        engine.update(schedule.factor(step), norm)
        peers = trl_loss(algorithm, peer, given)
        theirs.append(peers.item())
        plain_step(optimizer, peers, RATE * schedule.factor(step))
    return ours, theirs, engine.figures["clip_fraction"]


def experience(model: CausalLM) -> Experience:
    """Answers of random tokens and lengths, by a policy and a reference that are near the model."""
    random = torch.Generator().manual_seed(0)
    lengths = torch.randint(3, MOST + 1, (ANSWERS,), generator=random).tolist()
    texts = [torch.randint(4, 300, (5 + n,), generator=random).tolist() for n in lengths]
    sequences = sequences_of(texts, [5] * ANSWERS, CONFIG.pad_id)
    with torch.no_grad():
        log_prob_N = chosen(answer_log_probs(model, sequences), sequences)
    old_N, reference_N = (log_prob_N + 0.1 * torch.randn(len(log_prob_N), generator=random) for _ in range(2))
    advantage_N = torch.randn(ANSWERS, generator=random).repeat_interleave(torch.tensor(lengths))
    seen_BK, none_N = torch.zeros(ANSWERS, 0, dtype=torch.float64), torch.zeros(0)
    return Experience(
        sequences.tokens_BT, sequences.mask_BT, old_N, reference_N, advantage_N, seen_BK, 2, ANSWERS, sum(lengths),
        none_N, none_N, 0.0,
    )  # fmt: skip


def trl_loss(algorithm: Algorithm, peer: nn.Module, given: Experience) -> Tensor:
    """TRL's loss of the same answers: its trainer's method, on an object with what it reads of a trainer."""
    from trl import GRPOTrainer

    answers_BT = given.mask_BT[:, 5:]

    def spread(values_N: Tensor) -> Tensor:
        return torch.zeros(answers_BT.shape).masked_scatter(answers_BT, values_N)

    def log_probs(model: nn.Module, ids: Tensor, mask: Tensor, keep: int, **_: object) -> tuple[Tensor, Tensor, None]:
        log_p_BTV = model(ids, attention_mask=mask).logits[:, :-1].log_softmax(-1)
        log_p_BT = log_p_BTV.gather(2, ids[:, 1:, None])[..., 0]
        return log_p_BT[:, -keep:], torch.zeros(len(ids), keep), None

    loss_type, level = LOSS[algorithm]
    trainer = SimpleNamespace(
        _get_per_token_logps_and_entropies=log_probs,
        aux_loss_enabled=False,
        top_entropy_quantile=1.0,
        off_policy_mask_threshold=None,
        importance_sampling_level=level,
        loss_type=loss_type,
        beta=KL,
        epsilon_low=LOW,
        epsilon_high=HIGH,
        max_completion_length=MOST,
        use_vllm=False,
        args=SimpleNamespace(delta=None, use_bias_correction_kl=False, steps_per_generation=1),
        model=peer,
        current_gradient_accumulation_steps=1,
        accelerator=SimpleNamespace(num_processes=1, gather=lambda x: x, reduce=lambda x, reduction: x),
        _entropy_bonus_enabled=False,
        _metrics={"train": defaultdict(list)},
    )
    inputs = {
        "prompt_ids": given.tokens_BT[:, :5],
        "prompt_mask": torch.ones(ANSWERS, 5, dtype=torch.int64),
        "completion_ids": given.tokens_BT[:, 5:],
        "completion_mask": answers_BT.long(),
        "advantages": given.advantage_N[given.mask_BT.sum(1).cumsum(0) - 1],
        "old_per_token_logps": spread(given.old_N),
        "ref_per_token_logps": spread(given.reference_N),
        "num_items_in_batch": torch.tensor(float(given.targets)),
    }
    return GRPOTrainer._compute_loss(trainer, peer, inputs)  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
