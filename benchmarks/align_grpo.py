"""A step of GRPO with its rollout, for benchmarks/align.py: ours, and TRL's trainer with transformers' generation.

Both answer the same prompts with as many answers of as many tokens (a fresh model ends none by itself), rate them by
the same function, ask the reference, and take one step. The answers are each one's own, so the losses are not compared:
those of the same answers are, by benchmarks/policy_parity.py.
"""

import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import torch

from benchmarks.align_parity import plain_step
from llm.align.lora import add_lora, save_adapter
from llm.align.prompts import Prompt
from llm.align.rewards import variety
from llm.align.rollouts import Rollouts
from llm.align.settings.adapter import LoraConfig, Schedule
from llm.align.settings.policy import PolicySettings
from llm.align.train_adapter import BETAS, optimizer_of
from llm.model.config import ModelConfig
from llm.model.transformer import CausalLM, initialise
from llm.runtime.agreement import Ranks
from llm.training.engines.single import SingleEngine

PROMPTS, ANSWERS, TOKENS, KL = 4, 8, 48, 0.02  # of a step; to a prompt; of an answer
Step = Callable[[int], float]


class Words:
    """The tokenizer of both: every id is a word."""

    eos = 2

    def decode(self, ids: list[int]) -> str:
        return " ".join(f"w{token}" for token in ids)


def prompts_of(steps: int, config: ModelConfig) -> list[Prompt]:
    """Prompts of 20 to 63 random tokens."""
    random = np.random.Generator(np.random.PCG64(0))
    drawn = [
        random.integers(8, config.vocab_size, int(random.integers(20, 64))).tolist() for _ in range(PROMPTS * steps)
    ]
    return [Prompt(ids, Words().decode(ids), {}, "random") for ids in drawn]


def steps_of(names: tuple[str, ...], config: ModelConfig, lora: LoraConfig, steps: int) -> list[Step]:
    """Return what takes a step and returns its loss, of each of these."""
    schedule = Schedule(steps=steps, batch_size=PROMPTS, learning_rate=1e-4, warmup_steps=1)
    prompts = prompts_of(steps, config)
    model = initialise(CausalLM(config), 0)
    weights = {name: weight.clone() for name, weight in model.state_dict().items()}
    add_lora(model, lora, 0)
    made = {"ours": partial(ours, model, prompts, lora, schedule)}
    made["TRL"] = partial(trls, model, weights, prompts, config, lora, schedule)
    return [made[name]() for name in names]


def ours(model: CausalLM, prompts: list[Prompt], lora: LoraConfig, schedule: Schedule) -> Step:
    told = PolicySettings(
        algorithm="grpo", schedule=schedule, seed=0, dtype="float32", lora=lora, rewards={"variety": 1.0},
        samples=ANSWERS, max_new_tokens=TOKENS, kl_coef=KL,
    )  # fmt: skip
    directory = tempfile.TemporaryDirectory()
    rollouts = Rollouts(
        prompts, prompts[:1], told, {"variety": variety}, Words(), model.config.pad_id, Ranks(0, 1),
        Path(directory.name),
    )  # fmt: skip
    engine = SingleEngine(rollouts.policy(model), optimizer_of(schedule))

    def step(number: int, kept: object = directory) -> float:
        loss, norm = engine.gradients(partial(rollouts.rows, PROMPTS * number), PROMPTS)
        engine.update(schedule.factor(number + 1), norm)
        return loss

    return step


def trls(
    model: CausalLM,
    weights: dict[str, torch.Tensor],
    prompts: list[Prompt],
    config: ModelConfig,
    lora: LoraConfig,
    schedule: Schedule,
) -> Step:
    from datasets import Dataset
    from datasets.table import InMemoryTable
    from peft import PeftModel
    from transformers import LlamaConfig, LlamaForCausalLM
    from trl import GRPOConfig, GRPOTrainer

    base = LlamaForCausalLM(LlamaConfig(**config.to_hf()))
    base.load_state_dict(weights, strict=False)
    base.tie_weights()
    directory = tempfile.TemporaryDirectory()
    adapter = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
    save_adapter(adapter, lora, Path(directory.name), base="base")
    args = GRPOConfig(
        output_dir=directory.name, report_to=[], use_cpu=True, bf16=False, gradient_checkpointing=False,
        loss_type="grpo", beta=KL, num_generations=ANSWERS, max_completion_length=TOKENS,
        per_device_train_batch_size=PROMPTS * ANSWERS,
    )  # fmt: skip
    # A fingerprint of its own: making one pickles the table, which not every version of pyarrow allows.
    data = Dataset(InMemoryTable.from_pydict({"prompt": [prompt.text for prompt in prompts]}), fingerprint="unused")
    trainer = GRPOTrainer(
        model=PeftModel.from_pretrained(base, directory.name, is_trainable=True), reward_funcs=varieties, args=args,
        train_dataset=data, processing_class=of_words(config.vocab_size),
    )  # fmt: skip
    trainer.current_gradient_accumulation_steps = 1  # as its own loop sets it
    peer = trainer.model.train()
    trained = [weight for weight in peer.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=schedule.learning_rate, betas=BETAS, weight_decay=0.0)

    def step(number: int, kept: object = directory) -> float:
        asked = prompts[PROMPTS * number : PROMPTS * (number + 1)]
        inputs = trainer._generate_and_score_completions(list(repeated(asked)))
        loss = trainer.compute_loss(peer, inputs)
        plain_step(optimizer, loss, schedule.learning_rate * schedule.factor(number + 1))
        return loss.item()

    return step


def repeated(prompts: list[Prompt]) -> Iterator[dict]:
    """Each prompt as often as it is answered, as the trainer's sampler gives it."""
    for prompt in prompts:
        yield from ({"prompt": prompt.text} for _ in range(ANSWERS))


def varieties(prompts: list[str], completions: list[str], **_: object) -> list[float]:
    """The reward function as TRL calls it."""
    return [variety(*both, {}) for both in zip(prompts, completions, strict=True)]


def of_words(vocab_size: int):  # noqa: ANN201
    """The tokenizer, as transformers has it."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import WhitespaceSplit
    from transformers import PreTrainedTokenizerFast

    made = Tokenizer(WordLevel({f"w{number}": number for number in range(vocab_size)}, unk_token="w0"))
    made.pre_tokenizer = WhitespaceSplit()
    special = {"unk_token": "w0", "bos_token": "w1", "eos_token": "w2", "pad_token": "w3"}
    return PreTrainedTokenizerFast(tokenizer_object=made, **special)
