import json
from itertools import islice

import numpy as np
import pytest

from llm.align.batches import Example, collate, evaluation_order, training_order
from llm.align.conversations import read_examples, read_pairs
from llm.align.records import length_rule, read_jsonl, write_jsonl
from llm.errors import InputError

LENGTHS = [int(n) for n in np.random.Generator(np.random.PCG64(0)).integers(5, 90, size=203)]


def test_order_depends_on_seed_and_step_only():
    long, short = list(training_order(LENGTHS, 8, 3, 60)), list(training_order(LENGTHS, 8, 3, 10))
    assert long[:10] == short
    assert long[:10] != list(training_order(LENGTHS, 8, 4, 10))
    assert list(islice(training_order(LENGTHS, 8, 3, 60), 40, 50)) == long[40:50]


def test_an_epoch_uses_each_example_at_most_once_and_epochs_differ():
    per_epoch = len(LENGTHS) // 8
    order = list(training_order(LENGTHS, 8, 0, 2 * per_epoch))
    first, second = order[:per_epoch], order[per_epoch:]
    assert all(len(batch) == 8 for batch in order)
    assert len({i for batch in first for i in batch}) == 8 * per_epoch
    assert first != second


def test_grouping_by_length_saves_padding():
    order = list(training_order(LENGTHS, 8, 0, 25))
    padded = sum(8 * max(LENGTHS[i] for i in batch) for batch in order)
    real = sum(LENGTHS[i] for batch in order for i in batch)
    assert padded < 1.2 * real


def test_too_few_examples_for_a_batch():
    with pytest.raises(InputError, match="3 examples do not fill one batch of 4"):
        next(training_order([1, 2, 3], 4, 0, 1))


def test_evaluation_sees_every_example_once():
    order = evaluation_order(LENGTHS, 16)
    assert sorted(i for batch in order for i in batch) == list(range(len(LENGTHS)))


def test_collate_pads_right_and_masks():
    long = Example(np.array([1, 6, 9]), np.array([0, 0, 1], bool), "a")
    examples = [long, Example(np.array([1]), np.zeros(1, bool), "b")]
    batch = collate(examples, pad=3)
    assert batch.tokens_BT.tolist() == [[1, 6, 9], [1, 3, 3]]
    assert batch.mask_BT.tolist() == [[False, False, True], [False] * 3]
    assert batch.length_B.tolist() == [3, 1]


def test_reading_leaves_out_what_is_too_long(tokenizer, tmp_path):
    def row(question, answer):
        messages = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
        return {"id": "x", "source": "s", "kind": "k", "messages": messages}

    write_jsonl(tmp_path / "a.jsonl", [row("hi", "yo\u2028!"), row("hi", "y" * 50)])
    examples, too_long = read_examples(tmp_path / "a.jsonl", tokenizer, 30)
    assert (len(examples), too_long) == (1, 1)
    answer = [byte + 8 for byte in "yo\u2028!".encode()]
    assert examples[0].ids.tolist() == [1, 6, ord("h") + 8, ord("i") + 8, 7, *answer, 2]
    assert examples[0].mask.tolist() == [False] * 5 + [True] * (len(answer) + 1)
    with pytest.raises(InputError, match="max_tokens=5"):
        read_examples(tmp_path / "a.jsonl", tokenizer, 5)


def test_reading_pairs(tokenizer, tmp_path):
    row = {"id": "x", "kind": "k", "prompt": "p", "chosen": "good", "rejected": "bad!!!"}
    write_jsonl(tmp_path / "a.jsonl", [row, row | {"rejected": "b" * 40}])
    pairs, too_long = read_pairs(tmp_path / "a.jsonl", tokenizer, 20)
    assert (len(pairs), too_long) == (1, 1)
    assert pairs[0].chosen.ids[:4].tolist() == pairs[0].rejected.ids[:4].tolist()
    assert pairs[0].rejected.mask.sum() == len("bad!!!") + 1


def test_bad_files_are_named(tmp_path):
    with pytest.raises(InputError, match="is missing"):
        read_jsonl(tmp_path / "no.jsonl")
    (tmp_path / "e.jsonl").write_text("\n")
    with pytest.raises(InputError, match="holds no line"):
        read_jsonl(tmp_path / "e.jsonl")
    (tmp_path / "b.jsonl").write_text(json.dumps({"a": 1}) + "\n{")
    with pytest.raises(InputError, match="not JSON Lines"):
        read_jsonl(tmp_path / "b.jsonl")


def test_length_rule():
    assert length_rule([(3, 2), (5, 4), (1, 2), (7, 7)]) == {"longer_wins": 0.625, "shorter_wins": 0.375, "best": 0.625}
