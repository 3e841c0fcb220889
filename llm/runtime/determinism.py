"""Makes a GPU give the same bytes on every run: sets the switches of torch and its libraries in one place.

On a CPU nothing needs to be set, and nothing is. Another GPU, another version of a library or another number of ranks
may still give other bytes.
"""

import os

import torch

# Two buffers of 4 MiB for each stream: this fixes cuBLAS's workspace, and with it its choice of algorithm.
WORKSPACE = ("CUBLAS_WORKSPACE_CONFIG", ":4096:8")


def set_determinism(on: bool) -> None:
    """Set or unset determinism; call it before the first matrix product on the GPU, since torch reads the workspace
    setting only once.

    on: an operation with a deterministic form uses it, any other raises; attention is flash or memory-efficient, whose
    backward passes then add in one order, and not cuDNN's; inductor chooses no code by timing. Off: torch's defaults,
    to measure what determinism costs.
    """
    if not torch.cuda.is_available():
        return
    import torch._inductor.config as inductor  # takes seconds, and a CPU does not need it

    os.environ.setdefault(*WORKSPACE)
    torch.use_deterministic_algorithms(on)
    # No uninitialised memory is read here.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # torch adds it on import
    torch.backends.cudnn.deterministic = on
    torch.backends.cuda.enable_cudnn_sdp(not on)
    inductor.deterministic = on
