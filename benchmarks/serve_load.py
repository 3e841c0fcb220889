"""Overloads a server for some minutes with ten times the requests that it admits: hung-up clients, malformed bodies,
prompts beyond the context, slow readers and writers; and says what came of it, as a line of JSON.

    python -m benchmarks.serve_load MODEL [--seconds 300] [--max-open 16]

Twelve seeded requests are asked alone before and after, and again and again in between: whatever the load, text and
log-probabilities must be the same. Exit status 1: a wrong answer, a status that does not fit, a server that ended, or
blocks and files that did not come back.
"""

import argparse
import asyncio
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).resolve().parents[1]
OVERLOAD = 10
MALFORMED = (b"{", b"\xff\xfe{}", b"[" * 5000, b'{"prompt": NaN}', b'{"prompt": "\\ud800"}', b"", b"null", b"\x00" * 99)
WRONG = (
    {"prompt": "x", "temperature": -1},
    {"prompt": "x", "n": 0},
    {"prompt": "x", "no_such_field": 1},
    {"prompt": [10**9]},
    {"prompt": "x", "response_format": {"type": "json_schema", "json_schema": {"schema": {"type": "wizard"}}}},
    {"prompt": "x", "response_format": {"type": "regex", "pattern": "("}},
)


@dataclass
class Seen:
    """What clients saw: statuses by kind, those that do not fit, and how many answers differ from the lone run."""

    statuses: Counter[str] = field(default_factory=Counter)
    improper: list[str] = field(default_factory=list)
    compared: int = 0
    wrong: int = 0

    def note(self, kind: str, answer: httpx.Response, *fitting: int) -> None:
        self.statuses[f"{kind} {answer.status_code}"] += 1
        retry = answer.status_code != 429 or "retry-after" in answer.headers
        shaped = answer.status_code == 200 or "error" in answer.json()
        if answer.status_code not in fitting or not retry or not shaped:
            self.improper.append(f"{kind}: {answer.status_code} {answer.text[:200]}")


@contextmanager
def serving(model: Path, *options: str) -> Iterator[tuple[str, subprocess.Popen]]:
    """Start `make serve`'s process on a free port; yield its address and itself."""
    command = [sys.executable, "-m", "llm.deploy.serve.server", f"model={model}", "--port", "0", *options]
    environment = os.environ | {"STEMMA_API_KEY": ""}
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
    ) as server:
        try:
            assert server.stdout is not None
            url = server.stdout.readline().split("/  ")[0]
            while httpx.get(f"{url}/v1/models", timeout=600).status_code != 200:
                time.sleep(0.1)
            yield url, server
        finally:
            server.kill()


def asked(number: int) -> dict[str, Any]:
    """Return the body of seeded request `number`."""
    chance = random.Random(number)
    prompt = " ".join(chance.choice(("rivers", "stones", "the", "of", "a", "count")) for _ in range(4 + 2 * number))
    greedy = number % 3 == 0
    return {
        "prompt": prompt,
        "max_tokens": 4 + 2 * number,
        "temperature": 0 if greedy else 1,
        "seed": number,
        "logprobs": 1,
        "ignore_eos": True,
    }


def told(choices: list[dict]) -> tuple[str, list[float]]:
    """Return text and log-probabilities of an answer, or of its chunks."""
    return "".join(each["text"] for each in choices), [
        p for each in choices for p in each["logprobs"]["token_logprobs"]
    ]


async def whole(client: httpx.AsyncClient, number: int, alone: dict[int, Any], seen: Seen) -> None:
    answer = await client.post("/v1/completions", json=asked(number))
    seen.note("answer", answer, 200, 429)
    if answer.status_code == 200:
        seen.compared += 1
        seen.wrong += told(answer.json()["choices"]) != alone[number]


async def streamed(client: httpx.AsyncClient, number: int, alone: dict[int, Any], seen: Seen) -> None:
    async with client.stream("POST", "/v1/completions", json=asked(number) | {"stream": True}) as answer:
        lines = [line async for line in answer.aiter_lines()]
        seen.statuses[f"stream {answer.status_code}"] += 1
    if answer.status_code == 200:
        rows = [json.loads(line[6:]) for line in lines if line.startswith("data: {")]
        seen.compared += 1
        seen.wrong += told([row["choices"][0] for row in rows]) != alone[number]
    elif answer.status_code != 429:
        seen.improper.append(f"stream: {answer.status_code}")


async def hang_up(client: httpx.AsyncClient, number: int, chance: random.Random, seen: Seen) -> None:
    body = asked(number) | {"stream": chance.random() < 0.5, "max_tokens": 100}
    try:
        timeout = httpx.Timeout(600, read=chance.choice((0.01, 0.1, 0.5)))
        async with client.stream("POST", "/v1/completions", json=body, timeout=timeout) as answer:
            async for _ in answer.aiter_lines():
                break
            seen.statuses[f"hung up {answer.status_code}"] += 1
    except httpx.ReadTimeout:
        seen.statuses["hung up before an answer"] += 1


async def malformed(client: httpx.AsyncClient, chance: random.Random, seen: Seen) -> None:
    path = chance.choice(("/v1/completions", "/v1/chat/completions", "/tokenize", "/detokenize"))
    content = chance.choice((*MALFORMED, chance.randbytes(chance.randrange(1, 2000))))
    answer = await client.post(path, content=content, headers={"Content-Type": "application/json"})
    seen.note("malformed", answer, 400)


async def wrong(client: httpx.AsyncClient, chance: random.Random, seen: Seen) -> None:
    seen.note("wrong", await client.post("/v1/completions", json=chance.choice(WRONG)), 400, 429)
    seen.note("unknown", await client.post("/v1/completions", json={"prompt": "x", "model": "gpt-9"}), 404)
    seen.note("no call", await client.get(chance.choice(("/v2", "/v1/files", "/%00", "/../../etc"))), 404)
    seen.note("no method", await client.put("/v1/completions", json={}), 405)


