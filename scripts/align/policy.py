"""Train a LoRA adapter by a policy gradient of the table: GRPO, DAPO, Dr. GRPO, GSPO, RLOO or PPO."""

from pathlib import Path

from llm.align.settings.policy import PolicySettings
from llm.align.train_policy import train_policy
from llm.command import Surroundings, command

BASE = "../../models/sft"  # where the adapter's model stands in results/, as seen from the adapter


def main(
    base: Path,
    instructions: Path,
    adapter: Path,
    functions: Path | None = None,
    reward: Path | None = None,
    *,
    settings: PolicySettings,
    surroundings: Surroundings = Surroundings(),  # noqa: B008 (frozen)
) -> dict:
    """base: Hugging Face model directory with tokenizer.model. instructions: a training and a validation file, whose
    prompts are answered. functions: Python file of reward functions. reward: a reward model's adapter directory.
    adapter: empty directory to fill in PEFT's format, with metrics.parquet and rollouts.parquet; PPO's has
    critic.safetensors too."""
    return train_policy(base, instructions, adapter, functions, reward, BASE, settings, surroundings)


if __name__ == "__main__":
    command(main)
