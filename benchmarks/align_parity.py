"""Losses of each step beside TRL's, from the same weights, on the same batches, by the same optimizer.

    pip install --no-deps --target DIRECTORY -r benchmarks/trl.txt
    PYTHONPATH=DIRECTORY python -m benchmarks.align_parity [--steps 20] [--only dpo]

TRL gets a LlamaForCausalLM with the same weights, in PEFT's adapter the same values, and computes the losses in its own
trainer's `compute_loss`; the loop around it is plain torch (AdamW, clip_grad_norm_). Exit status 1 where a loss differs
by more than 1e-4. ORPO's trainer counts the prompt in its likelihood term, so prompts are one token long there.
"""

import argparse
import json
import sys
import tempfile
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from llm.align import paired
from llm.align.batches import Batch, Example, Item, ItemStream, Labelled, Pair
from llm.align.kto import KTO
from llm.align.lora import add_lora, save_adapter
from llm.align.reward import REWARD
from llm.align.settings.adapter import AdapterSettings, LoraConfig, Schedule
from llm.align.settings.kto import KtoSettings
from llm.align.settings.paired import PairedSettings
from llm.align.sft import SFT
from llm.align.train_adapter import BETAS, optimizer_of
from llm.model.config import ModelConfig
from llm.model.transformer import CausalLM, initialise
from llm.training.engines.single import SingleEngine

CONFIG = ModelConfig(300, d_model=48, n_layers=2, n_heads=4, n_kv_heads=2, d_head=12, d_ff=96, context_length=64)
LORA = LoraConfig(4, 8.0, ("q_proj", "v_proj", "down_proj"))
BATCH, BETA, MARGIN, BOUND, RATE = 4, 0.2, 0.5, 1e-4, 5e-3
METHODS = {"sft": SFT, "reward": REWARD, "kto": KTO} | paired.METHODS


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--only", choices=METHODS, nargs="*", default=list(METHODS))
    parser.add_argument("--json", type=Path, default=None, help="also write the losses to this file")
    options = parser.parse_args()
    torch.set_num_threads(1)
    found, wrong = {}, False
    for method in options.only:
        ours, theirs = curves(method, options.steps)
        off = max(abs(a - b) for a, b in zip(ours, theirs, strict=True))
        wrong |= off > BOUND
        found[method] = {"ours": ours, "trl": theirs, "largest_difference": off}
        print(
            f"{method:7} {ours[0]:.4f} to {ours[-1]:.4f}, TRL {theirs[-1]:.4f}; differ by at most {off:.1e}", flush=True
        )
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")
    sys.exit(int(wrong))


def curves(method: str, steps: int) -> tuple[list[float], list[float]]:
    """The losses of both, step by step."""
    schedule = Schedule(steps=steps, batch_size=BATCH, learning_rate=RATE, warmup_steps=2)
    settings = settings_of(method, schedule)
    stream = ItemStream(items_of(method), BATCH, 1, CONFIG.pad_id)
    model = initialise(CausalLM(replace(CONFIG, init="normal", init_std=0.15)), 0)
    weights = {name: weight.clone() for name, weight in model.state_dict().items()}
    add_lora(model, LORA, 0)
    engine = SingleEngine(METHODS[method].objective(model, settings), optimizer_of(schedule))
    with tempfile.TemporaryDirectory() as directory:
        adapter = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
        save_adapter(adapter, LORA, Path(directory), base="base")
        peer = Peer(method, weights, Path(directory), schedule)
    ours, theirs = [], []
    for step in range(steps):
        loss, norm = engine.gradients(partial(stream.rows, BATCH * step), BATCH)
        engine.update(schedule.factor(step + 1), norm)
        ours.append(loss)
        theirs.append(
            peer.step(stream.rows(BATCH * step, 0, BATCH), schedule.learning_rate * schedule.factor(step + 1))
        )
    return ours, theirs


