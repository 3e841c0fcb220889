"""Forty changes that people make to a workflow, each as a function of a workspace; for benchmarks/rebuilds.py.

A change is made to a workspace that has been built. `during`: another edit that is made and taken back while the job
of a rule runs; "kill": the build is killed there instead. What must come out is what the same state gives from nothing.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import yaml

from benchmarks.rebuilds_systems import MANIFEST, OVERLAY, Workspace

Edit = Callable[[Workspace], None]
Damage = Callable[[Callable[[str], Path], list[str]], None]  # where an output lies, and all outputs


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


def replaced(path: str, old: str, new: str, times: int = -1) -> Edit:
    """In a file of the workspace, which must have it; only the first `times` where that is said."""

    def edit(workspace: Workspace) -> None:
        file = workspace.root / path
        text = file.read_text(encoding="utf-8")
        if old not in text:
            raise SystemExit(f"error: {path} has no {old!r}; mend benchmarks/rebuilds_changes.py")
        file.write_text(text.replace(old, new, times), encoding="utf-8")

    return edit


def appended(path: str, text: str) -> Edit:
    def edit(workspace: Workspace) -> None:
        with (workspace.root / path).open("a", encoding="utf-8") as file:
            file.write(text)

    return edit


def configured(**sections: object) -> Edit:
    """Keys of the overlay, by their path with double underscores."""

    def edit(workspace: Workspace) -> None:
        file = workspace.root / OVERLAY
        config = yaml.safe_load(file.read_text(encoding="utf-8"))
        for path, value in sections.items():
            *parents, key = path.split("__")
            place = config
            for parent in parents:
                place = place.setdefault(parent, {})
            place[key] = value
        file.write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")

    return edit


def both(*edits: Edit) -> Edit:
    def edit(workspace: Workspace) -> None:
        for each in edits:
            each(workspace)

    return edit


def nothing(workspace: Workspace) -> None:
    pass


def renamed(old: str, new: str) -> Edit:
    """A module, with every import of it."""

    def edit(workspace: Workspace) -> None:
        (workspace.root / new).parent.mkdir(exist_ok=True)
        (workspace.root / old).rename(workspace.root / new)
        before, after = (str(Path(name).with_suffix("")).replace("/", ".") for name in (old, new))
        (package, module), (new_package, new_module) = (name.rsplit(".", 1) for name in (before, after))
        for folder in ("llm", "scripts", "kernels", "rules"):
            for file in (workspace.root / folder).rglob("*"):
                if file.suffix in (".py", ".smk"):
                    text = file.read_text(encoding="utf-8")
                    changed = text.replace(f"from {before} import", f"from {after} import")
                    changed = changed.replace(
                        f"from {package} import {module}\n", f"from {new_package} import {new_module} as {module}\n"
                    )
                    if changed != text:
                        file.write_text(changed, encoding="utf-8")

    return edit


def reversed_config(workspace: Workspace) -> None:
    def turned(value: object) -> object:
        return {key: turned(value[key]) for key in reversed(value)} if isinstance(value, dict) else value

    file = workspace.root / OVERLAY
    file.write_text(yaml.safe_dump(turned(yaml.safe_load(file.read_text())), sort_keys=False))


def split_config(workspace: Workspace) -> None:
    config = yaml.safe_load((workspace.root / OVERLAY).read_text())
    (workspace.root / "second.yaml").write_text(yaml.safe_dump({"align": config.pop("align")}))
    (workspace.root / OVERLAY).write_text(yaml.safe_dump(config))
    workspace.configs.append("second.yaml")


def touched(workspace: Workspace) -> None:
    for folder in ("llm", "scripts", "kernels", "rules", "texts", "presets", "benchmarks"):
        for file in (workspace.root / folder).rglob("*"):
            os.utime(file)


def checked_out(workspace: Workspace) -> None:
    """Every file of the code written anew with equal bytes, as git does between branches."""
    for folder in ("llm", "scripts", "kernels", "rules"):
        for file in [file for file in (workspace.root / folder).rglob("*") if file.is_file()]:
            data = file.read_bytes()
            file.unlink()
            file.write_bytes(data)


def same_size_and_time(workspace: Workspace) -> None:
    file = workspace.root / "texts/engine.txt"
    before = file.stat()
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace("the", "teh"), encoding="utf-8")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def linked(workspace: Workspace) -> None:
    shutil.move(workspace.root / "texts", workspace.root / "elsewhere")
    (workspace.root / "texts").symlink_to("elsewhere")


def added_text(workspace: Workspace) -> None:
    shutil.copy(workspace.root / "more/process.txt", workspace.root / "texts/process.txt")


def renamed_text(workspace: Workspace) -> None:
    (workspace.root / "texts/engine.txt").rename(workspace.root / "texts/motor.txt")


def without_snakemake(workspace: Workspace) -> None:
    shutil.rmtree(workspace.root / ".snakemake", ignore_errors=True)


def surroundings(workspace: Workspace) -> None:
    home = workspace.root.parent / f"{workspace.root.name}-home"
    (home / ".config/matplotlib").mkdir(parents=True, exist_ok=True)
    (home / ".config/matplotlib/matplotlibrc").write_text("lines.linewidth: 5\nfont.size: 20\n")
    workspace.environment |= {
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / ".config"),
        "LANG": "tr_TR.UTF-8",
        "PYTHONHASHSEED": "7",
        "TZ": "Asia/Tokyo",
    }


def damaged(path: str, how: str) -> Damage:
    """The largest file of an output directory: a bit flipped, emptied or deleted."""

    def damage(place: Callable[[str], Path], outputs: list[str]) -> None:
        spoil(max(files_at(place(path)), key=lambda file: file.stat().st_size), how)

    return damage


def all_flipped(place: Callable[[str], Path], outputs: list[str]) -> None:
    """A bit of every file of every output."""
    for file in sorted({file for path in outputs for file in files_at(place(path))}):
        if file.stat().st_size:
            spoil(file, "flipped")


def files_at(place: Path) -> list[Path]:
    """An output's files: its own, or all in its directory."""
    directory = place.parent if place.name == MANIFEST else place
    if directory.is_file():
        return [directory]
    return [file for file in directory.rglob("*") if file.is_file() and file.name != MANIFEST]


