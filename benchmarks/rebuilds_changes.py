"""Forty changes that people make to a workflow, each as a function of a workspace; for benchmarks/rebuilds.py.

A change is made to a workspace that has been built. `during`: another edit that is made and taken back while the job
of a rule runs; "kill": the build is killed there instead. What must come out is what the same state gives from nothing.
"""

from dataclasses import dataclass

from benchmarks.rebuilds_edits import (
    Damage,
    Edit,
    added_text,
    all_flipped,
    appended,
    checked_out,
    configured,
    damaged,
    linked,
    nothing,
    renamed,
    renamed_text,
    replaced,
    reversed_config,
    same_size_and_time,
    split_config,
    surroundings,
    touched,
    upgraded,
    without_snakemake,
)


@dataclass(frozen=True)
class Change:
    """kind: of what. edit: the change. around: what changes around the workspace, which a build from nothing does not
    see. damage: what happens to what was built. during: while a job runs, by its log's name and first output, an edit
    (or the kill) that is taken back. first: an edit and a build that come before. neutral: nothing that an artifact is
    made of is another, so that what was built before is what must come out. data: the cheap half shows it."""

    name: str
    kind: str
    edit: Edit
    around: Edit | None = None
    damage: Damage | None = None
    during: tuple[str, Edit | str, Edit] | None = None
    first: Edit | None = None
    neutral: bool = False
    data: bool = False


DPO = "paired|results/align/dpo"
BETA, BETA_AGAIN = configured(align__dpo__beta=0.3), configured(align__dpo__beta=0.1)
BAD_RATE = replaced("llm/align/paired.py", "return chosen_B * settings.beta", "return 2 * chosen_B * settings.beta")
GOOD_RATE = replaced("llm/align/paired.py", "return 2 * chosen_B * settings.beta", "return chosen_B * settings.beta")
BROKEN = replaced("llm/align/paired.py", "    kinds, (loss_B", "    raise RuntimeError\n    kinds, (loss_B")
MENDED = replaced("llm/align/paired.py", "    raise RuntimeError\n    kinds, (loss_B", "    kinds, (loss_B")
TEXT = replaced("texts/engine.txt", "the", "teh")
TEXT_BACK = replaced("texts/engine.txt", "teh", "the")
LEARNING_RATE = configured(pretrain__learning_rate=0.002)
ANOTHER = replaced("texts/collect.txt", "the", "teh")
ANOTHER_BACK = replaced("texts/collect.txt", "teh", "the")
THRESHOLD = configured(process__overrides__encyclopedic__n_words={"min": 12})

