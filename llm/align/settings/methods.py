"""Which methods a run trains, by name: the names are checked before anything runs. It imports no torch."""

from llm.align.settings.paired import PAIRED
from llm.align.settings.policy import POLICIES
from llm.errors import InputError

NEEDED = ("sft", "reward", "dpo")  # later stages begin with these
LABELS = {"": "principles", "-random": "random"}  # of what a constitution gives; the second is the control


def trained_by(constitutions: list[str]) -> list[str]:
    """Return what the name of an adapter ends with: "" on the derived pairs, "-<constitution>" on what a model made by
    it, "-<constitution>-random" on the control of that."""
    return ["", *(f"-{name}{labels}" for name in constitutions for labels in LABELS)]


def methods_of(align: dict) -> list[str]:
    """Return the methods that a run trains: NEEDED, then those of align.methods. align: the block of the config.
    Raises InputError for a name that is none."""
    plain, endings = ("sft", "reward", *PAIRED, "kto", *POLICIES), trained_by(align["constitution"]["files"])
    for name in align["methods"]:
        if name not in [f"{method}{ending}" for method in plain for ending in endings]:
            raise InputError(
                f"align.methods: {name!r} is no method; known are {', '.join(plain)}, with {' or '.join(endings[1:])} "
                "behind them too"
            )
    return [*NEEDED, *(name for name in align["methods"] if name not in NEEDED)]


def constitution_in(method: str) -> str:
    """Return the name of the constitution by which a method is trained; "" for one on the derived pairs."""
    return method.partition("-")[2].removesuffix("-random")
