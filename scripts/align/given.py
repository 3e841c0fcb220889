"""Take alignment data that others wrote out of a source: train.jsonl and validation.jsonl, checked, no prompt in both,
nothing that an evaluation set holds."""

import io
from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import polars as pl

from llm.align.conversations import kind_of
from llm.align.given import dealt, layout_of, texts_of, usual
from llm.align.records import parsed, write_jsonl
from llm.align.rows import stated
from llm.align.settings.given import GivenSettings
from llm.collect.archive import open_archive
from llm.collect.globs import chooser
from llm.command import command
from llm.errors import InputError
from llm.evaluate.read_suite import listed
from llm.io.parquet import parts, read
from llm.process.dedup.contamination import Search, evaluation_grams


def main(archive: Path, data: Path, evaluations: list[Path] | None = None, *, settings: GivenSettings) -> dict:
    """archive: the source's. evaluations: raw shards of the evaluation sets, an item a row. data: empty directory to
    fill. Returns counts: of items, of those that were equal to another, of prompts that are alike, of those that an
    evaluation set holds."""
    held = ((path.name, (read(shard, ["text"])["text"] for shard in parts(path))) for path in evaluations or [])
    search = Search(evaluation_grams(held, n=settings.ngram, min_words=settings.min_words), settings.min_hits)
    rows = list(rows_of(archive, settings))
    texts = pl.Series([" ".join(texts_of(row)) for _, row in rows], dtype=pl.String)
    clean = (search.of(texts)["contamination"] == 0).to_list()
    kept = [row for row, is_clean in zip(rows, clean, strict=True) if is_clean]
    train, validation, counts = dealt(kept, settings.held_out, settings.limit, settings.seed, settings.near)
    for split, some in (("train", train), ("validation", validation)):
        write_jsonl(data / f"{split}.jsonl", some)
    return {
        "layout": layout_of(train[0])[0],
        "items": len(rows),
        **counts,
        "train": {"items": len(train), "by_kind": dict(Counter(map(kind_of, train)))},
        "validation": {"items": len(validation), "by_kind": dict(Counter(map(kind_of, validation)))},
    } | search.metrics()


def rows_of(archive: Path, settings: GivenSettings) -> Iterator[tuple[str, dict]]:
    """Yield the rows of the files that the globs fit, with their places, in the order of the files' names."""
    fits = chooser(settings.include, [], label=settings.source)
    with open_archive(archive, label=settings.source, wanted=fits) as opened:
        names = list(filter(fits, opened.names))
        if not names:
            raise InputError(f"{settings.source} has no file like {', '.join(settings.include)}; correct `include`")
        for name in names:
            kind = PurePosixPath(name)
            for number, item in enumerate(items_of(opened.read(name), name, settings.source), 1):
                place = f"{settings.source}: {name}: item {number}"
                yield place, usual(stated(item), place, kind.parent.name if kind.stem == "task" else kind.stem)


def items_of(content: bytes, name: str, source: str) -> list[dict]:
    """Return the objects of a file; each line of a .txt is a prompt. What BIG-bench asks of all items of a task
    (`task_prefix`) stands before the input of each."""
    if name.endswith(".parquet"):
        try:
            return pl.read_parquet(io.BytesIO(content)).to_dicts()
        except pl.exceptions.PolarsError as error:
            said = str(error).splitlines()[0]
            raise InputError(f"{source}: {name} is no parquet ({said}); name another file") from error
    text = content.decode("utf-8", errors="replace")
    if name.endswith(".txt"):
        return [{"prompt": line} for line in text.splitlines() if line.strip()]
    items = listed(text, name, source)
    whole = parsed(text) if name.endswith(".json") else None
    prefix = whole.get("task_prefix") if isinstance(whole, dict) else None
    return [item | {"input": f"{prefix}\n\n{item.get('input')}"} for item in items] if prefix else items


if __name__ == "__main__":
    command(main)
