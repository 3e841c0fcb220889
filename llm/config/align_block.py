"""The block `align` of the configuration: every method's slice, and the keys that they share (llm/config/blocks.py)."""

from dataclasses import dataclass

from llm.align.settings.adapter import AdapterKeys, Schedule, Whole
from llm.align.settings.constitution import AdherenceKeys, CritiqueKeys, FeedbackKeys
from llm.align.settings.given import GivenKeys
from llm.align.settings.instructions import InstructionKeys
from llm.align.settings.kto import Weights
from llm.align.settings.paired import Margin, Precomputed, Strength
from llm.align.settings.policy import REWARD_MODEL, CriticKeys, PolicyKeys
from llm.align.settings.preferences import PreferenceKeys
from llm.settings import key
from llm.training.settings import Limits


@dataclass(frozen=True, kw_only=True)
class Data:
    """What a method learns from."""

    data: str | None = key(None, shown=False)
    """A name of align.given, or a directory of train and validation, .jsonl or .parquet; null: the derived pairs."""


@dataclass(frozen=True, kw_only=True)
class Sft(Data, Whole):
    """Supervised fine-tuning on instruction pairs."""

    schedule: Schedule = key(Schedule(steps=130, batch_size=16, learning_rate=0.005, warmup_steps=10))
    """How it is trained."""


@dataclass(frozen=True, kw_only=True)
class Reward(Data):
    """The reward model."""

    schedule: Schedule = key(Schedule(steps=50, batch_size=16, learning_rate=0.005, warmup_steps=5))
    """How it is trained."""


PREFERENCE_STEPS = Schedule(steps=60, batch_size=8, learning_rate=0.0005, warmup_steps=5)


@dataclass(frozen=True, kw_only=True)
class Preferring(Data, Strength):
    """Training on preferences."""

    schedule: Schedule = key(PREFERENCE_STEPS)
    """How it is trained."""


@dataclass(frozen=True, kw_only=True)
class Dpo(Precomputed, Preferring):
    """Direct preference optimisation."""


@dataclass(frozen=True, kw_only=True)
class Ipo(Dpo):
    """Identity preference optimisation."""


@dataclass(frozen=True, kw_only=True)
class Simpo(Margin, Preferring):
    """Simple preference optimisation, which needs no reference."""


@dataclass(frozen=True, kw_only=True)
class Orpo(Preferring):
    """Odds ratio preference optimisation, which needs no reference."""


@dataclass(frozen=True, kw_only=True)
class Kto(Weights, Preferring):
    """Kahneman-Tversky optimisation, of single answers that are labelled good or bad."""


@dataclass(frozen=True, kw_only=True)
class Grpo(PolicyKeys):
    """Group relative policy optimisation, by rewards that can be verified."""

    functions: str | None = key(None, shown=False)
    """A Python file of reward functions, which `rewards` may name beside those of llm/align/rewards.py."""
    prompts: str | None = key(None, shown=False)
    """A name of align.given, or a directory of train and validation, .jsonl or .parquet, whose prompts are answered;
    null: those of the instructions."""
    schedule: Schedule = key(Schedule(steps=12, batch_size=4, learning_rate=0.002, warmup_steps=1))
    """How it is trained."""


@dataclass(frozen=True, kw_only=True)
class Dapo(Grpo):
    """GRPO with a mean over tokens; its clip_high, overlong_tokens, resample are beside it."""


@dataclass(frozen=True, kw_only=True)
class DrGrpo(Grpo):
    """GRPO without its biases towards lengths and difficulties."""


@dataclass(frozen=True, kw_only=True)
class Gspo(Grpo):
    """Group sequence policy optimisation: ratios are of answers as a whole."""


@dataclass(frozen=True, kw_only=True)
class Rloo(Grpo):
    """REINFORCE, the other answers' mean reward being the baseline."""


@dataclass(frozen=True, kw_only=True)
class Ppo(CriticKeys, Grpo):
    """Proximal policy optimisation: a critic learns beside the policy what its answers are worth."""


