"""What quantize.qat asks for: a grid that training can know, or one clear line."""

import pytest

from llm.deploy.settings.qat import grid_of
from llm.errors import InputError

ABSMAX = {"bits": 4, "group_size": 64, "scales": "absmax"}
PRETRAIN = {"steps": 100, "parallel": {"engine": "torch"}}


def asked(method: dict, steps: int = 10, pretrain: dict = PRETRAIN, pretrained: bool = True) -> dict | None:
    return grid_of({"methods": {"one": method}, "qat": {"method": "one", "steps": steps}}, pretrain, pretrained)


def test_the_grid_is_the_method_s():
    assert asked(ABSMAX) == {"bits": 4, "group_size": 64, "per_tensor": False}
    assert asked({"bits": 8, "per_tensor": True}) == {"bits": 8, "group_size": None, "per_tensor": True}
    assert asked(ABSMAX, 100) and asked(ABSMAX, 0, pretrained=False)
    assert grid_of({"methods": {}, "qat": None}, PRETRAIN, True) is None


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"method": {"bits": 4}}, "one has no symmetric grid that follows from weights alone"),
        ({"method": ABSMAX | {"kind": "gptq"}}, "one has no symmetric grid"),
        ({"method": ABSMAX | {"kind": "awq"}}, "one has no symmetric grid"),
        ({"method": ABSMAX | {"rotation": True}}, "one has no symmetric grid"),
        ({"method": ABSMAX | {"symmetric": False}}, "one has no symmetric grid"),
        ({"method": ABSMAX | {"format": "gptq"}}, "one has no symmetric grid"),
        ({"method": {"bits": 8, "activations": "dynamic"}}, "one has no symmetric grid"),
        ({"method": ABSMAX, "steps": 101}, "quantize.qat.steps: 101 is more than pretrain.steps: 100; lower it"),
        (
            {"method": ABSMAX, "pretrained": False},
            "quantize.qat.steps: 10, but .* write steps: 0",
        ),
        (
            {"method": ABSMAX, "pretrain": {"steps": 100, "parallel": {"engine": "megatron"}}},
            "quantize.qat.steps: needs pretrain.parallel.engine: torch",
        ),
    ],
    ids=str,
)
def test_what_cannot_be_is_said_in_one_line(told: dict, message: str):
    with pytest.raises(InputError, match=message) as caught:
        asked(**told)
    assert "\n" not in str(caught.value)
