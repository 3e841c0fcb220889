"""One curve in every layout: prints how far each is from one process, over 50 steps from the same weights.

    python benchmarks/layouts.py [adamw|muon] [ENGINE]

A toy model of four layers in fp32 on random walks (tests/llm/pretrain/engines/runs.py), processes of this machine;
engine megatron has AdamW alone. The issue's bounds: loss 1e-5, gradient norm 1e-4. Seconds are of the whole run,
starting the ranks included.
"""

import sys
import time

from llm.training.engines.layout import Layout
from tests.llm.pretrain.engines.megatron import ranks as megatron
from tests.llm.pretrain.engines.runs import ADAMW, MUON, Run, curves, differences

LAYOUTS = {
    "one process, micro-batches of 5": Layout(micro_batch=5),
    "DDP 2": Layout(data=2),
    "DDP 2, micro-batches of 4": Layout(data=2, micro_batch=4),
    "DDP 3": Layout(data=3),
    "FSDP2 2": Layout(data=2, sharding="full"),
    "FSDP2 2, micro-batches of 4": Layout(data=2, sharding="full", micro_batch=4),
    "FSDP2 3, uneven": Layout(data=3, sharding="full"),
    **{f"megatron, {name.removeprefix('megatron')}".strip(", "): layout for name, layout in megatron.LAYOUTS.items()},
}


def main(optimizer: str = "adamw", engine: str | None = None) -> None:
    settings = {"adamw": ADAMW, "muon": MUON}[optimizer]
    wanted = curves([Run(Layout(), settings, config=megatron.FOUR)])[0]
    print(f"{optimizer}, {len(wanted)} steps, loss {wanted[0][0]:.4f} -> {wanted[-1][0]:.4f}")
    print(f"{'layout':36} {'max |d loss|':>12} {'max |d norm|':>12} {'seconds':>8}")
    for name, layout in LAYOUTS.items():
        if engine not in (None, layout.engine) or (settings is MUON and layout.engine == "megatron"):
            continue
        begun = time.monotonic()
        loss, norm = differences(curves([Run(layout, settings, config=megatron.FOUR)])[0], wanted)
        print(f"{name:36} {loss:12.1e} {norm:12.1e} {time.monotonic() - begun:8.1f}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
