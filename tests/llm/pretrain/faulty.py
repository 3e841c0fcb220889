"""scripts/pretrain/pretrain.py with faults put in, as FAULTS in the environment says (JSON, steps from 1):

kill: [rank, step]   SIGKILL when the step begins      hang: [rank, step]   the step never ends
corrupt: [steps]     noise instead of the batch        nan: [steps]         loss and gradient are not finite
poison: [steps]      after the step, unless it is left out, the weights are not finite
sleep: seconds       in every step                     disk: bytes          no file may become larger
"""

import json
import os
import resource
import signal
import time
from pathlib import Path

import torch

from llm.command import command
from llm.pretrain.data import TokenStream
from llm.training.segment import Segment
from scripts.pretrain.pretrain import main
from tests.llm.pretrain.toy import COMMON

FAULTS = json.loads(os.environ["FAULTS"])
make_step, rows = Segment.make_step, TokenStream.rows


def faulty_step(self: Segment, step: int):
    where = [self.ranks.rank, step]
    if where == FAULTS.get("kill"):
        os.kill(os.getpid(), signal.SIGKILL)
    if where == FAULTS.get("hang"):
        time.sleep(1000)
    if "disk" in FAULTS:
        resource.setrlimit(resource.RLIMIT_FSIZE, (FAULTS["disk"], resource.RLIM_INFINITY))
    time.sleep(FAULTS.get("sleep", 0))
    if step in FAULTS.get("nan", []):
        gradients = self.engine.gradients
        self.engine.gradients = lambda *arguments: (gradients(*arguments)[0], float("nan"))
    metrics = make_step(self, step)
    if step in FAULTS.get("nan", []):
        self.engine.gradients = gradients
    if step in FAULTS.get("poison", []) and step not in self.guard.left_out:
        with torch.no_grad():
            for piece in self.engine.weights():
                piece.tensor.fill_(float("nan"))
    if step == COMMON["stop"]:
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    if "record" in FAULTS and self.ranks.rank == 0:
        with Path(FAULTS["record"]).open("a") as file:
            file.write(f"{step} {metrics.loss!r}\n")
    return metrics


def faulty_rows(self: TokenStream, begin: int, first: int, count: int) -> torch.Tensor:
    found = rows(self, begin, first, count)
    if begin // COMMON["batch_size"] + 1 in FAULTS.get("corrupt", []):
        return torch.randint(8, 64, found.shape, generator=torch.Generator().manual_seed(begin + first))
    return found


Segment.make_step, TokenStream.rows = faulty_step, faulty_rows

if __name__ == "__main__":
    command(main)