async def huge(client: httpx.AsyncClient, chance: random.Random, seen: Seen) -> None:
    words = chance.choice((20_000, 200_000, 3_000_000))
    body = {"prompt": "a b " * (words // 2), "max_tokens": 1}
    seen.note("huge", await client.post("/v1/completions", json=body), 400, 413)


async def slow(url: str, number: int, chance: random.Random, seen: Seen) -> None:
    """Read an answer a few bytes at a time, or never end a request; then go."""
    host, port = re.findall(r"//([\d.]+):(\d+)", url)[0]
    reader, writer = await asyncio.open_connection(host, int(port), limit=256)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
    body = json.dumps(asked(number) | {"stream": True, "max_tokens": 60}).encode()
    head = f"POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    data = head.encode() + b"\r\n\r\n" + body
    writer.write(data[: chance.choice((len(data), len(data), 20, len(data) - 9))])
    await writer.drain()
    for _ in range(20):
        with suppress(TimeoutError):
            await asyncio.wait_for(reader.read(8), 0.1)
        await asyncio.sleep(0.1)
    writer.close()
    seen.statuses["slow"] += 1


async def visit(url: str, alone: dict[int, Any], seen: Seen, seed: int, end: float) -> None:
    """Be one client after the other until the end."""
    chance = random.Random(seed)
    async with httpx.AsyncClient(base_url=url, timeout=600) as client:
        while time.monotonic() < end:
            try:
                await one_visit(url, client, alone, seen, chance)
            except httpx.TransportError as error:
                seen.improper.append(f"no answer: {error!r}")
            await asyncio.sleep(chance.random() / 2)


async def one_visit(
    url: str, client: httpx.AsyncClient, alone: dict[int, Any], seen: Seen, chance: random.Random
) -> None:
    number = chance.randrange(len(alone))
    match chance.choices(range(7), (30, 20, 15, 15, 10, 3, 7))[0]:
        case 0:
            await whole(client, number, alone, seen)
        case 1:
            await streamed(client, number, alone, seen)
        case 2:
            await hang_up(client, number, chance, seen)
        case 3:
            await malformed(client, chance, seen)
        case 4:
            await wrong(client, chance, seen)
        case 5:
            await huge(client, chance, seen)
        case 6:
            await slow(url, number, chance, seen)


def size_of(process: int) -> tuple[float, int]:
    """Return a process's resident MB and its open files."""
    status = Path(f"/proc/{process}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024, len(list(Path(f"/proc/{process}/fd").iterdir()))


async def watch(process: int, end: float) -> list[tuple[float, int]]:
    sizes = []
    while time.monotonic() < end:
        sizes.append(size_of(process))
        await asyncio.sleep(0.5)
    return sizes


async def load(url: str, process: int, alone: dict[int, Any], seen: Seen, clients: int, seconds: float) -> list:
    end = time.monotonic() + seconds
    visits = [visit(url, alone, seen, seed, end) for seed in range(clients)]
    sizes, *_ = await asyncio.gather(watch(process, end), *visits)
    return sizes


def ask_alone(url: str, number: int) -> tuple[str, list[float]]:
    answer = httpx.post(f"{url}/v1/completions", json=asked(number), timeout=600)
    assert answer.status_code == 200, answer.text
    return told(answer.json()["choices"])


def main(model: Path, seconds: float, max_open: int) -> dict[str, Any]:
    """Return what came of it; `failed` names what must not be."""
    seen = Seen()
    options = ("--max-open", str(max_open), "--max-sequences", "8", "--kv-mib", "32", "--products", "dense")
    with serving(model, *options) as (url, server):
        alone = {number: ask_alone(url, number) for number in range(12)}
        quiet = size_of(server.pid)
        sizes = asyncio.run(load(url, server.pid, alone, seen, OVERLOAD * max_open, seconds))
        for _ in range(600):
            state = httpx.get(f"{url}/stats", timeout=600).json()["model"]
            if not state["running"] + state["waiting"]:
                break
            time.sleep(0.1)
        seen.wrong += sum(ask_alone(url, number) != alone[number] for number in alone)
        time.sleep(1)  # who has gone is noticed
        after = size_of(server.pid)
        state = httpx.get(f"{url}/stats", timeout=600).json()["model"]
        health = httpx.get(f"{url}/health", timeout=600).status_code
        server.send_signal(signal.SIGTERM)
        ended = server.wait(60)
    early, late = (max(mb for mb, _ in part) for part in (sizes[: len(sizes) // 3], sizes[-len(sizes) // 3 :]))
    failed = {
        "wrong answers": seen.wrong,
        "improper": seen.improper[:5],
        "blocks held": state["kv_blocks_held"],
        "requests held": state["running"] + state["waiting"],
        "files left": max(0, after[1] - quiet[1] - 1),
        "health": health != 200,
        "exit": ended not in (0, -signal.SIGTERM),
    }
    return {
        "seconds": seconds,
        "clients": OVERLOAD * max_open,
        "statuses": dict(sorted(seen.statuses.items())),
        "compared": seen.compared,
        "rss_mb": {"quiet": quiet[0], "first third": early, "last third": late, "after": after[0]},
        "files": {"quiet": quiet[1], "most": max(files for _, files in sizes), "after": after[1]},
        "cancelled": state["cancelled"],
        "failed": {name: value for name, value in failed.items() if value},
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--max-open", type=int, default=16)
    given = parser.parse_args()
    came = main(given.model, given.seconds, given.max_open)
    print(json.dumps(came))
    sys.exit(bool(came["failed"]))
