"""The HTTP interface, OpenAI's: completions, chat, tokenize, and how they are refused. What is read is in views.py."""

import asyncio
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response, StreamingResponse
from starlette.exceptions import HTTPException as StarletteHTTPException

from llm.deploy.quantize.operators import Products
from llm.deploy.serve.calls import Call, ClientGone
from llm.deploy.serve.guard import Guard
from llm.deploy.serve.metrics import EngineState, Meters
from llm.deploy.serve.models import Models, Served
from llm.deploy.serve.schemas import ChatCall, CompletionCall, DetokenizeCall, ErrorAnswer, Sampling, TokenizeCall
from llm.deploy.serve.views import add_report, add_views
from llm.deploy.serve.worker import EngineFailed
from llm.errors import InputError
from llm.inference.engine import EngineSettings
from llm.inference.sequence import Request as Asked

RETRY_SECONDS = 2
EVENT = {
    "type": "object",
    "description": "One event: a chunk of the answer as JSON, or [DONE].",
    "properties": {"data": {"type": "string"}},
    "required": ["data"],
}
STREAMS: dict[int | str, dict[str, Any]] = {200: {"content": {"text/event-stream": {"schema": EVENT}}}}


@dataclass(frozen=True)
class ServerSettings:
    """max_open: requests that run or wait at once; more are refused with 429. max_body: bytes. seconds: until an
    answer that is not finished is given up. key: that clients must show; None: anyone may ask. products: how quantized
    weights are multiplied (llm/deploy/quantize/operators.py). report: the directory of the build's report, which the
    page leads to."""

    engine: EngineSettings = field(default_factory=EngineSettings)
    max_open: int = 256
    max_body: int = 4 * 2**20
    seconds: float = 600.0
    key: str | None = None
    products: Products | None = None
    report: Path | None = None


