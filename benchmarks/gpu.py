"""Does the GPU path work, and how fast is it? On a bare checkout: no store, no network, no Snakemake.

    python -m benchmarks.gpu [--only NAME ...] [--seconds N] [--out FILE] [--device cuda|cpu]

Parts in the order of their worth, each in a process of its own and bounded in seconds; what a part finds is in --out
(JSON) as soon as it is known. A part that fails says why, and the next one runs; one table at the end. Needs torch, and
for its parts the wheels of benchmarks/gpu.txt; what is missing costs the part that needs it. With --device cpu the same
parts run in their smallest form: that they still run is all that this shows. Exit status 1: something failed or missed.
"""

import argparse
import importlib
import json
import os
import platform
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import asdict
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TOLD = "row: "
TAIL = 20  # lines of what a failed part said
# Name, module, and share of the time.
PARTS = {
    "peaks": ("benchmarks.gpu_peaks", 0.05),
    "parity": ("benchmarks.gpu_training", 0.08),
    "speed": ("benchmarks.gpu_speed", 0.43),
    "resume": ("benchmarks.gpu_training", 0.12),
    "engines": ("benchmarks.gpu_training", 0.10),
    "minhash": ("benchmarks.gpu_peaks", 0.10),
    "stages": ("benchmarks.gpu_stages", 0.12),
}
ON_DEMAND = {"profile": ("benchmarks.gpu_speed", 0.2)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=[*PARTS, *ON_DEMAND], metavar="NAME", help=", ".join(PARTS))
    parser.add_argument("--seconds", type=float, default=450, help="for all parts together (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=Path("gpu.json"))
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--part", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part:
        return tell(options)
    chosen = {name: (PARTS | ON_DEMAND)[name] for name in options.only or PARTS}
    shares = sum(share for _, share in chosen.values())
    report = {"environment": environment(options.device), "parts": {}}
    spare = 0.0
    for name, (_, share) in chosen.items():
        allowed = options.seconds * share / shares + spare  # what one part leaves, the next may use
        begun = time.monotonic()
        report["parts"][name] = part = {"rows": []}
        print(f"{name} (at most {allowed:.0f} s)", flush=True)
        run_part(name, allowed, options, part, lambda: write(options.out, report))
        part["seconds"] = round(time.monotonic() - begun, 1)
        spare = max(0.0, allowed - part["seconds"])
        write(options.out, report)
    print("\n" + table(report))
    return int(any(bad(part) for part in report["parts"].values()))


def tell(options: argparse.Namespace) -> int:
    """In a part's process: every row as a line of its own."""
    from benchmarks.gpu_bench import Bench, Row

    module = importlib.import_module((PARTS | ON_DEMAND)[options.part][0])
    bench = Bench(options.device, options.device == "cpu", time.monotonic() + options.seconds)
    try:
        for row in getattr(module, options.part)(bench):
            print(TOLD + json.dumps(asdict(row)), flush=True)
    except ModuleNotFoundError as error:
        print(TOLD + json.dumps(asdict(Row("left out", 0.0, "", None, f"{error}; see benchmarks/gpu.txt"))), flush=True)
    return 0


def run_part(name: str, seconds: float, options: argparse.Namespace, part: dict, save: object) -> None:
    """Fills `part`; "failed" says why, if it did."""
    command = [sys.executable, "-m", "benchmarks.gpu", "--part", name, "--device", options.device]
    command += ["--seconds", str(max(1.0, seconds * 0.8))]
    env = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))}
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=said, text=True)
        overdue = threading.Timer(seconds, process.kill)
        overdue.start()
        for line in process.stdout:
            if line.startswith(TOLD):
                part["rows"].append(json.loads(line.removeprefix(TOLD)))
                print("  " + shown(part["rows"][-1]), flush=True)
                save()
        status = process.wait()
        in_time = overdue.is_alive()
        overdue.cancel()
        said.seek(0)
        lines = said.read().splitlines()
    if status:
        part["failed"] = f"ended with status {status}" if in_time else f"not done within {seconds:.0f} s"
        part["said"] = [line for line in lines if line.strip()][-TAIL:]
        print(f"  failed: {part['failed']}\n" + "\n".join(f"    {line}" for line in part["said"]), flush=True)


def environment(device: str) -> dict:
    """What the figures are of."""
    import torch

    found = {
        "date": time.strftime("%Y-%m-%d"),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "cpus": os.cpu_count(),
        "commit": said_by("git", "rev-parse", "HEAD"),
        "changed": bool(said_by("git", "status", "--porcelain")),
    }
    if device == "cuda" and torch.cuda.is_available():
        card = torch.cuda.get_device_properties(0)
        found |= {
            "device": card.name,
            "memory_bytes": card.total_memory,
            "multiprocessors": card.multi_processor_count,
            "cuda": torch.version.cuda,
            "driver": said_by("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"),
        }
    for distribution in ("cupy-cuda13x", "triton", "numpy", "numba", "pyarrow", "megatron-core"):
        try:
            found[distribution] = metadata.version(distribution)
        except metadata.PackageNotFoundError:
            found[distribution] = None
    return found


def said_by(*command: str) -> str | None:
    """The first line of a program's output, None where there is none."""
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    except OSError:
        return None
    return done.stdout.splitlines()[0].strip() if done.returncode == 0 and done.stdout.strip() else None


def write(path: Path, report: dict) -> None:
    """Replaces the file at once."""
    partial = path.with_name(path.name + ".partial")
    partial.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    partial.replace(path)


def bad(part: dict) -> bool:
    return "failed" in part or any(row["holds"] is False for row in part["rows"])


def shown(row: dict) -> str:
    holds = {True: "holds", False: "MISSED", None: ""}[row["holds"]]
    return f"{row['what']}: {number(row['value'])} {row['unit']}  {holds}  {row['note']}".rstrip()


def number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def table(report: dict) -> str:
    """Markdown, as docs/gpu.md keeps it."""
    found = report["environment"]
    head = ", ".join(f"{key} {value}" for key, value in found.items() if value not in (None, False))
    lines = [head, "", "| part | what | | unit | must hold | note |", "|---|---|---|---|---|---|"]
    for name, part in report["parts"].items():
        for row in part["rows"]:
            holds = {True: "holds", False: "**missed**", None: ""}[row["holds"]]
            lines.append(
                f"| {name} | {row['what']} | {number(row['value'])} | {row['unit']} | {holds} | {row['note']} |"
            )
        if "failed" in part:
            last = part["said"][-1] if part["said"] else ""
            lines.append(f"| {name} | **failed** | | | | {part['failed']}: {last.replace('|', '/')} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
