"""A real server in this process, on a free port, with two random models."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import openai
import pytest
import torch
import uvicorn

from llm.align.lora import add_lora, save_adapter
from llm.align.settings.adapter import LoraConfig
from llm.deploy.serve.app import ServerSettings, make_app
from llm.package.hf_directory import write_directory
from tests.llm.align.toy import adapter_of


@pytest.fixture(scope="session")
def directories(tmp_path_factory, random_lm, tokenizer_files) -> dict[str, Path]:
    """Model directories by name, and an adapter of the first."""
    found = {}
    for seed, name in enumerate(("base", "sft")):
        model = random_lm(seed, context_length=256)
        found[name] = tmp_path_factory.mktemp(name)
        write_directory(found[name], model.config.to_hf(), model, tokenizer_files.values())
    (found["base"] / "manifest.json").write_text("{}")
    config = LoraConfig(4, 8.0, ("q_proj", "down_proj"), rslora=True)
    model = random_lm(0, context_length=256)
    add_lora(model, config, seed=5)
    weights = adapter_of(model)
    for weight in weights.values():
        weight.data.normal_(0, 0.3, generator=torch.Generator().manual_seed(weight.numel()))
    found["tuned"] = tmp_path_factory.mktemp("tuned")
    save_adapter(weights, config, found["tuned"], base=os.path.relpath(found["base"], found["tuned"]))
    return found


@pytest.fixture(scope="session")
def serving(directories) -> Callable:
    """A context manager: settings to the base URL of a server, which ends with it."""

    @contextmanager
    def serve(settings: ServerSettings | None = None, models: dict[str, Path] | None = None) -> Iterator[str]:
        app = make_app(models or directories, settings or ServerSettings())
        server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning", access_log=False))
        thread = threading.Thread(target=server.run)
        thread.start()
        while not server.started:
            assert thread.is_alive(), "the server did not start"
            time.sleep(0.01)
        try:
            port = server.servers[0].sockets[0].getsockname()[1]
            yield f"http://127.0.0.1:{port}"
        finally:
            server.should_exit = True
            thread.join()

    return serve


@pytest.fixture(scope="session")
def url(serving) -> Iterator[str]:
    with serving() as found:
        yield found


@pytest.fixture(scope="session")
def client(url) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0)
