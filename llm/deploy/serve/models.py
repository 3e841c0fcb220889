"""The models a server offers: directories by name, each loaded at its first request, each model with an engine of its
own, which its adapters share."""

import asyncio
import hashlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import torch

from llm.align.identity import refuse_another_base, weights_digest
from llm.align.lora import CONFIG_NAME, PREFIX, WEIGHTS_NAME, read_adapter_config, scale_of
from llm.deploy.quantize.model import load_any
from llm.deploy.quantize.operators import Products, run_quantized, table
from llm.deploy.serve.structured import Vocabulary, vocabulary_of
from llm.deploy.serve.worker import Worker
from llm.errors import InputError
from llm.inference.adapters import Adapter, Update, fitted
from llm.inference.engine import Engine, EngineSettings
from llm.io.json_object import read_object
from llm.model.directory import read_tensors
from llm.runtime.device import default_device
from llm.tokenize.chat import encode_chat
from llm.tokenize.open import AnyTokenizer, open_tokenizer
from llm.tokenize.spelling import Spelling

LOG = logging.getLogger("stemma.engine")


@dataclass(frozen=True)
class Served:
    """A loaded model, or an adapter of one. digest: sha256 of its manifest.json, by which its record is found; None
    without one. vocabulary: for grammars, made when it is first asked for. spelling: of single
    tokens."""

    name: str
    tokenizer: AnyTokenizer
    worker: Worker
    digest: str | None
    vocabulary: Callable[[], Vocabulary]
    spelling: Spelling
    adapter: str = ""

    def encode_chat(self, messages: list[dict]) -> list[int]:
        """Return the ids of a conversation up to the model's turn. Text never becomes a control token."""
        return encode_chat(self.tokenizer, messages, add_generation_prompt=True)[0]

    def encode(self, text: str) -> list[int]:
        """Return the ids of a text; for the empty one the token that begins or ends texts."""
        first = self.tokenizer.eos if self.tokenizer.bos is None else self.tokenizer.bos
        return self.tokenizer.encode(text) or [first]


class Models:
    """`directories`: of models and of adapters (PEFT's format, which names its model) by name; the first is the
    default. A model takes kv_bytes of `settings` once it, or an adapter of it, is first asked for. products: how
    quantized weights are multiplied, in bf16; None: as stored, dequantized."""

    def __init__(
        self,
        directories: dict[str, Path],
        settings: EngineSettings,
        on_first: Callable[[float], None],
        on_next: Callable[[float], None],
        products: Products | None = None,
    ) -> None:
        if not directories:
            raise InputError("no model to serve: build one (snakemake), or name a directory")
        self.directories, self.settings = directories, settings
        self.on_first, self.on_next, self.products = on_first, on_next, products
        self.bases = {name: base_of(directory) for name, directory in directories.items()}
        self.loaded: dict[str, Served] = {}
        self.refused: dict[str, InputError] = {}
        self.lock = asyncio.Lock()

    async def get(self, name: str) -> Served:
        """Return a model by its name, "" for the default. Raises KeyError for an unknown one, InputError for one that
        cannot be loaded."""
        name = name or next(iter(self.directories))
        base = self.bases[name]
        if name not in self.loaded and name not in self.refused:
            async with self.lock:
                if name not in self.loaded and name not in self.refused:
                    self.loaded |= await asyncio.to_thread(self.load, base)
        if name in self.refused:
            raise self.refused[name]
        return self.loaded[name]

    def load(self, base: Path) -> dict[str, Served]:
        """Load a model with all of its adapters, by their names; an adapter that does not fit it is refused, alone."""
        names = [name for name, its in self.bases.items() if its == base]
        tokenizer = open_tokenizer(base)
        model = load_any(base, default_device(), torch.float32 if self.products is None else torch.bfloat16)
        if self.products is not None:
            run_quantized(model, self.products)
            for line in table(model):
                LOG.info("%s: %s", base.name, line)
        adapters: dict[str, Adapter] = {}
        digest_once = cache(weights_digest)
        for name in names:
            if is_adapter(self.directories[name]):
                try:
                    refuse_another_base(self.directories[name], base, digest_once)
                    adapters[name] = fitted(read_adapter(self.directories[name]), model)
                except InputError as error:
                    self.refused[name] = InputError(f"adapter {name}: {error}")
        engine = Engine(model, self.settings, tokenizer.decode, adapters)
        engine.warm_up()
        worker = Worker(engine, self.on_first, self.on_next, f"engine {base.name}")
        vocabulary, spelling = cache(partial(vocabulary_of, tokenizer)), Spelling(tokenizer)
        return {
            name: Served(name, tokenizer, worker, digest(place), vocabulary, spelling, name if name in adapters else "")
            for name, place in self.directories.items()
            if name in names and name not in self.refused
        }

    def workers(self) -> dict[str, Worker]:
        """Return the engines' threads, each once, by the first name that they answer to."""
        found: dict[int, tuple[str, Worker]] = {}
        for name in self.directories:
            if name in self.loaded:
                found.setdefault(id(self.loaded[name].worker), (name, self.loaded[name].worker))
        return dict(found.values())

    def stop(self) -> None:
        for worker in self.workers().values():
            worker.stop()


