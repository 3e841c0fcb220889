"""What people do to a workspace and what happens to it: benchmarks/rebuilds_changes.py makes changes of these edits."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import yaml

from benchmarks.rebuilds_workspace import MANIFEST, OVERLAY, Workspace

Edit = Callable[[Workspace], None]
Damage = Callable[[Callable[[str], Path], list[str]], None]  # where an output lies, and all outputs


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
    if not (home / ".config/stemma").exists():  # the signing key stays the user's
        (home / ".config/stemma").symlink_to(Path("~/.config/stemma").expanduser())
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
