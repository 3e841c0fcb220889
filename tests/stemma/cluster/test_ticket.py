"""What a node reads and writes of a submitted job: a ticket that others may have damaged, a benchmark file."""

import contextlib
import json
import resource
from dataclasses import asdict
from pathlib import Path

import pytest

from stemma.base.errors import StemmaError
from stemma.cluster.ticket import Task, Ticket, read, write_benchmark
from tests.stemma.strays import plant_outside, snapshot

TICKET = Ticket("/run", "/house", "bash", [[Task("true", ["text.txt"], None, 2)]], 2, 5.0, ["srun"])


def test_a_ticket_is_read_as_it_was_written(tmp_path: Path):
    TICKET.write(tmp_path / "a.ticket")
    assert read(tmp_path / "a.ticket", 0) == TICKET


@pytest.mark.parametrize("change", [{"layers": [["true"]]}, {"threads": "2"}, {"more": 1}, {"step": None}, {"root": 1}])
def test_a_damaged_ticket_is_one_line(tmp_path: Path, change: dict):
    (tmp_path / "a.ticket").write_text(json.dumps(asdict(TICKET) | change))
    with pytest.raises(StemmaError, match=r"a.ticket is damaged; run snakemake again"):
        read(tmp_path / "a.ticket", 0)


def test_a_benchmark_is_written_through_no_link(tmp_path: Path):
    outside = plant_outside(tmp_path / "outside")
    folder = tmp_path / "results/benchmarks"
    folder.mkdir(parents=True)
    (folder / "first.tsv").symlink_to(outside / "precious/thesis.txt")
    (folder / "second").symlink_to(outside / "precious")
    kept = snapshot(outside)
    with contextlib.chdir(tmp_path):
        write_benchmark(Path("results/benchmarks/first.tsv"), 1.0, resource.getrusage(resource.RUSAGE_SELF))
        assert (folder / "first.tsv").read_text().startswith("s\th:m:s\t")
        with pytest.raises(StemmaError, match="results/benchmarks/second is a link"):
            write_benchmark(Path("results/benchmarks/second/x.tsv"), 1.0, resource.getrusage(resource.RUSAGE_SELF))
    assert snapshot(outside) == kept
    [aside] = (tmp_path / "results/.aside").glob("*/benchmarks/first.tsv")
    assert aside.is_symlink()
