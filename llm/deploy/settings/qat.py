"""What `quantize.qat` says: no script's slice, the rules make of it the grid that training scripts are told."""

from dataclasses import asdict, dataclass

from llm.deploy.settings.quantize import Method
from llm.errors import InputError
from llm.model.grid import Grid
from llm.settings import key, made


@dataclass(frozen=True, kw_only=True)
class Qat:
    """Training that computes with weights as a method will round them."""

    method: str = key()
    """Of quantize.methods, plain rtn with scales absmax, e.g. qat-int4: {bits: 4, group_size: 64, scales: absmax}."""
    steps: int = key(minimum=0)
    """So many of pretraining's steps, the last; then adapters, in all of their steps."""


def grid_of(quantize: dict, pretrain: dict, pretrained: bool) -> dict | None:
    """Return the grid that the config's blocks ask to train on, as the fields of Grid; None where they ask for none.
    pretrained: is there pretraining? Raises InputError, one line that begins with the key, for what cannot be."""
    if quantize["qat"] is None:
        return None
    name, steps = quantize["qat"]["method"], quantize["qat"]["steps"]
    if name not in quantize["methods"]:
        raise InputError(f"quantize.qat.method: {name} is not in quantize.methods: {', '.join(quantize['methods'])}")
    method = made(Method, quantize["methods"][name])
    grid = Grid(method.bits, method.group_size, method.per_tensor)
    if method.calibrated or method != Method(**asdict(grid), scales=method.scales):  # any other key changes the values
        raise InputError(
            f"quantize.qat.method: {name} has no symmetric grid that follows from weights alone; name a method such as "
            "{bits: 4, group_size: 64, scales: absmax}"
        )
    if steps > pretrain["steps"]:
        raise InputError(f"quantize.qat.steps: {steps} is more than pretrain.steps: {pretrain['steps']}; lower it")
    if steps and not pretrained:
        raise InputError(
            f"quantize.qat.steps: {steps}, but there is no pretraining; write steps: 0, for adapters alone, or "
            "imported.continued: true"
        )
    if steps and pretrain["parallel"]["engine"] != "torch":
        raise InputError("quantize.qat.steps: needs pretrain.parallel.engine: torch")
    return asdict(grid)
