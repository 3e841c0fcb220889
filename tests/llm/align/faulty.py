"""scripts/align/METHOD.py with a fault put in: `python tests/llm/align/faulty.py METHOD OPTIONS`.

FAULTS in the environment (JSON): kill: [rank, step], SIGKILL when the step begins; sleep: seconds in every step."""

import json
import os
import signal
import sys
import time

from llm.command import command
from llm.training.segment import Segment
from scripts.align import kto, paired, policy, reward, sft

FAULTS = json.loads(os.environ["FAULTS"])
SCRIPTS = {"sft": sft, "reward": reward, "paired": paired, "kto": kto, "policy": policy}
make_step = Segment.make_step


def faulty_step(self: Segment, step: int):  # noqa: ANN201
    if [self.ranks.rank, step] == FAULTS.get("kill"):
        self.recovery.wait()  # so that there is something to go on from
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(FAULTS.get("sleep", 0))
    return make_step(self, step)


Segment.make_step = faulty_step

if __name__ == "__main__":
    command(SCRIPTS[sys.argv[1]].main, sys.argv[2:])
