import json

import numpy as np
import pytest
import torch

from llm.align.batches import Example, ItemStream, Pair, collate, epoch_order, evaluation_order
from llm.align.conversations import read_examples, read_pairs
from llm.align.records import length_rule, read_jsonl, write_jsonl
from llm.errors import InputError

LENGTHS = [int(n) for n in np.random.Generator(np.random.PCG64(0)).integers(5, 90, size=203)]


def example(length: int, kind: str = "k") -> Example:
    return Example(np.arange(length) % 250, np.arange(length) > length // 2, kind)


ITEMS = [example(length) for length in LENGTHS]


def order(seed: int, steps: range, items: list = ITEMS) -> list[list[int]]:
    """The lengths of each step's items."""
    stream = ItemStream(items, 8, seed, 3)
    return [stream.rows(8 * step, 0, 8).length_B.tolist() for step in steps]


def test_order_depends_on_seed_and_step_only():
    long = order(3, range(60))
    assert order(3, range(10)) == long[:10]
    assert order(3, range(40, 50)) == long[40:50]  # in any order of asking, also in another epoch
    assert order(4, range(10)) != long[:10]


def test_an_epoch_uses_each_example_at_most_once_and_epochs_differ():
    first, second = (epoch_order(LENGTHS, 8, 0, epoch) for epoch in (0, 1))
    assert len(first) == len(LENGTHS) // 8 and all(len(batch) == 8 for batch in first)
    assert len({i for batch in first for i in batch}) == 8 * len(first)
    assert first != second


def test_grouping_by_length_saves_padding():
    batches = order(0, range(25))
    assert sum(8 * max(lengths) for lengths in batches) < 1.2 * sum(map(sum, batches))


def test_too_few_examples_for_a_batch():
    with pytest.raises(InputError, match="3 examples do not fill one batch of 4"):
        ItemStream(ITEMS[:3], 4, 0, 3)


def test_a_part_of_a_batch_knows_the_whole():
    """However a batch is cut, its parts are its rows, and each divides by the response tokens of the whole."""
    stream = ItemStream(ITEMS, 8, 1, 3)
    whole = stream.rows(16, 0, 8)
    parts = [stream.rows(16, 0, 3), stream.rows(16, 3, 5)]
    assert torch.cat([part.length_B for part in parts]).equal(whole.length_B)
    assert {part.targets for part in (whole, *parts)} == {int(whole.mask_BT[:, 1:].sum())}
    assert stream.tokens_of(16, 8) == int(whole.length_B.sum())


def test_items_of_a_batch_of_pairs_keep_both_sides():
    pairs = [Pair(example(5 + n), example(20 + n), "k") for n in range(4)]
    batch = collate(pairs, 3)
    assert (len(batch), batch.length_B.tolist()) == (4, [5, 6, 7, 8, 20, 21, 22, 23])
    some = batch[torch.tensor([3, 1])]
    assert (len(some), some.length_B.tolist(), some.targets) == (2, [8, 6, 23, 21], batch.targets)


def test_evaluation_sees_every_example_once():
    batches = evaluation_order(LENGTHS, 16)
    assert sorted(i for batch in batches for i in batch) == list(range(len(LENGTHS)))


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


def test_what_is_too_long_is_cut_at_its_end_where_asked(tokenizer, tmp_path):
    rows = [{"prompt": "hi", "completion": "y" * 50}, {"prompt": "h" * 50, "completion": "y"}]
    write_jsonl(tmp_path / "a.jsonl", rows)
    examples, too_long = read_examples(tmp_path / "a.jsonl", tokenizer, 30, cut=True)
    assert (len(examples), too_long) == (1, 2)  # of a prompt that is too long nothing is left to learn
    assert len(examples[0].ids) == 30 and examples[0].ids[-1] != tokenizer.eos and examples[0].mask[-1]
    pair = {"prompt": "p", "chosen": "good", "rejected": "b" * 40, "margin": 0.5}
    write_jsonl(tmp_path / "b.jsonl", [pair])
    (cut,), _ = read_pairs(tmp_path / "b.jsonl", tokenizer, 20, cut=True)
    assert (len(cut.chosen.ids), len(cut.rejected.ids), cut.value) == (9, 20, 0.5)


def test_each_turn_of_the_assistant_is_learned_unless_it_weighs_nothing(tokenizer, tmp_path):
    turns = [("system", "s"), ("user", "u"), ("assistant", "ab"), ("user", "v"), ("assistant", "c")]
    messages = [{"role": role, "content": content} for role, content in turns]
    messages[2] = messages[2] | {"weight": 0}
    plain = [message | {"weight": 1} if message["role"] == "assistant" else message for message in messages]
    write_jsonl(tmp_path / "a.jsonl", [{"messages": plain}, {"messages": messages}])
    both, one = read_examples(tmp_path / "a.jsonl", tokenizer, 30)[0]
    a, b, c = (ord(letter) + 8 for letter in "abc")
    assert both.ids.tolist() == one.ids.tolist()
    assert both.ids[both.mask].tolist() == [a, b, tokenizer.eos, c, tokenizer.eos]
    assert one.ids[one.mask].tolist() == [c, tokenizer.eos]


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
