"""Token shards: what we write, megatron-core reads, and the reverse."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm.errors import InputError
from llm.tokenize.indexed import IndexedTokens, token_dtype
from tests.llm.tokenize.write_ids import write_indexed

DOCUMENTS = [np.array(ids) for ids in ([5, 6, 2], [2], [65535 - 36, 7, 8, 9, 2], list(range(1000)))]


@pytest.mark.parametrize("dtype", [np.uint16, np.int32])
def test_megatron_reads_and_writes_the_same(tmp_path: Path, dtype: type) -> None:
    megatron = pytest.importorskip("megatron.core.datasets.indexed_dataset")
    torch = pytest.importorskip("torch")
    assert write_indexed(tmp_path / "ours", DOCUMENTS, dtype) == sum(map(len, DOCUMENTS))
    dataset = megatron.IndexedDataset(str(tmp_path / "ours"))
    assert len(dataset) == len(DOCUMENTS)
    for i, document in enumerate(DOCUMENTS):
        assert dataset[i].dtype == dtype
        assert dataset[i].tolist() == document.tolist()
    assert dataset.document_indices.tolist() == list(range(len(DOCUMENTS) + 1))

    builder = megatron.IndexedDatasetBuilder(str(tmp_path / "theirs.bin"), dtype=dtype)
    for document in DOCUMENTS:
        builder.add_document(torch.tensor(document), [len(document)])
    builder.finalize(str(tmp_path / "theirs.idx"))
    for suffix in ("bin", "idx"):
        assert (tmp_path / f"ours.{suffix}").read_bytes() == (tmp_path / f"theirs.{suffix}").read_bytes()


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(st.integers(0, 65535), max_size=9), max_size=9))
def test_round_trip(tmp_path_factory: pytest.TempPathFactory, documents: list[list[int]]) -> None:
    path = tmp_path_factory.mktemp("shard") / "train.v1"
    write_indexed(path, (np.array(ids, np.int64) for ids in documents), np.uint16)
    shard = IndexedTokens(path)
    assert [document.tolist() for document in shard] == documents
    assert shard.lengths.tolist() == [len(ids) for ids in documents]
    assert shard.tokens.tolist() == [i for ids in documents for i in ids]


def test_access(tmp_path: Path) -> None:
    write_indexed(tmp_path / "train", DOCUMENTS, np.uint16)
    shard = IndexedTokens(tmp_path / "train")
    assert shard[-1].tolist() == DOCUMENTS[-1].tolist()
    with pytest.raises(IndexError):
        shard[len(DOCUMENTS)]
    with pytest.raises(ValueError, match="read-only"):
        shard[0][0] = 1


def test_no_documents(tmp_path: Path) -> None:
    assert write_indexed(tmp_path / "validation", [], np.uint16) == 0
    shard = IndexedTokens(tmp_path / "validation")
    assert len(shard) == 0
    assert len(shard.tokens) == 0


@pytest.mark.parametrize("ids", [[65536], [-1], [3, 70000]])
def test_ids_that_do_not_fit(tmp_path: Path, ids: list[int]) -> None:
    with pytest.raises(InputError, match="document 1 has token ids outside 0 ... 65535"):
        write_indexed(tmp_path / "train", [np.array([1]), np.array(ids)], np.uint16)


def test_damage_is_named(tmp_path: Path) -> None:
    path = tmp_path / "train"
    with pytest.raises(InputError, match="train.idx: no such token index"):
        IndexedTokens(path)
    write_indexed(path, DOCUMENTS, np.uint16)
    for suffix, message in ((".bin", "promises"), (".idx", "truncated")):
        file = path.with_suffix(suffix)
        whole = file.read_bytes()
        file.write_bytes(whole[:-2])
        with pytest.raises(InputError, match=message):
            IndexedTokens(path)
        file.write_bytes(whole)
    (tmp_path / "train.idx").write_bytes(b"something else")
    with pytest.raises(InputError, match="not a Megatron token index"):
        IndexedTokens(path)


def test_dtype_is_megatrons_choice() -> None:
    megatron = pytest.importorskip("megatron.core.datasets.indexed_dataset")
    for size in (300, 4096, 65499, 65500, 65536, 100_000):
        assert token_dtype(size) == megatron.DType.optimal_dtype(size)