def is_adapter(directory: Path) -> bool:
    return (directory / CONFIG_NAME).exists()


def base_of(directory: Path) -> Path:
    """Return the model directory that a directory is, or is an adapter of. Raises InputError for neither."""
    if not is_adapter(directory):
        if not (directory / "config.json").exists():
            raise InputError(f"{directory}: no model directory (it has no config.json)")
        return directory.resolve()
    named = adapter_config(directory).get("base_model_name_or_path")
    base = (directory / str(named)).resolve()
    if not (base / "config.json").exists():
        raise InputError(f"{directory / CONFIG_NAME}: base_model_name_or_path {named!r} is no model directory")
    return base


def adapter_config(directory: Path) -> dict:
    return read_object(directory / CONFIG_NAME, "an adapter directory has it")


def read_adapter(directory: Path) -> Adapter:
    """Return the updates of an adapter directory by layer. Raises InputError for what is no plain LoRA."""
    config, path = read_adapter_config(directory), directory / WEIGHTS_NAME
    tensors = read_tensors(path)
    found = {}
    for name in sorted(name for name in tensors if name.endswith(".lora_A.weight")):
        a, b = tensors.pop(name), tensors.pop(name.replace(".lora_A.", ".lora_B."), None)
        if b is None or (a.shape[:1], b.shape[1:]) != ((config.r,), (config.r,)):
            raise InputError(f"{path}: {name} has no lora_B beside it, or their rank is not the config's {config.r}")
        found[name.removeprefix(PREFIX).removesuffix(".lora_A.weight")] = Update(a, b, scale_of(config))
    if tensors or not found:
        raise InputError(f"{path}: {min(tensors, default='nothing')} is no update of a linear layer")
    return found


def digest(directory: Path) -> str | None:
    """Return the sha256 of a model directory's manifest."""
    manifest = directory / "manifest.json"
    return hashlib.sha256(manifest.read_bytes()).hexdigest() if manifest.exists() else None


def found_models(results: Path) -> dict[str, Path]:
    """Return the model directories of a build, those most people want first."""
    places = [
        *(results / "models" / stage for stage in ("dpo", "sft", "base")),
        *sorted((results / "quantized").glob("*")),
        *sorted((results / "models").glob("*")),
    ]
    found = {place.name: place for place in places if (place / "config.json").exists()}
    adapters = [place for place in sorted((results / "align").glob("*")) if is_adapter(place)]
    # A reward model's adapter generates nothing.
    generating = [place for place in adapters if adapter_config(place).get("task_type") == "CAUSAL_LM"]
    return found | {f"{place.name}-adapter": place for place in generating}