@dataclass(frozen=True, kw_only=True)
class Schedules:
    """How adapters are trained on what a model made by a constitution."""

    sft: Schedule = key(Schedule(steps=30, batch_size=8, learning_rate=0.002, warmup_steps=3))
    """On revisions."""
    reward: Schedule = key(Schedule(steps=30, batch_size=8, learning_rate=0.002, warmup_steps=3))
    """The preference model."""
    preferences: Schedule = key(Schedule(steps=30, batch_size=8, learning_rate=0.0005, warmup_steps=3))
    """DPO, IPO, SimPO, ORPO, KTO."""


@dataclass(frozen=True, kw_only=True)
class Constitutional(FeedbackKeys, CritiqueKeys, AdherenceKeys):
    """Constitutional AI: a model criticises and revises its answers by principles; adapters are trained on that."""

    files: dict[str, str] = key(
        {"natural": "constitutions/natural.yaml", "checkable": "constitutions/checkable.yaml"},
        propertyNames={"pattern": "^[a-z0-9_]+$"},
    )
    """By name, the files of principles; they are looked for here, then beside the Snakefile."""
    schedules: Schedules = key(Schedules())
    """How adapters are trained on what the model made."""


@dataclass(frozen=True, kw_only=True)
class Align(Limits, AdapterKeys):
    """Stage 6. Adapters that make the model answer: docs/align.md."""

    methods: list[str] = key(["ppo", "grpo", "dpo-checkable"], uniqueItems=True)
    """What a run trains beside SFT, the reward model and DPO; <method>-<constitution>: on what a model made by it."""
    given: dict[str, GivenKeys] = key({}, shown=False, propertyNames={"pattern": "^[a-z0-9_]+$"})
    """By name, data of sources, which a method's `data` or `prompts` may name."""
    instructions: InstructionKeys = key()
    """Pairs of a question and an answer."""
    preferences: PreferenceKeys = key()
    """Pairs of a good answer and a spoilt one."""
    sft: Sft = key(Sft())
    """Supervised fine-tuning."""
    reward: Reward = key(Reward())
    """The reward model."""
    dpo: Dpo = key(Dpo())
    """Direct preference optimisation."""
    ipo: Ipo = key(Ipo(), shown=False)
    """Identity preference optimisation."""
    simpo: Simpo = key(Simpo(beta=2.0, margin=1.0), shown=False)
    """Simple preference optimisation."""
    orpo: Orpo = key(Orpo(), shown=False)
    """Odds ratio preference optimisation."""
    kto: Kto = key(Kto(), shown=False)
    """Kahneman-Tversky optimisation."""
    grpo: Grpo = key(
        Grpo(
            samples=4,
            max_new_tokens=32,
            held_out=16,
            schedule=Schedule(steps=8, batch_size=4, learning_rate=0.002, warmup_steps=1),
        )
    )
    """Group relative policy optimisation, by rewards that can be verified."""
    dapo: Dapo = key(Dapo(clip_high=0.28, overlong_tokens=12, resample=2, kl_coef=0.0), shown=False)
    """GRPO as DAPO has it."""
    dr_grpo: DrGrpo = key(DrGrpo(), shown=False)
    """GRPO as Dr. GRPO has it."""
    gspo: Gspo = key(Gspo(clip_low=0.0003, clip_high=0.0004), shown=False)
    """Group sequence policy optimisation."""
    rloo: Rloo = key(Rloo(), shown=False)
    """REINFORCE leave-one-out."""
    ppo: Ppo = key(
        Ppo(
            rewards={REWARD_MODEL: 1.0, "variety": 0.0},
            samples=2,
            max_new_tokens=32,
            kl_coef=0.05,
            missing_eos_penalty=1.0,
            iterations=2,
            normalising_prompts=16,
            held_out=16,
            schedule=Schedule(steps=8, batch_size=8, learning_rate=0.002, warmup_steps=1),
        )
    )
    """Proximal policy optimisation, by the reward model."""
    constitution: Constitutional = key(
        Constitutional(
            prompts={"train": 48, "validation": 16},
            max_new_tokens=24,
            critique_tokens=8,
            samples=2,
        )
    )
    """Constitutional AI."""