def plain_step(optimizer: torch.optim.Optimizer, loss: torch.Tensor, rate: float) -> None:
    """Take a step of a plain loop, at this rate, by a loss's clipped gradients."""
    (group,) = optimizer.param_groups
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(group["params"], 1.0)
    group["lr"] = rate
    optimizer.step()


def settings_of(method: str, schedule: Schedule) -> AdapterSettings:
    told: dict[str, Any] = {"lora": LORA, "schedule": schedule, "seed": 0, "dtype": "float32"}
    if method in ("sft", "reward"):
        return AdapterSettings(**told)
    told["beta"] = BETA
    return KtoSettings(**told) if method == "kto" else PairedSettings(loss=method, margin=MARGIN, **told)


def items_of(method: str) -> list[Item]:
    """Answers of different lengths to prompts of different lengths, of random tokens."""
    random = np.random.Generator(np.random.PCG64(0))
    items: list[Item] = []
    for number in range(40):
        prompt = random.integers(4, 300, 1 if method == "orpo" else 3 + number % 5)
        chosen, rejected, other = (answered(prompt, random) for _ in range(3))
        if method == "orpo":  # its likelihood term is a mean over the batch's tokens there, and over a pair's here
            chosen = answered(prompt, random, 12)
        if method == "kto":
            items.append(Labelled(chosen, other, float(number % 3 > 0), "random"))
        else:
            items.append(chosen if method == "sft" else Pair(chosen, rejected, "random", 0.5 * (number % 3)))
    return items


def answered(prompt: np.ndarray, random: np.random.Generator, length: int | None = None) -> Example:
    answer = random.integers(4, 300, length or int(random.integers(4, 20)))
    return Example(np.concatenate((prompt, answer)), np.arange(len(prompt) + len(answer)) >= len(prompt), "random")


@dataclass
class Built:
    """What of TRL makes a method's trainer. data: columns of its dataset, of which nothing is used."""

    trainer: type
    config: type
    options: dict
    data: dict[str, list]


def built(method: str) -> Built:
    import trl

    text = {"prompt": ["a b"] * 4, "chosen": [" c d"] * 4, "rejected": [" d c"] * 4}
    if method == "sft":
        return Built(trl.SFTTrainer, trl.SFTConfig, {}, {"prompt": text["prompt"], "completion": text["chosen"]})
    if method == "reward":
        return Built(trl.RewardTrainer, trl.RewardConfig, {}, {"chosen": ["a b c"] * 4, "rejected": ["a c b"] * 4})
    if method in ("dpo", "ipo"):
        loss = {"dpo": "sigmoid", "ipo": "ipo"}[method]
        return Built(trl.DPOTrainer, trl.DPOConfig, {"beta": BETA, "loss_type": [loss]}, text)
    if method == "kto":
        data = {"prompt": text["prompt"], "completion": text["chosen"], "label": [True, False, True, False]}
        return Built(trl.KTOTrainer, trl.KTOConfig, {"beta": BETA}, data)
    if method == "orpo":
        from trl.experimental.orpo import ORPOConfig, ORPOTrainer

        return Built(ORPOTrainer, ORPOConfig, {"beta": BETA}, text)
    from trl.experimental.cpo import CPOConfig, CPOTrainer

    simpo = {"beta": BETA, "loss_type": "simpo", "simpo_gamma": MARGIN, "cpo_alpha": 0.0}
    return Built(CPOTrainer, CPOConfig, simpo, text)


