"""Planted duplicates are found, clusters do not depend on any order, and giant buckets stay cheap."""

import hashlib
import itertools
import tempfile
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.minhash import coefficients
from llm.errors import InputError
from llm.io import range_shuffle
from llm.process.dedup import jaccard, lsh
from llm.process.dedup.clusters import clusters
from scripts.process import candidates as candidates_script
from scripts.process import edges as edges_script
from tests.kernels.minhash_parts import minima
from tests.llm.process.dedup.dedup_jobs import deduplicated, write_raw


def duplicates(texts: list[str], ids: list[str] | None = None, **options: float) -> tuple[pl.DataFrame, dict]:
    """One source in one shard, one range."""
    with tempfile.TemporaryDirectory() as directory:
        raw = write_raw(Path(directory) / "raw", ids or [f"s/{i:08d}" for i in range(len(texts))], texts)
        return deduplicated(Path(directory), [raw], **options)


def shingle_set(text: str) -> set[tuple[str, ...]]:
    words = text.split()
    return {tuple(words[i : i + 5]) for i in range(max(len(words) - 4, min(len(words), 1)))}


def similarity(a: str, b: str) -> float:
    a, b = shingle_set(a), shingle_set(b)
    return len(a & b) / max(len(a | b), 1)


def words(generator: np.random.Generator, n: int) -> list[str]:
    return [f"w{i}" for i in generator.integers(0, 5000, n)]


