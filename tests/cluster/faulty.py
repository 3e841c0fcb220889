"""tests/llm/pretrain/faulty.py where srun starts the ranks: what they are to do is a function of a module that puts the
faults in. `python tests/cluster/faulty.py OPTIONS`."""

from llm.command import command
from llm.pretrain import worker
from llm.pretrain.worker import SegmentJob, train_segment
from scripts.pretrain import pretrain
from tests.llm.pretrain import faulty


def faulty_segment(job: SegmentJob) -> dict:
    assert faulty.FAULTS is not None  # imported: the faults are in
    return train_segment(job)


if __name__ == "__main__":
    from tests.cluster import faulty as module

    assert worker.train_segment is train_segment  # what the script's ranks are given, or no fault is put in
    worker.train_segment = module.faulty_segment
    command(pretrain.main)
