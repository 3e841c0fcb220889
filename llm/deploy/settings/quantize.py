"""What scripts/deploy/quantize.py is told."""

from dataclasses import dataclass
from typing import Literal

from llm.package.settings import PackageSettings
from llm.settings import key


@dataclass(frozen=True, kw_only=True)
class Method:
    """A way to quantize, by its name."""

    bits: Literal[4, 8] = key()
    """Of a weight."""
    group_size: int | None = key(None, minimum=1)
    """Weights that share a scale, made smaller where it does not divide the layers' widths; null: an output channel."""
    symmetric: bool = key(True)
    """false: a group's levels lie where its weights do (a zero point for each group), not around zero."""
    format: Literal["compressed-tensors", "gptq"] = key("compressed-tensors")
    """Of the files: what llm-compressor writes, or what GPTQModel does (4 bits, or 8)."""
    rotation: bool = key(False)
    """Hidden states are rotated before (QuaRot's R1 and R2), so that none is large; embedding and lm_head are two."""
    per_tensor: bool = key(False)
    """8 bits: one scale for a whole matrix."""
    activations: Literal["dynamic", "static"] | None = key(None)
    """8 bits: layers' inputs are rounded, too, dynamic: by a scale for each token; static: by one from calibration."""
    smoothing: float | None = key(None, minimum=0, maximum=1)
    """Before activations are rounded, how much of large inputs' size moves into weights (SmoothQuant's exponent); null:
    searched for each group of matrices that share inputs; 0: nothing."""
    keep: tuple[Literal["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"], ...] = key(
        (), uniqueItems=True
    )
    """Last names of layers that stay as they are, e.g. [down_proj], which suffers most where inputs are rounded."""
    kind: Literal["rtn", "gptq", "awq"] = key("rtn")
    """rtn rounds to nearest; gptq lets later columns make up for a column's error; awq scales inputs before."""
    scales: Literal["absmax", "searched"] | None = key(None)
    """absmax: by a group's largest weight; searched: by the error on calibration text; null: searched for 4 bits."""
    act_order: bool = key(True)
    """gptq: columns with the largest inputs first."""
    damping: float = key(0.01, exclusiveMinimum=0)
    """gptq: added to the Hessian's diagonal, of its mean."""
    shrinkage: float = key(0.8, minimum=0, maximum=1)
    """gptq: by how much inputs are taken to be correlated less than on the calibration text; 1: not at all."""
    first_order: float = key(0.0, minimum=0)
    """gptq: FOEM's term, how much of a column's drift counts as error."""

    @property
    def searched(self) -> bool:
        """Are scales searched?"""
        return self.bits == 4 if self.scales is None else self.scales == "searched"

    @property
    def half(self) -> bool:
        """Does calibration text go through the layers in bf16?"""
        return self.kind == "gptq" and self.activations is None

    @property
    def calibrated(self) -> bool:
        """Does it need calibration text?"""
        smoothed = self.activations is not None and self.smoothing != 0
        return self.searched or self.kind != "rtn" or self.activations == "static" or smoothed


@dataclass(frozen=True, kw_only=True)
class Scoring:
    """What is scored before and after."""

    validation_tokens: int | None = key(2048, minimum=1)
    """Of each source, scored before and after; null: all."""


@dataclass(frozen=True, kw_only=True)
class QuantizeSettings(Method, Scoring, PackageSettings):
    """The slice."""
