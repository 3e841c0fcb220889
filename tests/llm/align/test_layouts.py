"""One gradient, however a batch is cut: micro-batches, DDP and FSDP2 give that of one process; a wrong mean is seen."""

from dataclasses import dataclass, field, replace
from functools import cache, partial
from pathlib import Path

import pytest
import torch

from llm.align.batches import Batch, ItemStream, count_targets
from llm.align.lora import lora_layers
from llm.align.sft import Supervised
from llm.align.train_adapter import adapted
from llm.runtime.launch import run_ranks
from llm.training.checkpoint import whole_weights
from llm.training.engine import Engine
from llm.training.engines.layout import Replicas
from tests.llm.align.toy import CONFIG, METHODS, adapter_settings, items_of, random_model

BATCH = 6
MICRO, DDP, FSDP = Replicas(micro_batch=2), Replicas(data=2), Replicas(data=2, sharding="full", micro_batch=2)
STEPS = 3


@dataclass(frozen=True)
class Seen:
    """What a layout's steps gave: the first step's loss, figures and gradients by weight, the last step's losses and
    scores, the weights."""

    loss: float
    figures: dict[str, float]
    gradients: dict[str, torch.Tensor]
    scores: torch.Tensor
    weights: dict[str, torch.Tensor] = field(default_factory=dict)


def seen_of(method: str, layout: Replicas, directory: Path) -> Seen:
    """On every rank of the layout."""
    settings = adapter_settings(method, parallel=layout)
    model = random_model()
    engine = adapted(METHODS[method], model, settings)
    with torch.no_grad():  # a fresh adapter has no gradient in A
        for name, held in sorted((held.name, held.tensor) for held in engine.held):
            held += 0.05 if name.endswith("lora_B") else 0.01
    stream = ItemStream(items_of(method, 40), BATCH, 3, CONFIG.pad_id)
    first = None
    for step in range(STEPS):
        loss, norm = engine.gradients(partial(stream.rows, BATCH * step), BATCH)
        first = first or Seen(loss, dict(engine.figures), gradients_of(engine, directory), torch.empty(0))
        engine.update(1.0, norm)
    scores = engine.scores(stream.rows(0, 0, 5))  # no multiple of the ranks
    return replace(first, scores=scores.detach(), weights=whole(engine, directory / "weights"))


def gradients_of(engine: Engine, directory: Path) -> dict[str, torch.Tensor]:
    """The gradients, whole: as if they were weights."""
    held = [(piece.tensor, piece.tensor.detach().clone()) for piece in engine.held]
    with torch.no_grad():
        for tensor, _ in held:
            tensor.copy_(tensor.grad)
        found = whole(engine, directory / "gradients")
        for tensor, kept in held:
            tensor.copy_(kept)
    return found


def whole(engine: Engine, directory: Path) -> dict[str, torch.Tensor]:
    from llm.runtime.agreement import Ranks

    return whole_weights(engine, directory, Ranks(engine.rank, engine.world_size))


def seen_on(layouts: list[Replicas], directory: Path) -> dict:
    torch.set_num_threads(1)
    return {
        (method, layout): seen_of(method, layout, directory / f"{method}{index}")
        for method in METHODS
        for index, layout in enumerate(layouts)
    }


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict:
    """Of every method and layout; the ranks start once."""
    directory = tmp_path_factory.mktemp("layouts")
    alone = seen_on([Replicas(), MICRO], directory / "alone")
    return alone | run_ranks(2, seen_on, [DDP, FSDP], directory / "ranks", timeout=240.0)


def differ(found: dict[str, torch.Tensor], wanted: dict[str, torch.Tensor]) -> float:
    """The norm of the difference, relative to the norm."""
    assert found.keys() == wanted.keys()
    flat = [torch.cat([tensors[name].flatten().double() for name in sorted(wanted)]) for tensors in (found, wanted)]
    return ((flat[0] - flat[1]).norm() / flat[1].norm()).item()


@pytest.mark.parametrize("layout", [MICRO, DDP, FSDP], ids=["micro", "ddp", "fsdp"])
@pytest.mark.parametrize("method", METHODS)
def test_a_gradient_does_not_depend_on_how_the_batch_is_cut(seen: dict, method: str, layout: Replicas) -> None:
    found, wanted = seen[method, layout], seen[method, Replicas()]
    assert found.loss == pytest.approx(wanted.loss, rel=1e-6)
    assert found.figures == pytest.approx(wanted.figures, rel=1e-5, abs=1e-6)
    assert differ(found.gradients, wanted.gradients) < 1e-6
    assert differ(found.weights, wanted.weights) < 1e-5
    torch.testing.assert_close(found.scores, wanted.scores, atol=1e-4, rtol=1e-4)


class MeanOfMeans(Supervised):
    """The mistake of many trainers: each part divides by its own tokens, so that short answers count more."""

    def loss(self, part: Batch, batch_size: int):  # noqa: ANN201
        own = replace(part, targets=int(part.mask_BT[:, 1:].sum()))
        loss, figures = super().loss(own, batch_size)
        return loss * len(part) / batch_size, figures


def test_a_mean_of_the_parts_means_is_noticed() -> None:
    wanted, found = (cut_gradient(objective) for objective in (Supervised, MeanOfMeans))
    assert differ(found, wanted) > 1e-2
    whole_batch = cut_gradient(MeanOfMeans, [(0, BATCH)])
    assert differ(whole_batch, wanted) < 1e-6  # it shows only where a batch is cut


@cache
def stream_of_sft() -> ItemStream:
    return ItemStream(items_of("sft", 40), BATCH, 3, CONFIG.pad_id)


def cut_gradient(objective: type[Supervised], parts=((0, 2), (2, 2), (4, 2))) -> dict[str, torch.Tensor]:  # noqa: ANN001
    from llm.align.lora import add_lora
    from tests.llm.align.toy import LORA

    model = random_model()
    add_lora(model, LORA, 1)
    for layer in lora_layers(model).values():
        layer.lora_B.data.fill_(0.05)
    stream = stream_of_sft()
    # Items of one length would hide the mistake.
    begin = next(b for b in range(0, 40, BATCH) if len({count_targets([item]) for item in stream.batch(b)}) > 1)
    trained = objective(model, torch.float32)
    for first, count in parts:
        trained(stream.rows(begin, first, count), BATCH)[0].backward()
    return {name: weight.grad for name, weight in trained.named_parameters() if weight.requires_grad}