def planted(n: int, seed: int) -> list[str]:
    """n texts, every second a copy of the one before with a few words changed."""
    generator = np.random.Generator(np.random.PCG64(seed))
    texts = []
    for _ in range(n // 2):
        original = words(generator, 200)
        copy = list(original)
        for position in generator.integers(0, 200, generator.integers(0, 8)):
            copy[position] = f"changed{position}"
        texts += [" ".join(original), " ".join(copy)]
    return texts


def test_every_planted_duplicate_is_found_and_no_other() -> None:
    texts = planted(1000, seed=2)
    table, _ = duplicates(texts)
    clusters = table["cluster"].to_list()
    assert table["keep"].sum() == len(set(clusters))
    similar = [similarity(a, b) >= 0.8 for a, b in zip(texts[0::2], texts[1::2], strict=True)]
    found = [a == b for a, b in zip(clusters[0::2], clusters[1::2], strict=True)]
    assert 100 < sum(similar) < 500
    assert found == similar


def test_exact_duplicates_and_the_member_kept() -> None:
    base = " ".join(words(np.random.Generator(np.random.PCG64(1)), 100))
    texts = [base, base + " longer", "other", base, base + " longer", "other"]
    table, counts = duplicates(texts, ["z/1", "z/2", "z/3", "a/1", "a/2", "a/3"])
    assert table["keep"].to_list() == [False, False, False, False, True, True]
    assert table["reason"].to_list() == ["exact", "exact", "exact", "near", None, None]
    smallest = min(hashlib.sha256(text.encode()).hexdigest() for text in texts[:2])
    assert table["cluster"].to_list()[:2] == [smallest, smallest]
    assert (counts["exact"], counts["near"], counts["clusters"]) == (3, 1, 2)


def test_equal_length_is_decided_by_digest() -> None:
    base = " ".join(words(np.random.Generator(np.random.PCG64(1)), 100))
    texts = [base + " aaaa", base + " bbbb", base + " cccc"]
    digests = [hashlib.sha256(text.encode()).hexdigest() for text in texts]
    table, _ = duplicates(texts)
    assert table["keep"].to_list() == [digest == min(digests) for digest in digests]


TEXTS = st.lists(
    st.builds(
        lambda start, length, change: " ".join(f"t{start * 100 + i}" if i != change else "X" for i in range(length)),
        st.integers(0, 3),
        st.integers(0, 40),
        st.integers(0, 60),
    ),
    max_size=14,
)


@settings(max_examples=25, deadline=None)
@given(TEXTS, st.randoms(use_true_random=False))
def test_the_order_of_documents_does_not_matter(texts: list[str], random) -> None:  # noqa: ANN001
    ids = [f"s/{i:08d}" for i in range(len(texts))]
    rows = list(zip(ids, texts, strict=True))
    random.shuffle(rows)
    expected, counts = duplicates(texts, ids)
    got, counts_again = duplicates([text for _, text in rows], [id_ for id_, _ in rows])
    assert got.sort("id").equals(expected.sort("id"))
    assert counts == counts_again
    assert expected["keep"].sum() == expected["cluster"].n_unique()


@settings(max_examples=25, deadline=None)
@given(TEXTS)
def test_clusters_are_the_components_of_true_similarity(texts: list[str]) -> None:
    table, _ = duplicates(texts)
    label = list(range(len(texts)))
    for i, a in enumerate(texts):
        for j, b in enumerate(texts[:i]):
            if (a == b or (a and b and similarity(a, b) >= 0.8)) and label[i] != label[j]:
                label = [label[j] if x == label[i] else x for x in label]
    clusters = table["cluster"].to_list()
    assert all((label[i] == label[j]) == (clusters[i] == clusters[j]) for i in range(len(texts)) for j in range(i))


def test_recall_against_theory_on_candidates() -> None:
    """Share of pairs proposed at similarities below the threshold follows 1 - (1 - s^r)^b."""
    generator = np.random.Generator(np.random.PCG64(9))
    a, b = coefficients(112, seed=4)
    n, size, shared = 600, 200, 80  # similarity 80 / 320 = 0.25
    values = generator.integers(0, 1 << 32, size=(n, 2 * size), dtype=np.uint32)
    sets = np.concatenate([np.concatenate([v[:size], v[:shared], v[size : 2 * size - shared]]) for v in values])
    found = minima(sets, np.arange(2 * n + 1, dtype=np.int64) * size, a, b)
    entries = lsh.keys(np.arange(2 * n, dtype=np.uint64), found, bands=28, rows=4)
    pairs = {pair for table, _ in lsh.pairs(entries, max_bucket=50) for pair in table.iter_rows()}
    proposed = sum(int(i % 2 == 0 and j == i + 1) for i, j in pairs)
    theory = 1 - (1 - 0.25**4) ** 28
    assert abs(proposed / n - theory) < 4 * np.sqrt(theory * (1 - theory) / n)


def test_a_giant_bucket_is_one_cluster_at_linear_cost() -> None:
    licence = " ".join(words(np.random.Generator(np.random.PCG64(1)), 300))
    texts = [f"{licence} by author{i}" for i in range(3000)]
    table, counts = duplicates(texts, max_bucket=10)
    assert table["cluster"].n_unique() == 1
    assert table["keep"].sum() == 1
    assert counts["oversized_buckets"] > 0
    assert counts["compared_pairs"] < 10 * len(texts)


def test_edges() -> None:
    assert duplicates([])[0].is_empty()
    table, _ = duplicates(["", " ", "\n", "", "...", "one", "One", "中文", "👍", "x" * 100_000])
    assert table["reason"].to_list()[:5] == [None, None, None, "exact", None]  # without words: equal or not, never near
    assert sorted(table["keep"].to_list()[5:7]) == [False, True]
    assert all(table["keep"].to_list()[7:])
    with pytest.raises(InputError, match="permutations"):
        duplicates(["a"], bands=29)


@pytest.mark.parametrize("ranges", [1, 4, 16])
def test_ranges_shards_and_the_order_of_sources_change_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ranges: int
) -> None:
    """1, 4 and 16 jobs, shards and orders, in slices and blocks that hold next to nothing, against one job."""
    texts = [*planted(160, seed=3), *["", "equal text of a few words"] * 4, *planted(160, seed=3)[:30]]
    texts += [" ".join(words(np.random.Generator(np.random.PCG64(1)), 150)) + f" author{i}" for i in range(40)]
    ids = [f"{'abc'[i % 3]}/{i:08d}" for i in range(len(texts))]
    expected, _ = duplicates(texts, ids, max_bucket=10)
    assert set(expected["reason"].unique()) == {None, "exact", "near"}

    monkeypatch.setattr(candidates_script, "ENTRIES", 4000)
    monkeypatch.setattr(lsh, "PAIRS", 64)
    monkeypatch.setattr(edges_script, "PAIRS", 500)
    monkeypatch.setattr(jaccard.similar, "__kwdefaults__", {**jaccard.similar.__kwdefaults__, "block": 20_000})
    orders = list(itertools.permutations("abc"))
    sources = [
        write_raw(tmp_path / "raw" / name, ids["abc".index(name) :: 3], texts["abc".index(name) :: 3], -(-92 // ranges))
        for name in orders[ranges % len(orders)]
    ]
    got, _ = deduplicated(tmp_path, sources, ranges, max_bucket=10)
    assert got.sort("id").equals(expected.sort("id"))


def test_the_member_of_best_quality_is_kept(tmp_path: Path) -> None:
    base = " ".join(words(np.random.Generator(np.random.PCG64(1)), 100))
    texts = [base, base + " longer", base + " longer", "other", "without a score"]
    raw = write_raw(tmp_path / "raw", [f"s/{i}" for i in range(5)], texts, per_part=2)
    (tmp_path / "scores").mkdir()
    scores = pl.DataFrame({"id": [f"s/{i}" for i in range(5)], "quality": [0.9, 0.1, 0.2, 0.5, None]})
    for i in range(3):
        scores[2 * i : 2 * i + 2].write_parquet(tmp_path / f"scores/part-{i:05d}.parquet")
    table, _ = deduplicated(tmp_path, [raw], scores=[tmp_path / "scores"])
    assert table["keep"].to_list() == [True, False, False, True, True]
    assert table["reason"].to_list() == [None, "exact", "near", None, None]


def test_without_verification_every_candidate_counts() -> None:
    texts = planted(200, seed=2)
    verified, _ = duplicates(texts)
    table, counts = duplicates(texts, verify=False)
    assert counts["compared_pairs"] == 0
    assert table["keep"].sum() < verified["keep"].sum()


def test_recall_on_planted_duplicates_follows_the_curve() -> None:
    """Pairs of documents whose true similarity is known by construction: share found against 1 - (1 - s^r)^b."""
    generator = np.random.Generator(np.random.PCG64(11))
    n, bands, rows = 250, 14, 8
    for changed in (4, 8, 14):
        texts, theory = [], []
        for i in range(n):
            original = [f"d{i}w{k}" for k in range(100)]
            copy = list(original)
            for position in generator.choice(100, changed, replace=False):
                copy[position] = f"x{position}"
            texts += [" ".join(original), " ".join(copy)]
            theory.append(1 - (1 - similarity(*texts[-2:]) ** rows) ** bands)
        table, _ = duplicates(texts, bands=bands, rows=rows, verify=False)
        cluster = table["cluster"].to_list()
        found = sum(a == b for a, b in zip(cluster[0::2], cluster[1::2], strict=True))
        spread = np.sqrt(sum(p * (1 - p) for p in theory)) + 1
        assert abs(found - sum(theory)) < 4 * spread


def test_names_that_two_texts_share_join_nothing() -> None:
    digest = np.array([[5, 1, 0, 0], [5, 2, 0, 0], [9, 0, 0, 0], [7, 0, 0, 0]], dtype=np.uint64)
    documents = pl.DataFrame({"id": list("abcd"), "bytes": [1, 1, 1, 1], "quality": [None] * 4}).with_columns(
        pl.Series("digest", digest, dtype=lsh.DIGEST), pl.col("quality").cast(pl.Float64)
    )
    edges = pl.DataFrame({"a": [5, 7], "b": [9, 9]}, schema={"a": pl.UInt64, "b": pl.UInt64})
    table, counts = clusters(documents, edges)
    assert counts["ambiguous_edges"] == 1
    assert table["keep"].to_list() == [True, True, False, True]
    with pytest.raises(InputError, match="no source has"):
        clusters(documents[:3], edges)


def test_a_range_is_a_part_of_the_hashes() -> None:
    hashes = np.array([0, 1, (1 << 63) - 1, 1 << 63, (1 << 64) - 1], dtype=np.uint64)
    assert range_shuffle.range_of(hashes, 2).tolist() == [0, 0, 0, 1, 1]
    assert range_shuffle.range_of(hashes, 1).tolist() == [0] * 5
    assert range_shuffle.range_of(hashes, 16).max() == 15