CHANGES = (
    Change(
        "a comment in a script", "code", appended("scripts/process/annotate.py", "# nothing\n"), neutral=True, data=True
    ),
    Change(
        "a docstring",
        "code",
        replaced("llm/process/corpus/clean.py", '"""', '"""Once more. ', times=1),
        neutral=True,
        data=True,
    ),
    Change("a comment in a shared module", "code", appended("llm/command.py", "# nothing\n"), neutral=True, data=True),
    Change("blank lines in a kernel", "code", appended("kernels/signals.py", "\n\n\n"), neutral=True, data=True),
    Change("a module that nobody imports", "code", appended("llm/io/unused.py", "X = 1\n"), neutral=True, data=True),
    Change(
        "an unused function in a shared module",
        "code",
        appended("llm/process/pii/spans.py", "\n\ndef unused():\n    return 1\n"),
        neutral=True,
        data=True,
    ),
    Change(
        "a line of a kernel's CUDA file",
        "code",
        appended("kernels/minhash.cu", "// nothing\n"),
        neutral=True,
        data=True,
    ),
    Change(
        "a module renamed", "code", renamed("llm/io/range_shuffle.py", "llm/io/permutation.py"), neutral=True, data=True
    ),
    Change("a module moved", "code", renamed("llm/io/utf8.py", "llm/process/utf8.py"), neutral=True, data=True),
    Change(
        "a constant of the optimizer",
        "code",
        replaced("llm/training/optimizer.py", "EPS = 1e-8", "EPS = 1e-9"),
    ),
    Change("a statement in DPO's loss", "code", BAD_RATE),
    Change(
        "a constant of quantization",
        "code",
        replaced("llm/deploy/quantize/scales.py", "STEP = 0.1", "STEP = 0.2"),
    ),
    Change("a threshold that drops documents", "config", THRESHOLD, data=True),
    Change(
        "a threshold that drops nothing more",
        "config",
        configured(process__thresholds__n_words={"max": 100001}),
        data=True,
    ),
    Change("domain weights", "config", configured(process__mix__weights={"code": 0.3}), data=True),
    Change("the seed", "config", configured(seed=7)),
    Change("the tokenizer's vocabulary", "config", configured(tokenizer__vocab_size=1000), data=True),
    Change("the learning rate of pretraining", "config", LEARNING_RATE),
    Change("ten more steps", "config", configured(pretrain__steps=30)),
    Change("SFT's learning rate", "config", configured(align__sft__schedule__learning_rate=0.004)),
    Change("DPO's beta", "config", BETA),
    Change("beta there and back", "config", BETA_AGAIN, first=BETA, neutral=True),
    Change("group size of INT4", "config", configured(quantize__methods={"rtn-int4": {"bits": 4, "group_size": 64}})),
    Change("a prompt of the demo", "config", configured(serve__prompts=["What is a kluge?"])),
    Change("1 as 1.0", "config", configured(align__lora={"r": 8, "alpha": 16.0}), neutral=True),
    Change("keys in another order", "config", reversed_config, neutral=True, data=True),
    Change("the config in two files", "config", split_config, neutral=True, data=True),
    Change("one more source", "data", configured(corpus=["jargon", "mpmath", "notes", "more"]), data=True),
    Change("one source less", "data", configured(corpus=["jargon", "notes"]), data=True),
    Change("a text edited", "data", TEXT, data=True),
    Change("a text edited, size and time kept", "data", same_size_and_time, data=True),
    Change("a text added", "data", added_text, data=True),
    Change("a text renamed", "data", renamed_text, data=True),
    Change("the texts behind a link", "data", linked, neutral=True, data=True),
    Change("everything touched", "surroundings", touched, neutral=True, data=True),
    Change("code written anew, as by a checkout", "surroundings", checked_out, neutral=True, data=True),
    Change("locale, time zone, HOME with a matplotlibrc", "surroundings", nothing, around=surroundings, neutral=True),
    Change("the same, and another learning rate", "surroundings", LEARNING_RATE, around=surroundings),
    Change("a package upgraded that another package loads", "surroundings", upgraded),
    Change(".snakemake deleted", "surroundings", without_snakemake, neutral=True, data=True),
    Change(
        "a bit of the token shards flipped",
        "damage",
        nothing,
        damage=damaged("results/tokens/manifest.json", "flipped"),
        neutral=True,
        data=True,
    ),
    Change(
        "clean shards emptied",
        "damage",
        nothing,
        damage=damaged("results/clean/jargon/manifest.json", "emptied"),
        neutral=True,
        data=True,
    ),
    Change(
        "weights deleted that no job reads",
        "damage",
        nothing,
        damage=damaged("results/models/dpo/manifest.json", "deleted"),
        neutral=True,
    ),
    Change("a bit of every file flipped", "damage", nothing, damage=all_flipped, neutral=True, data=True),
    Change("a build that failed, then mended", "events", MENDED, first=BROKEN, neutral=True),
    Change("killed in DPO, run again", "events", BETA, during=(DPO, "kill", nothing)),
    Change("code edited and taken back while DPO runs", "events", BETA, during=(DPO, BAD_RATE, GOOD_RATE)),
    Change(
        "a text edited and taken back while it is read",
        "events",
        TEXT,
        during=("collect/notes|results/raw/notes", ANOTHER, ANOTHER_BACK),
        data=True,
    ),
)