def spoil(file: Path, how: str) -> None:
    """As a person or a program would that writes the file anew: not through a hard link."""
    data = bytearray(file.read_bytes())
    file.unlink()
    if how == "flipped":
        data[len(data) // 2] ^= 1
        file.write_bytes(data)
    elif how == "emptied":
        file.write_bytes(b"")


def upgraded(workspace: Workspace) -> None:
    """cycler, which nothing here imports and matplotlib does, in a new version that turns the colours round."""
    copy = workspace.root.parent / f"{workspace.root.name}-packages"
    subprocess.run(["cp", "-al", sys.prefix, str(copy)], check=True)
    (packages,) = copy.glob("lib/python*/site-packages")
    (metadata,) = packages.glob("cycler-*.dist-info")
    version = metadata.name.removeprefix("cycler-").removesuffix(".dist-info")
    rewrite(metadata / "METADATA", f"\nVersion: {version}\n", "\nVersion: 99.0\n")
    metadata.rename(packages / "cycler-99.0.dist-info")
    end = "return Cycler._from_iter(label, itr)"
    rewrite(packages / "cycler/__init__.py", end, end.replace("itr)", "list(itr)[::-1])"))
    workspace.python = str(copy / "bin/python")


def rewrite(file: Path, old: str, new: str) -> None:
    """A file anew, so that none of its other names changes with it."""
    text = file.read_text(encoding="utf-8")
    if old not in text:
        raise SystemExit(f"error: {file} has no {old!r}; mend benchmarks/rebuilds_changes.py")
    file.unlink()
    file.write_text(text.replace(old, new), encoding="utf-8")


DPO = "dpo|results/align/dpo"
BETA, BETA_AGAIN = configured(align__dpo__beta=0.3), configured(align__dpo__beta=0.1)
BAD_RATE = replaced("llm/align/dpo.py", "reward_B = beta *", "reward_B = 2 * beta *")
GOOD_RATE = replaced("llm/align/dpo.py", "reward_B = 2 * beta *", "reward_B = beta *")
BROKEN = replaced("llm/align/dpo.py", "    if beta <= 0:", "    raise RuntimeError\n    if beta <= 0:")
MENDED = replaced("llm/align/dpo.py", "    raise RuntimeError\n    if beta <= 0:", "    if beta <= 0:")
TEXT = replaced("texts/engine.txt", "the", "teh")
TEXT_BACK = replaced("texts/engine.txt", "teh", "the")
LEARNING_RATE = configured(pretrain__learning_rate=0.002)
ANOTHER = replaced("texts/collect.txt", "the", "teh")
ANOTHER_BACK = replaced("texts/collect.txt", "teh", "the")
THRESHOLD = configured(process__thresholds__n_words={"min": 120})

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
        replaced("llm/pretrain/optimizer.py", "BETAS = (0.9, 0.95)", "BETAS = (0.9, 0.96)"),
    ),
    Change("a statement in DPO's loss", "code", BAD_RATE),
    Change("a constant of quantization", "code", replaced("llm/deploy/quantize/rtn.py", "- 0.5", "- 0.45")),
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
    Change("SFT's learning rate", "config", configured(align__sft__schedule__lr=0.004)),
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
