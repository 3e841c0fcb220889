"""Which tokens a step sees: every one once an epoch, the same at any time and in any order."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from llm.errors import InputError
from llm.model.config import ModelConfig
from llm.pretrain.data import TokenStream
from llm.pretrain.evaluate import ValidationSet, bits_per_byte
from tests.llm.tokenize.write_ids import write_indexed

LENGTHS = {"books": (40, 3, 1, 120), "code": (17, 64)}


@pytest.fixture
def shards(tmp_path: Path) -> tuple[Path, Path]:
    """Two sources whose tokens are all different, and a plan that uses one document twice."""
    first = 10
    for source, lengths in LENGTHS.items():
        (tmp_path / source).mkdir()
        for split in ("train", "validation"):
            documents = []
            for length in lengths:
                documents.append(np.arange(first, first + length))
                first += length
            write_indexed(tmp_path / source / split, documents, np.uint16)
        meta = {"source": source, "domain": source, "validation": {"documents": 1, "bytes": 1, "tokens": sum(lengths)}}
        (tmp_path / source / "meta.json").write_text(json.dumps(meta))
    uses = [("code", 1), ("books", 3), ("books", 0), ("books", 1), ("books", 2), ("code", 0), ("books", 3)]
    write_plan(tmp_path / "plan.parquet", uses)
    return tmp_path, tmp_path / "plan.parquet"


def write_plan(path: Path, uses: list[tuple[str, int]]) -> None:
    columns = {"source": [source for source, _ in uses], "document": [document for _, document in uses]}
    pl.DataFrame(columns, schema={"source": pl.String, "document": pl.UInt32}).write_parquet(path)


def test_an_epoch_is_the_plan_cut_into_windows(shards: tuple[Path, Path]) -> None:
    stream = TokenStream(*shards, context_length=8, vocab_size=1000, seed=1)
    assert stream.tokens == 64 + 120 + 40 + 3 + 1 + 17 + 120
    assert stream.windows == (stream.tokens - 1) // 8
    rows = stream.rows(0, 0, stream.windows)
    assert rows.dtype == torch.int64
    assert rows.shape == (stream.windows, 9)
    table = pl.read_parquet(shards[1]).rows()
    begins = {"books": np.cumsum((0, *LENGTHS["books"])), "code": np.cumsum((0, *LENGTHS["code"]))}
    offset = {"books": 10, "code": 10 + 2 * sum(LENGTHS["books"])}
    joined = np.concatenate([offset[s] + np.arange(begins[s][d], begins[s][d] + LENGTHS[s][d]) for s, d in table])
    expected = {tuple(joined[start : start + 9]) for start in range(0, 8 * stream.windows, 8)}
    assert {tuple(row) for row in rows.tolist()} == expected


def test_a_batch_depends_on_seed_and_step_alone(shards: tuple[Path, Path]) -> None:
    stream = TokenStream(*shards, context_length=8, vocab_size=1000, seed=1)
    wanted = [stream.rows(step * 5, 0, 5) for step in range(30)]
    again = TokenStream(*shards, context_length=8, vocab_size=1000, seed=1)
    for step in (29, 3, 17, 0, 28):
        assert torch.equal(again.rows(step * 5, 2, 3), wanted[step][2:])
    assert torch.equal(torch.cat(wanted[:4]), again.rows(0, 0, 20)), "the batch size only groups the rows"
    assert not torch.equal(TokenStream(*shards, context_length=8, vocab_size=1000, seed=2).rows(0, 0, 5), wanted[0])


def test_epochs_are_cut_differently(shards: tuple[Path, Path]) -> None:
    stream = TokenStream(*shards, context_length=8, vocab_size=1000, seed=1)
    first, second = stream.rows(0, 0, stream.windows), stream.rows(stream.windows, 0, stream.windows)
    assert {tuple(row) for row in first.tolist()} != {tuple(row) for row in second.tolist()}


def test_plan_of_other_shards_is_refused(shards: tuple[Path, Path]) -> None:
    directory, plan = shards
    write_plan(plan, [("code", 2)])
    with pytest.raises(InputError, match="uses document 2 of code, whose train shard has 2"):
        TokenStream(directory, plan, 8, 1000, 0)


def test_too_little_text_is_refused(shards: tuple[Path, Path]) -> None:
    with pytest.raises(InputError, match="365 tokens are less than one window of model.context_length 365"):
        TokenStream(*shards, context_length=365, vocab_size=1000)


def test_validation_windows_predict_every_token_once(shards: tuple[Path, Path]) -> None:
    validation = ValidationSet(shards[0])
    for source, lengths in LENGTHS.items():
        windows = validation.windows(source, 8, eos=2, limit=None)
        assert windows[0][0] == 2
        targets = np.concatenate([window[1:] for window in windows])
        assert np.array_equal(targets, validation.tokens[source])
        assert len(targets) == sum(lengths)
    sample = validation.windows("books", 8, eos=2, limit=32)
    assert [len(window) for window in sample] == [9] * 4


def test_no_validation_text_is_refused(shards: tuple[Path, Path]) -> None:
    for source in LENGTHS:
        write_indexed(shards[0] / source / "validation", [], np.uint16)
    with pytest.raises(InputError, match="no source has validation tokens"):
        ValidationSet(shards[0])


def test_an_id_beyond_the_vocabulary_is_refused_in_one_line(shards: tuple[Path, Path]) -> None:
    """On a GPU it would be a device assert, which names neither the id nor the file."""
    most = 10 + 2 * (sum(LENGTHS["books"]) + sum(LENGTHS["code"]))
    TokenStream(*shards, context_length=8, vocab_size=most).rows(0, 0, 30)
    with pytest.raises(InputError, match=r"token id \d+ is outside the model's vocabulary of 50; the tokens are of"):
        TokenStream(*shards, context_length=8, vocab_size=50).rows(0, 0, 30)
    config = ModelConfig(50, 8, 1, 1, 1, 8, 8, 8)
    with pytest.raises(InputError, match=r"validation tokens of books: token id \d+ is outside .* vocabulary of 50"):
        bits_per_byte(lambda tokens_BT: torch.zeros(tokens_BT[:, 1:].numel()), config, ValidationSet(shards[0]), None)