def make_app(directories: dict[str, Path], settings: ServerSettings) -> FastAPI:
    """Return the application that serves these model directories, the first of them by default."""
    meters = Meters()
    models = Models(directories, settings.engine, meters.first.observe, meters.next.observe, settings.products)
    meters.registry.register(EngineState(models))
    desk = Desk(models, settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await models.get("")
        yield
        await asyncio.to_thread(models.stop)

    refusals: dict[int | str, dict[str, Any]] = {"4XX": {"model": ErrorAnswer}, "5XX": {"model": ErrorAnswer}}
    app = FastAPI(title="Stemma", lifespan=lifespan, responses=refusals)
    add_calls(app, desk)
    shown = settings.report if settings.key is None else None  # a browser shows no key when it follows a link
    add_views(app, models, meters, shown)
    if shown:
        add_report(app, shown)
    add_errors(app)
    paths = frozenset(getattr(route, "path", "") for route in app.routes)
    app.add_middleware(Guard, max_body=settings.max_body, key=settings.key, meters=meters, paths=paths)
    return app


@dataclass
class Desk:
    """Takes calls in, as many as are allowed."""

    models: Models
    settings: ServerSettings
    open: int = 0

    async def served(self, name: str) -> Served:
        try:
            return await self.models.get(name)
        except KeyError:
            known = ", ".join(self.models.directories)
            raise HTTPException(404, f"model {name!r}: there is no such model here; choose of {known}") from None

    async def answer(self, http: Request, call: Call, stream: bool, with_usage: bool) -> Response:
        """Run a call: a JSON answer, or a stream of events."""
        count = sum(request.n for request in call.requests)
        if count > self.settings.max_open:  # never, however long one waits
            raise InputError(f"{count} completions in one call; this server takes {self.settings.max_open} at most")
        if self.open + count > self.settings.max_open:
            raise HTTPException(429, "too many requests wait; try again later", {"Retry-After": str(RETRY_SECONDS)})
        for request in call.requests:
            call.served.worker.engine.check(request)
        self.open += count

        def close() -> None:
            call.cancel()
            self.open -= count

        if stream:
            headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
            return Streamed(call.streamed(with_usage), close, media_type="text/event-stream", headers=headers)
        try:
            return JSONResponse(await call.whole(http))
        except ClientGone:
            return Response(status_code=499)
        except TimeoutError:
            raise HTTPException(504, f"not finished within {self.settings.seconds:g} seconds") from None
        except EngineFailed as error:
            raise HTTPException(503, str(error)) from None
        finally:
            close()


class Streamed(StreamingResponse):
    """A stream that says when it is over, however it ended."""

    def __init__(self, content: AsyncGenerator[str], on_end: Callable[[], None], **options: Any) -> None:
        super().__init__(content, **options)
        self.content, self.on_end = content, on_end

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self.on_end()
            await self.content.aclose()


def add_calls(app: FastAPI, desk: Desk) -> None:
    """The calls that generate, and those about tokens."""

    @app.post("/v1/completions", responses=STREAMS)
    async def completions(http: Request, call: CompletionCall) -> Response:
        served = await desk.served(call.model)
        prompts = prompts_of(call.prompt, served)
        of_prompt = call.logprobs if call.echo else None
        requests = await requests_of(call, served, prompts, call.max_tokens, call.logprobs, of_prompt)
        return await desk.answer(http, made(desk, served, call, requests, chat=False), call.stream, wants_usage(call))

    @app.post("/v1/chat/completions", responses=STREAMS)
    async def chat(http: Request, call: ChatCall) -> Response:
        served = await desk.served(call.model)
        prompt = served.encode_chat([message.model_dump() for message in call.messages])
        room = served.worker.engine.longest - len(prompt)
        limit = call.max_completion_tokens or call.max_tokens or max(room, 1)
        logprobs = call.top_logprobs if call.logprobs else None
        requests = await requests_of(call, served, [prompt], limit, logprobs, None)
        return await desk.answer(http, made(desk, served, call, requests, chat=True), call.stream, wants_usage(call))

    @app.post("/tokenize")
    async def tokenize(call: TokenizeCall) -> dict[str, Any]:
        served = await desk.served(call.model)
        if (call.text is None) == (call.messages is None):
            raise InputError("give either text or messages")
        if call.messages is not None:
            ids = served.encode_chat([message.model_dump() for message in call.messages])
        else:
            ids = served.tokenizer.encode(call.text or "")
        context = served.worker.engine.model.config.context_length
        return {"tokens": ids, "count": len(ids), "max_model_len": context}

    @app.post("/detokenize")
    async def detokenize(call: DetokenizeCall) -> dict[str, str]:
        served = await desk.served(call.model)
        if any(token >= served.tokenizer.vocab_size for token in call.tokens):
            raise InputError(f"tokens: an id is outside 0 ... {served.tokenizer.vocab_size - 1}")
        return {"text": served.tokenizer.decode(call.tokens)}


def prompts_of(prompt: Any, served: Served) -> list[list[int]]:
    """Return the prompts of a legacy call as ids: a text, texts, ids, or lists of ids."""
    if isinstance(prompt, str):
        return [served.encode(prompt)]
    if not prompt:
        raise InputError("prompt: the list is empty")
    if isinstance(prompt[0], int):
        return [prompt]
    return [served.encode(each) if isinstance(each, str) else each for each in prompt]


async def requests_of(
    call: Sampling,
    served: Served,
    prompts: Sequence[list[int]],
    limit: int,
    logprobs: int | None,
    of_prompt: int | None,
) -> list[Asked]:
    """Return what the engine is asked for each prompt, each with a random stream of its own."""
    seed = secrets.randbits(63) if call.seed is None else call.seed
    eos = served.tokenizer.eos
    context = served.worker.engine.model.config.context_length
    if limit == 0 and of_prompt is None:
        raise InputError("max_tokens: 0 has a meaning with echo and logprobs alone; ask for at least 1")
    grammar = await asyncio.to_thread(call.grammar, served.vocabulary) if call.response_format else None
    found = []
    for index, prompt in enumerate(prompts):
        if len(prompt) >= context:
            raise InputError(f"a prompt of {len(prompt)} tokens; this model takes 1 to {context - 1}, and a new token")
        told = (seed, index), logprobs, of_prompt, served.adapter, grammar
        found.append(call.request(prompt, min(limit, context), eos, *told))
    return found


def made(desk: Desk, served: Served, call: CompletionCall | ChatCall, requests: list[Asked], *, chat: bool) -> Call:
    echo = isinstance(call, CompletionCall) and call.echo
    return Call(served, requests, chat, echo, desk.settings.seconds)


def wants_usage(call: Sampling) -> bool:
    return call.stream_options is not None and call.stream_options.include_usage


def add_errors(app: FastAPI) -> None:
    """Every refusal has OpenAI's shape: {"error": {"message", "type", "param", "code"}}."""

    def shaped(status: int, message: str, param: str | None = None, headers: Any = None) -> JSONResponse:
        kind = "invalid_request_error" if status < 500 else "server_error"
        written = message.encode(errors="backslashreplace").decode()  # halves of surrogate pairs that a client sent
        error = {"message": written, "type": kind, "param": param, "code": status}
        return JSONResponse({"error": error}, status, headers)

    @app.exception_handler(InputError)
    async def bad_input(_: Request, error: InputError) -> JSONResponse:
        return shaped(400, str(error))

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"] if part != "body")
        return shaped(400, f"{place or 'body'}: {first['msg']}", place or None)

    @app.exception_handler(StarletteHTTPException)
    async def refused(http: Request, error: StarletteHTTPException) -> JSONResponse:
        message = str(error.detail)
        if message in ("Not Found", "Method Not Allowed"):
            message = f"{http.method} {http.url.path}: there is no such call; /docs lists them"
        return shaped(error.status_code, message, headers=error.headers)

    @app.exception_handler(UnicodeDecodeError)
    async def not_text(_: Request, error: UnicodeDecodeError) -> JSONResponse:
        return shaped(400, f"body: not UTF-8 ({error.reason} at byte {error.start})")
