"""What is read from the server: the models, their state, the chat page at /, the report of their build."""

from pathlib import Path
from typing import Any
from urllib.parse import quote

import prometheus_client
from fastapi import FastAPI, HTTPException
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.staticfiles import StaticFiles

from llm.deploy.serve.metrics import Meters, state_of
from llm.deploy.serve.models import Models

PAGE = Path(__file__).with_name("page")


def add_views(app: FastAPI, models: Models, meters: Meters, report: Path | None) -> None:
    """Add the models, their state and the page to an application."""

    @app.get("/v1/models")
    async def list_models() -> dict[str, Any]:
        rows = [model_row(models, name, report) for name in models.directories]
        return {"object": "list", "data": rows}

    @app.get("/v1/models/{name}")
    async def one_model(name: str) -> dict[str, Any]:
        if name not in models.directories:
            raise HTTPException(404, f"model {name!r}: there is no such model here")
        return model_row(models, name, report)

    @app.get("/health")
    async def health() -> Response:
        failed = [name for name, worker in models.workers().items() if worker.failed]
        return JSONResponse({"status": "failed" if failed else "ok", "failed": failed}, 503 if failed else 200)

    @app.get("/metrics", response_class=PlainTextResponse)
    async def metrics() -> PlainTextResponse:
        return PlainTextResponse(prometheus_client.generate_latest(meters.registry))

    @app.get("/stats")
    async def stats() -> dict[str, Any]:
        return state_of(models)

    @app.get("/", response_class=HTMLResponse)
    async def page() -> HTMLResponse:
        return HTMLResponse(page_text())


def add_report(app: FastAPI, report: Path) -> None:
    """Add the report's page and the files beside it, at /report/."""
    app.mount("/report", StaticFiles(directory=report, html=True))


def page_text() -> str:
    """Return the page, in one piece."""
    text = (PAGE / "page.html").read_text(encoding="utf-8")
    for name in ("page.css", "page.js"):
        text = text.replace(f"/* {name} */", (PAGE / name).read_text(encoding="utf-8"))
    return text


def model_row(models: Models, name: str, report: Path | None) -> dict[str, Any]:
    served = models.loaded.get(name)
    config = served.worker.engine.model.config if served else None
    return {
        "id": name,
        "object": "model",
        "created": int(models.directories[name].stat().st_mtime),
        "root": models.bases[name].name,
        "owned_by": "stemma",
        "sha256": served.digest if served else None,
        "record": record_in(report, models.directories[name]) if report else None,
        "max_model_len": config.context_length if config else None,
    }


def record_in(report: Path, directory: Path) -> str:
    """Return the address of an artifact's record in the report of its build, results/report: of results/models/dpo it
    is report/#results/models/dpo, whatever directory the build stands in."""
    return f"report/#{quote(directory.relative_to(report.parent.parent).as_posix())}"