class Peer:
    """TRL's trainer of a method around the same model, and the optimizer of a plain loop."""

    def __init__(
        self,
        method: str,
        weights: dict[str, Tensor],
        adapter: Path,
        schedule: Schedule,
        config: ModelConfig = CONFIG,
        lora: LoraConfig = LORA,
    ) -> None:
        from datasets import Dataset
        from datasets.table import InMemoryTable
        from peft import LoraConfig as PeftLora
        from peft import PeftModel, TaskType, get_peft_model
        from safetensors.torch import load_file
        from transformers import LlamaConfig, LlamaForCausalLM, LlamaForSequenceClassification

        self.method = method
        kind = LlamaForSequenceClassification if method == "reward" else LlamaForCausalLM
        base = kind(LlamaConfig(**config.to_hf(), **({"num_labels": 1} if method == "reward" else {})))
        base.load_state_dict(weights, strict=False)
        if method == "reward":
            base.score.weight.data.zero_()
            of_peft = PeftLora(
                r=lora.r, lora_alpha=lora.alpha, target_modules=list(lora.target_modules), task_type=TaskType.SEQ_CLS
            )
            model = get_peft_model(base, of_peft)
            named = dict(model.named_parameters())
            for name, value in load_file(adapter / "adapter_model.safetensors").items():
                named[name.replace(".weight", ".default.weight")].data.copy_(value)
        else:
            base.tie_weights()
            model = PeftModel.from_pretrained(base, adapter, is_trainable=True)
        of = built(method)
        args = of.config(
            output_dir=str(adapter), report_to=[], use_cpu=True, bf16=False, gradient_checkpointing=False, **of.options
        )
        # A fingerprint of its own: making one pickles the table, which not every version of pyarrow allows.
        data = Dataset(InMemoryTable.from_pydict(of.data), fingerprint="unused")
        self.trainer = of.trainer(model=model, args=args, train_dataset=data, processing_class=tokenizer())
        self.model = self.trainer.model.train()
        weights = [weight for weight in self.model.parameters() if weight.requires_grad]
        self.optimizer = torch.optim.AdamW(weights, lr=schedule.learning_rate, betas=BETAS, weight_decay=0.0)

    def step(self, batch: Batch, rate: float) -> float:
        """Take a step; return the loss before it."""
        loss = self.trainer.compute_loss(self.model, self.inputs(batch))
        plain_step(self.optimizer, loss, rate)
        return loss.item()

    def inputs(self, batch: Batch) -> dict:
        """The batch as this trainer's collator gives it."""
        real = torch.arange(batch.tokens_BT.shape[1])[None] < batch.length_B[:, None]
        ids, seen, mask = batch.tokens_BT, real.long(), batch.mask_BT.long()
        labels = ids.masked_fill(mask == 0, -100)
        if self.method == "sft":
            return {"input_ids": ids, "attention_mask": seen, "labels": labels}
        if self.method == "reward":
            return {"input_ids": ids, "attention_mask": seen, "margin": batch.values_B}
        if self.method in ("dpo", "ipo"):
            return {"input_ids": ids, "attention_mask": seen, "completion_mask": mask}
        if self.method == "kto":
            (own, wrong), (own_seen, wrong_seen), (own_mask, wrong_mask) = (x.chunk(2) for x in (ids, seen, mask))
            given = {"input_ids": own, "attention_mask": own_seen, "completion_mask": own_mask}
            other = {"KL_input_ids": wrong, "KL_attention_mask": wrong_seen, "KL_completion_mask": wrong_mask}
            return given | other | {"label": batch.values_B > 0}
        sides = [x.chunk(2) for x in (ids, seen, labels)]
        names = ("input_ids", "attention_mask", "labels")
        return {
            f"{side}_{name}": values[index]
            for name, values in zip(names, sides, strict=True)
            for index, side in enumerate(("chosen", "rejected"))
        }


def tokenizer():  # noqa: ANN201
    """Of a few words: the trainers ask for one, and for its padding."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace
    from transformers import PreTrainedTokenizerFast

    words = {"<unk>": 0, "<s>": 1, "</s>": 2, "<pad>": 3, "a": 4, "b": 5, "c": 6, "d": 7}
    made = Tokenizer(WordLevel(words, unk_token="<unk>"))
    made.pre_tokenizer = Whitespace()
    special = {"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>"}
    return PreTrainedTokenizerFast(tokenizer_object=made, **special)


if __name__ == "__main__":
    main()
