"""Starts the server: python -m llm.deploy.serve.server, or make serve."""

import argparse
import logging
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import uvicorn

from kernels.ahead import load_compiled
from llm.deploy.quantize.operators import Products
from llm.deploy.serve.app import ServerSettings, make_app
from llm.deploy.serve.guard import LOOPBACK
from llm.deploy.serve.models import found_models
from llm.errors import InputError
from llm.inference.engine import EngineSettings
from llm.inference.scheduler import Limits
from llm.runtime.malloc import give_back_code

KEY = "STEMMA_API_KEY"
# Longer than clients keep a connection that they do not use (httpx, and with it openai's: 5 seconds): where both are as
# long, a request is sent into a connection that is being closed.
KEEP_ALIVE_SECONDS = 65


def main(arguments: list[str] | None = None) -> None:
    """Parse the command line, print the address, and serve until a signal; then end what runs, and go."""
    options = parser().parse_args(arguments)
    try:
        directories = named(options.models) or found_models(options.results)
        key = os.environ.get(KEY) or None
        if options.host not in LOOPBACK and not key:
            raise InputError(f"--host {options.host}: others could ask, too; set {KEY} to a key that they must show")
        limits = Limits(options.token_budget, options.max_sequences)
        engine = EngineSettings(kv_bytes=options.kv_mib * 2**20, limits=limits)
        report = None if options.models else reported(options.results)
        served = ServerSettings(
            engine, options.max_open, seconds=options.seconds, key=key, products=options.products, report=report
        )
        app = make_app(directories, served)
        give_back_code()  # of torch's start
        load_compiled()
        give_back_code()  # of LLVM's
        listener = listening(options.host, options.port)
    except InputError as error:
        sys.exit(f"error: {error}")
    host, port = listener.getsockname()[:2]
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    for name in ("stemma.access", "stemma.engine"):
        logging.getLogger(name).setLevel(logging.INFO)
    place = f"[{host}]" if ":" in host else host
    print(f"http://{place}:{port}/  serves {', '.join(directories)}", flush=True)
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=int(options.drain),
    )
    uvicorn.Server(config).run([listener])


def listening(host: str, port: int) -> socket.socket:
    """Return a socket that listens. Raises InputError where the address is no such or is taken."""
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except (OSError, OverflowError) as error:
        said = str(getattr(error, "strerror", None) or error).partition(" (")[0]
        raise InputError(f"{host}, port {port}: {said}; name another by --host and --port (0: any free)") from error


def at_least(least: int) -> Callable[[str], int]:
    """Return what reads an option of that number or more."""

    def number(text: str) -> int:
        if (value := int(text)) < least:
            raise argparse.ArgumentTypeError(f"{value} is less than {least}")
        return value

    return number


def parser() -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(prog="python -m llm.deploy.serve.server", description=__doc__)
    add = found.add_argument
    add(
        "models",
        nargs="*",
        metavar="NAME=DIRECTORY",
        help="models and adapters to serve; without it the build in --results",
    )
    add("--results", type=Path, default=Path("results"), help="of a build (default: results)")
    add("--host", default="127.0.0.1", help=f"address to listen at (default: 127.0.0.1; others need {KEY})")
    add("--port", type=int, default=8000, help="0: any that is free (default: 8000)")
    add("--kv-mib", type=at_least(1), default=256, help="MiB of each loaded model's key-value cache (default: 256)")
    add("--token-budget", type=at_least(1), default=512, help="tokens of a step (default: 512)")
    add("--max-sequences", type=at_least(1), default=64, help="that run at once (default: 64)")
    add("--max-open", type=at_least(1), default=256, help="requests that run or wait; more get 429 (default: 256)")
    add("--seconds", type=float, default=600, help="until an answer is given up (default: 600)")
    add(
        "--products",
        choices=get_args(Products),
        help="run in bf16, quantized weights by integer operators: weights alone, or each row of activations in int8, "
        "too; dense: dequantized (default: as stored, dequantized)",
    )
    add("--drain", type=float, default=60, help="seconds for running answers after SIGTERM (default: 60)")
    return found


def reported(results: Path) -> Path | None:
    """Return the directory of a build's report; None where it has none yet."""
    return results / "report" if (results / "report/index.html").is_file() else None


def named(models: list[str]) -> dict[str, Path]:
    """Return name -> directory of NAME=DIRECTORY, or of a directory alone."""
    found = {}
    for text in models:
        name, _, place = text.rpartition("=")
        directory = Path(place)
        found[name or directory.name] = directory
    return found


if __name__ == "__main__":
    main()
