"""Makes one source's clean shards: joins the tables about its documents shard by shard, redacts, and splits.

It takes two passes: the first reads only the small columns and finds where the split lies, the second reads a shard
with its text, writes what stays and counts. So memory is that of one shard. Signals are computed before, in
llm/process/quality; why a document is dropped is decided in llm/process/quality/thresholds.py.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from llm.errors import InputError
from llm.io.parquet import height, parts, read
from llm.process.pii.find import spans_of
from llm.process.pii.spans import CUT, Span, outside, redact, with_cuts
from llm.process.quality.signal_names import SCORES
from llm.process.quality.thresholds import Rules, reason

RAW = ("id", "text", "title", "url", "source", "domain", "license")
COLUMNS = (*RAW, "language", "cluster", "split", "quality", "n_bytes")
SPANS = pl.List(pl.Struct({"kind": pl.String, "start": pl.UInt32, "end": pl.UInt32}))
CUTS = pl.List(pl.Struct({"start": pl.UInt32, "end": pl.UInt32}))
FALLBACK = 8  # a source of so many documents has at least one for validation


@dataclass(frozen=True)
class Known:
    """Where the tables about a source's documents lie: directories of shards like the raw ones, or one file of all rows
    in order (duplicates, contamination). None: not computed, so it filters nothing."""

    documents: Path
    annotations: Path
    duplicates: Path
    scores: Path | None = None
    contamination: Path | None = None
    names: Path | None = None
    substrings: Path | None = None


def verdicts(known: Known, rules: Rules) -> Iterator[tuple[Path, pl.DataFrame]]:
    """Yield each raw shard's path and a row per document: id, language, cluster, quality, pii (spans of all kinds,
    sorted), cuts (spans of repeated text) and reason (null: kept). Raises InputError for tables that do not list the
    same documents, and for an id that comes twice."""
    signals = [name for name in rules.thresholds if name not in (*SCORES, "contamination", "n_words", "language")]
    begin, last = 0, ""
    for path in parts(known.documents):
        ids = read(path, ["id"])["id"]
        last = ascending(path, ids, last)
        rows = (begin, len(ids))
        tables = {
            "annotations": read(known.annotations / path.name, ["id", "language", "n_words", *signals, "pii"]),
            "duplicates": read(known.duplicates, ["id", "cluster", "keep", "reason"], rows),
        }
        if known.scores:
            tables["scores"] = read(known.scores / path.name, ["id", *SCORES])
        if known.contamination:
            tables["contamination"] = read(known.contamination, ["id", "contamination"], rows)
        if known.names:
            tables["names"] = read(known.names / path.name, ["id", "names"])
        if known.substrings:
            tables["substrings"] = read(known.substrings / path.name, ["id", "spans"]).rename({"spans": "cuts"})
        for name, table in tables.items():
            if not table["id"].equals(ids):
                raise InputError(f"{name} do not list the same documents as {path}; rebuild them")
        joined = pl.concat([ids.to_frame(), *(table.drop("id") for table in tables.values())], how="horizontal")
        absent = [name for name in (*SCORES, "contamination") if name not in joined.columns]
        joined = joined.with_columns(pl.lit(None, pl.Float64).alias(name) for name in absent)
        if known.names:
            joined = joined.with_columns(pii=united(joined["pii"], joined["names"]))
        if not known.substrings:
            joined = joined.with_columns(cuts=pl.lit(None, CUTS))
        yield path, joined.select("id", "language", "cluster", "quality", "pii", "cuts", reason=reason(rules))
        begin += len(ids)
    if (listed := height(known.duplicates)) != begin:
        raise InputError(f"{known.duplicates}: lists {listed} documents, the raw shards hold {begin}; rebuild it")


def ascending(path: Path, ids: pl.Series, last: str) -> str:
    """Return the last of the ids, which follow `last`. Raises InputError for ids of one length that do not ascend,
    since one of them may come twice."""
    before = ids.shift(1, fill_value=last)
    wrong = (before.str.len_bytes() == ids.str.len_bytes()) & (before >= ids)
    if wrong.any():
        raise InputError(f"{path}: the id {ids.filter(wrong)[0]!r} does not follow the one before it, or comes twice")
    return ids[-1] if len(ids) else last


def united(found: pl.Series, names: pl.Series) -> pl.Series:
    """Return the spans of both columns, sorted by place. Where two overlap, a span of `found` (by pattern) wins, and of
    the name what lies outside is left."""
    rows = []
    for patterns, others in zip(found.to_list(), names.to_list(), strict=True):
        free = [part for new in others or () for part in parts_outside(new, patterns)]
        rows.append(sorted([*patterns, *free], key=lambda span: span["start"]))
    return pl.Series("pii", rows, dtype=SPANS)


def parts_outside(new: dict, others: list[dict]) -> list[dict]:
    """Return the span, or its parts of two characters or more that lie outside of others, which are sorted."""
    over = [(old["start"], old["end"]) for old in others if old["start"] < new["end"] and new["start"] < old["end"]]
    parts = outside(new["start"], new["end"], over)
    return [new | {"start": start, "end": end} for start, end in parts if not over or end - start > 1]


def split_limit(clusters: Iterable[list[str]], rules: Rules) -> int:
    """Return the draw below which a kept document goes to validation. Where chance leaves a source of FALLBACK or more
    documents without any, the document with the smallest draw goes there. clusters: of the kept documents, in parts."""
    if not rules.validation_fraction:
        return 0
    n, least = 0, 1 << 64
    for part in clusters:
        n += len(part)
        least = min([least, *(draw(cluster, rules.seed) for cluster in part)])
    limit = int(rules.validation_fraction * (1 << 64))
    return max(limit, least + 1) if n >= FALLBACK else limit


def splits(clusters: list[str], limit: int, rules: Rules) -> list[str]:
    """Return "train" or "validation" for each kept document, by a hash of its cluster and the seed.

    A cluster has one kept document, and the hash depends on nothing else, so no near-duplicate of a validation document
    is in training, and a document stays on its side when others come and go.
    """
    return ["validation" if draw(cluster, rules.seed) < limit else "train" for cluster in clusters]


def draw(cluster: str, seed: int) -> int:
    return int.from_bytes(hashlib.sha256(f"{seed}:{cluster}".encode()).digest()[:8], "big")


def clean(raw: pl.DataFrame, known: pl.DataFrame, limit: int, rules: Rules) -> pl.DataFrame:
    """Return the documents of a shard that stay: COLUMNS. raw: RAW; known: of `verdicts`, the same rows."""
    is_kept = known["reason"].is_null()
    raw, known = raw.filter(is_kept), known.filter(is_kept)
    replaced = hidden(known, rules)
    rows = list(replaced)
    changed = [redact(text, replaced[row]) for row, text in zip(rows, raw["text"].gather(rows).to_list(), strict=True)]
    redacted = pl.DataFrame(
        {"row": rows, "redacted": changed}, schema={"row": pl.get_index_type(), "redacted": pl.String}
    )
    table = raw.with_row_index("row").join(redacted, on="row", how="left", maintain_order="left")
    return table.with_columns(
        known["language"],
        known["cluster"],
        known["quality"],
        text=pl.coalesce("redacted", "text"),
        title=without_pii(raw["title"], rules),
        url=without_pii(raw["url"], rules),
        split=pl.Series(splits(known["cluster"].to_list(), limit, rules), dtype=pl.String),
    ).select(*COLUMNS[:-1], n_bytes=pl.col("text").str.len_bytes().cast(pl.Int64))


def hidden(known: pl.DataFrame, rules: Rules) -> dict[int, list[Span]]:
    """Return row -> what is replaced or cut, for the rows that have something."""
    result = {}
    for row, (found, cuts) in enumerate(known.select("pii", "cuts").iter_rows()):
        redacted = [Span(**span) for span in found if rules.pii.get(span["kind"]) == "redact"]
        if redacted or cuts:
            result[row] = with_cuts(redacted, [(cut["start"], cut["end"]) for cut in cuts or ()])
    return result


def without_pii(texts: pl.Series, rules: Rules) -> pl.Series:
    """Redact titles and urls. These are not annotated, but a title may become text later (of a question about it,
    say)."""
    found = spans_of(texts)
    rows = [row for row, own in enumerate(found) if own]
    hidden = [
        redact(text, [span for span in found[row] if rules.pii.get(span.kind) in ("redact", "drop")])
        for row, text in zip(rows, texts.gather(rows).to_list(), strict=True)
    ]
    return texts.scatter(rows, hidden) if rows else texts


@dataclass
class Account:
    """Counts, shard by shard, what came in, what went out, and why the rest did not, in documents and bytes."""

    documents: Counter[str] = field(default_factory=Counter)  # keys: in, out
    bytes: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    dropped_bytes: Counter[str] = field(default_factory=Counter)
    pii: dict[str, Counter[str]] = field(default_factory=lambda: {"redact": Counter(), "report": Counter()})
    cuts: int = 0
    splits: dict[str, Counter[str]] = field(default_factory=dict)

    def add(self, raw: pl.DataFrame, known: pl.DataFrame, kept: pl.DataFrame, rules: Rules) -> None:
        """Count one shard: what `clean` was given and what it returned."""
        sizes = known.select("reason", bytes=raw["text"].str.len_bytes().cast(pl.Int64))
        self.documents += Counter({"in": len(raw), "out": len(kept)})
        self.bytes["in"] += int(sizes["bytes"].sum())
        self.bytes["out"] += int(kept["n_bytes"].sum())
        by_reason = sizes.filter(pl.col("reason").is_not_null()).group_by("reason").agg(pl.len(), pl.sum("bytes"))
        for name, documents, size in by_reason.iter_rows():
            self.dropped[name] += documents
            self.dropped_bytes[name] += size
        self.bytes["kept before redaction"] += int(sizes.filter(pl.col("reason").is_null())["bytes"].sum())
        is_cut = known["reason"].is_null() & (known["cuts"].list.len() > 0)
        texts = raw["text"].filter(is_cut)
        for row, spans in hidden(known.filter(is_cut), rules).items():
            cuts = [texts[row][span.start : span.end] for span in spans if span.kind == CUT]
            self.bytes["cut"] += sum(len(text.encode()) for text in cuts)
            self.cuts += len(cuts)
        found = known.filter(pl.col("reason").is_null())["pii"].explode().drop_nulls().struct.field("kind")
        for kind, n in found.value_counts().iter_rows():
            if (action := rules.pii.get(kind)) in self.pii:
                self.pii[action][kind] += n
        for split, documents, size in kept.group_by("split").agg(pl.len(), pl.sum("n_bytes")).iter_rows():
            self.splits.setdefault(split, Counter()).update(documents=documents, bytes=size)

    def metrics(self, source: str) -> dict:
        """Return the counts. Raises RuntimeError if some documents or bytes are neither kept nor dropped, which is a
        defect, and InputError, with the main reasons, if none are kept."""
        if self.documents["in"] != self.documents["out"] + self.dropped.total():
            raise RuntimeError(f"source {source}: {self.documents} documents, {self.dropped.total()} of them dropped")
        if self.bytes["in"] != self.bytes["kept before redaction"] + self.dropped_bytes.total():
            raise RuntimeError(f"source {source}: {self.bytes} bytes, {self.dropped_bytes.total()} of them dropped")
        if not self.documents["out"]:
            most = ", ".join(f"{name} ({n})" for name, n in self.dropped.most_common(3)) or "there were none"
            raise InputError(
                f"source {source}: all {self.documents['in']} documents are dropped, most by {most}; "
                "loosen process.thresholds or process.overrides.<domain>, or take the source out of `corpus`"
            )
        return {
            "documents_in": self.documents["in"],
            "documents_out": self.documents["out"],
            "bytes_in": self.bytes["in"],
            "bytes_out": self.bytes["out"],
            "redacted_bytes": self.bytes["kept before redaction"] - self.bytes["cut"] - self.bytes["out"],
            **({"cuts": self.cuts, "cut_bytes": self.bytes["cut"]} if self.cuts else {}),
            "dropped": dict(sorted(self.dropped.items())),
            "dropped_bytes": dict(sorted(self.dropped_bytes.items())),
            "redacted": dict(sorted(self.pii["redact"].items())),
            "reported": dict(sorted(self.pii["report"].items())),
            "splits": {split: dict(count) for split, count in sorted(self.splits.items())},
        }
