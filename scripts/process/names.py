"""Find the names of persons in one source's documents, in sensitive contexts or everywhere."""

from collections import Counter
from pathlib import Path

from llm.command import command
from llm.io import parquet
from llm.process.pii.person_names import Finder
from llm.process.pii.spans import span_lists
from llm.process.settings.names import NamesSettings
from llm.progress import progress

ROWS = 4096  # documents whose texts are Python strings at once


def main(documents: Path, names: Path, *, settings: NamesSettings) -> dict:
    """documents: directory of raw parquet shards. names: empty directory, gets a shard (id, names) for each. Returns
    the metrics."""
    finder = Finder(everywhere=settings.names == "everywhere")
    counts: Counter[str] = Counter()
    for path in parquet.parts(documents):
        frame = parquet.read(path, ["id", "text"])
        found = []
        for begin in range(0, len(frame), ROWS):
            spans, more = finder.names_of(frame["text"][begin : begin + ROWS])
            found += spans
            counts.update(more, names=sum(map(len, spans)))
        parquet.write(frame.select("id", span_lists(found).alias("names")), names / path.name)
        counts["documents"] += len(frame)
        progress(f"{counts['documents']:,} documents, {counts['marked']:,} read for names")
    return dict(sorted(counts.items()))


if __name__ == "__main__":
    command(main)
