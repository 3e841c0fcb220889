"""A small model that answers, criticises and revises by constitutions/checkable.yaml: what is wrong with its answers,
it can say and mend, for its conversations were made by the exact tests.

Half of its answers break each principle, one independently of the others. It is a model that knows the format; it does
not know which answers are preferred.
"""

import json
import random
import time
from dataclasses import dataclass, replace
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from llm.align.batches import Example, collate
from llm.align.constitution import Constitution, Principle
from llm.align.conversations import encode_example
from llm.model.config import ModelConfig
from llm.model.transformer import CausalLM, initialise
from llm.tokenize.load import Tokenizer
from llm.tokenize.train import train

NAMES = ("Adam", "Alice", "Anna", "David", "Emma", "Frank", "George", "Helen", "Jack", "Lucy", "Tom")
VERBS = ("wrote about", "worked with", "studied", "loved", "knew all of", "never saw")
LONG = (
    "Many people of the town came to see it on every day of the week for years.",
    "It was talked about by old and young in every house of the whole wide country.",
)
QUESTIONS = ("Do you like it?", "Did you know that?", "Shall I say more?")
SIZES = {"d_model": 128, "n_layers": 4, "n_heads": 4, "n_kv_heads": 4, "d_head": 32, "d_ff": 384, "context_length": 224}
VOCAB_SIZE, STEPS, BATCH, RATE, WARMUP = 640, 1000, 16, 3e-3, 50
KEPT_EVERY = 100


@dataclass(frozen=True)
class Said:
    """An answer in parts, each of which breaks a principle or follows it."""

    topic: str
    verb: str
    name: str = ""
    year: int = 0
    long: str = ""
    question: str = ""

    def text(self) -> str:
        who, when = self.name or "Someone", f"in {self.year}" if self.year else "long ago"
        return " ".join(filter(None, (f"{who} {self.verb} {self.topic} {when}.", self.long, self.question)))

    def mended(self, principle: str, chance: random.Random) -> "Said":
        changes: dict = {
            "no_digits": {"year": 0},
            "no_given_name": {"name": ""},
            "at_most_20_words": {"long": ""},
            "ends_with_question": {"question": self.question or chance.choice(QUESTIONS)},
        }
        return replace(self, **changes[principle])


def answer(topic: str, chance: random.Random) -> Said:
    """Return an answer that breaks each principle with probability one half."""
    return Said(
        topic,
        chance.choice(VERBS),
        chance.choice(NAMES) if chance.random() < 0.5 else "",
        chance.randrange(1500, 2000) if chance.random() < 0.5 else 0,
        chance.choice(LONG) if chance.random() < 0.5 else "",
        chance.choice(QUESTIONS) if chance.random() < 0.5 else "",
    )


def conversation(constitution: Constitution, row: dict, principle: Principle, chance: random.Random) -> list[dict]:
    """Return a question, an answer, its critique, and its revision."""
    said = answer(row["id"].split("#")[0], chance)
    broken = not principle.follows(said.text())
    assert principle.follows(said.mended(principle.name, chance).text())
    turns = [
        row["prompt"],
        said.text(),
        principle.critique,
        "Yes." if broken is principle.yes_breaks else "No.",
        principle.revision,
        said.mended(principle.name, chance).text(),
    ]
    return [{"role": ("user", "assistant")[place % 2], "content": text} for place, text in enumerate(turns)]


def conversations(constitution: Constitution, count: int, seed: int) -> list[list[dict]]:
    """Return so many conversations on all prompts, by all principles."""
    chance = random.Random(seed)
    rows = [*constitution.prompts["train"], *constitution.prompts["validation"]]
    return [
        conversation(constitution, chance.choice(rows), chance.choice(constitution.principles), chance)
        for _ in range(count)
    ]


def small_model(directory: Path, constitution: Constitution, minutes: float) -> bool:
    """Train the model in a directory, for so long; a later call goes on. Returns whether it is done."""
    if (directory / "model.safetensors").exists():
        return True
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "tokenizer.model"
    if not path.exists():
        texts = [turn["content"] for told in conversations(constitution, 2000, 0) for turn in told]
        path.write_bytes(train(texts, vocab_size=VOCAB_SIZE, character_coverage=1.0))
    tokenizer = Tokenizer(path)
    config = ModelConfig(tokenizer.vocab_size, tie_embeddings=True, **SIZES)
    model = initialise(CausalLM(config), 0)
    optimizer = torch.optim.AdamW(model.parameters(), RATE, betas=(0.9, 0.98), weight_decay=0.01)
    begin, kept = 0, directory / "training.pt"
    if kept.exists():
        state = torch.load(kept)
        begin = state["step"]
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
    end = time.monotonic() + 60 * minutes
    for step in range(begin, STEPS):
        told = conversations(constitution, BATCH, 1000 + step)
        examples = [encode_example(tokenizer, messages, "all") for messages in told]
        loss = step_loss(model, examples, tokenizer.pad)
        for group in optimizer.param_groups:
            group["lr"] = RATE * min(1.0, (step + 1) / WARMUP, (STEPS - step) / (STEPS // 2))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if (step + 1) % KEPT_EVERY == 0 or time.monotonic() > end:
            print(f"format model: step {step + 1} of {STEPS}, loss {loss.item():.3f}", flush=True)
            state = {"step": step + 1, "model": model.state_dict(), "optimizer": optimizer.state_dict()}
            torch.save(state, kept)
        if time.monotonic() > end and step + 1 < STEPS:
            return False
    (directory / "config.json").write_text(json.dumps(config.to_hf()))
    weights = {name: weight for name, weight in model.state_dict().items() if name != "lm_head.weight"}
    save_file(weights, directory / "model.safetensors", metadata={"format": "pt"})
    kept.unlink()
    return True


def step_loss(model: CausalLM, examples: list[Example], pad: int) -> torch.Tensor:
    """Return the mean cross-entropy of the answers' tokens."""
    batch = collate(examples, pad)
    logits_BTV = model(batch.tokens_BT)[:, :-1]
    mask_BT = batch.mask_BT[:, 1:]
    return F.cross_entropy(logits_BTV[mask_BT], batch.tokens_BT[:, 1:][mask_BT])
