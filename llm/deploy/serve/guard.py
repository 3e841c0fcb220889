"""Stands before every call: the size of its body, the key, the host it was sent to, and the access log. Plain ASGI, so
that streams pass through untouched."""

import asyncio
import hmac
import json
import logging
import time
from contextlib import suppress
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from llm.deploy.serve.metrics import Meters

LOG = logging.getLogger("stemma.access")
OPEN_PATHS = ("/", "/health")
LOOPBACK = ("127.0.0.1", "::1", "localhost")
ELSEWHERE = "without a key (STEMMA_API_KEY) this server answers to localhost alone"
LINGER_SECONDS, LINGER_BODIES = 60.0, 16  # how long, and how many times the largest body, is read before a refusal


class Guard:
    """max_body: bytes. key: what `Authorization: Bearer` has to say; None lets everybody in who names this machine: a
    page of another site whose name leads here (DNS rebinding) would be read by its browser as that site's own. The log
    has method, path, status, milliseconds and nothing that was said. Who is refused may send on for a while: a
    connection that is closed with unread bytes loses the answer on its way."""

    def __init__(self, app: ASGIApp, max_body: int, key: str | None, meters: Meters, paths: frozenset[str]) -> None:
        self.app, self.max_body, self.key, self.meters, self.paths = app, max_body, key, meters, paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begin, status, taken, more = time.monotonic(), 0, 0, True

        async def noted(message: Message) -> None:
            if taken > self.max_body and message["type"] == "http.response.start":
                await refuse_large()
            elif taken <= self.max_body:
                await noted_once(message)

        async def noted_once(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        async def read() -> Message:
            nonlocal taken, more
            message = await receive()
            taken += len(message.get("body", b""))
            more = message["type"] == "http.request" and message.get("more_body", False)
            return message

        async def read_rest() -> None:
            with suppress(TimeoutError):
                async with asyncio.timeout(LINGER_SECONDS):
                    while more and taken < LINGER_BODIES * self.max_body:
                        await read()

        async def refuse_large() -> None:
            await read_rest()
            await refuse(noted_once, 413, f"the body is larger than {self.max_body:,} bytes", "body_too_large")

        async def limited() -> Message:
            message = await read()
            # Whoever reads the body stops here, and what it would answer is replaced above.
            return message if taken <= self.max_body else {"type": "http.disconnect"}

        headers = dict(scope["headers"])
        try:
            if refusal := self.refusal(scope["path"], headers):
                await read_rest()
                await refuse(noted_once, *refusal)
            elif int(headers.get(b"content-length", b"0")) > self.max_body:
                await refuse_large()
            else:
                await self.app(scope, limited, noted)
        finally:
            path = scope["path"] if scope["path"] in self.paths else "other"
            self.meters.answers.labels(path, str(status)).inc()
            row = {"method": scope["method"], "path": scope["path"][:200], "status": status}
            LOG.info(json.dumps(row | {"ms": round(1000 * (time.monotonic() - begin), 1)}))

    def refusal(self, path: str, headers: dict[bytes, bytes]) -> tuple[int, str, str] | None:
        """Return status, message and code for a call that may not be made."""
        if self.key is None:
            host = headers.get(b"host", b"localhost").decode("latin-1")
            return None if is_loopback(host) else (421, f"{host[:100]}: {ELSEWHERE}", "unknown_host")
        given = headers.get(b"authorization", b"")
        if path in OPEN_PATHS or hmac.compare_digest(given, b"Bearer " + self.key.encode()):
            return None
        return 401, "a valid key is needed: Authorization: Bearer ...", "invalid_api_key"


def is_loopback(host: str) -> bool:
    """Is a `Host` header this machine's name for itself?"""
    try:
        return urlsplit(f"//{host}").hostname in LOOPBACK
    except ValueError:
        return False


async def refuse(send: Send, status: int, message: str, code: str) -> None:
    body = json.dumps({"error": {"message": message, "type": "invalid_request_error", "param": None, "code": code}})
    headers = [(b"content-type", b"application/json"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body.encode()})
