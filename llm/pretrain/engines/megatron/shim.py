"""Lets megatron-core run on a machine without CUDA, by compiling its modules with another device name.

megatron-core asks for "cuda" by name where it makes tensors. `install` puts a finder before Python's own that reads
megatron.core's source files, writes "cpu" in those places and compiles the result: no file is changed, no bytecode is
kept, torch and other packages are not touched. With CUDA it does nothing. Import megatron.core only after `install`.

What the substitutions are for (megatron-core 0.16.1; without any one of them a test fails):

* `torch.cuda.current_device()`: the device of gradient buffers (param_and_grad_buffer), gathered activations (mappings,
  layers) and what a pipeline receives (p2p_communication).
* "cuda": the same as a literal: token counts (schedules), the gradient norm (clip_grads), loss scales (optimizer).
* `torch.cuda.FloatTensor` and its like: names of types that both optimizers and the clipping compare with.
* `torch.cuda.synchronize`: before a checkpoint is written (dist_checkpointing).
* `.cuda()`: tied embeddings of the first and last pipeline stage (language_module).

What else would need CUDA is not used: random states (no dropout), CUDA streams (one optimizer instance), RoPE's tables
(llm/pretrain/engines/megatron/model.py has its own).
"""

import re
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import CodeType, ModuleType

import torch

PACKAGE = "megatron.core."
SUBSTITUTIONS = (
    (re.compile(r"torch\.cuda\.(current_device|synchronize)\(\)"), r"torch.cpu.\1()"),
    (re.compile(r"""(["'])cuda\1"""), "'cpu'"),
    (re.compile(r"torch\.cuda\.(\w+Tensor)"), r"torch.\1"),
    (re.compile(r"\.cuda\(\)"), ".cpu()"),
)


def install() -> None:
    """Put the finder in place, once, and only where torch sees no CUDA device."""
    if not torch.cuda.is_available() and not any(isinstance(finder, Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, Finder())


class Finder(MetaPathFinder):
    """Finds what Python's own path finder finds, but only for modules of megatron.core, and has `Loader` compile it."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not name.startswith(PACKAGE):
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = Loader(name, spec.loader.path)
        return spec


class Loader(SourceFileLoader):
    def get_code(self, fullname: str) -> CodeType | None:
        """Return a module's code; one in which nothing is substituted comes from its bytecode as usual."""
        path = self.get_filename(fullname)
        source = self.get_source(fullname)
        assert source is not None
        changed = source
        for pattern, replacement in SUBSTITUTIONS:
            changed = pattern.sub(replacement, changed)
        if changed == source:
            return super().get_code(fullname)
        return self.source_to_code(changed, path)
