"""Same bytes on every run of a GPU: the switches that torch and its libraries have for it, in one place.

On a CPU nothing needs to be set, and nothing is. What stays open: another GPU, another version of a library or another
number of ranks may each give other bytes.
"""

import os

import torch

# Two buffers of 4 MiB for each stream: cuBLAS takes its workspace, and with it its algorithm, from nothing else.
WORKSPACE = ("CUBLAS_WORKSPACE_CONFIG", ":4096:8")


def set_determinism(on: bool) -> None:
    """Called before the first product on the GPU: torch looks for the workspace once, also if it is `on` only later.

    on: an operation that has a deterministic form uses it, any other raises; attention is flash or memory-efficient,
    whose backward passes then add in one order, and not cuDNN's; inductor chooses no code by its time. Off: torch's
    defaults, with which what determinism costs can be measured.
    """
    if not torch.cuda.is_available():
        return
    import torch._inductor.config as inductor  # seconds, which a CPU does not need

    os.environ.setdefault(*WORKSPACE)
    torch.use_deterministic_algorithms(on)
    torch.utils.deterministic.fill_uninitialized_memory = False  # whatever is read here was written before
    torch.backends.cudnn.deterministic = on
    torch.backends.cuda.enable_cudnn_sdp(not on)
    inductor.deterministic = on
