"""Training: the same bytes every time, and clear words where a size cannot be had."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from llm.errors import InputError
from llm.tokenize.load import CONTROLS, Tokenizer
from llm.tokenize.train import LINE, lines, train

TEXTS = [f"the cat number {n} sat on the mat\n\tand saw {n * 37} dogs; " * 3 for n in range(300)]


def trained(texts: list[str], vocab_size: int) -> bytes:
    return train(texts, vocab_size=vocab_size, character_coverage=0.9995)


def test_same_bytes_for_any_threads_directory_and_run(tmp_path: Path) -> None:
    expected = hashlib.sha256(trained(TEXTS, 340)).hexdigest()
    assert hashlib.sha256(trained(TEXTS, 340)).hexdigest() == expected
    program = (
        "import hashlib; from tests.llm.tokenize.test_train import TEXTS, trained; import os;"
        f"os.chdir({str(tmp_path)!r}); print(hashlib.sha256(trained(TEXTS, 340)).hexdigest())"
    )
    for threads in ("1", "7"):
        environment = os.environ | {"OMP_NUM_THREADS": threads, "PYTHONHASHSEED": threads}
        found = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
        assert found.stdout.strip() == expected, found.stderr


def test_the_vocabulary_has_the_asked_size_and_the_controls(tmp_path: Path) -> None:
    (tmp_path / "m").write_bytes(trained(TEXTS, 340))
    tokenizer = Tokenizer(tmp_path / "m")
    assert tokenizer.vocab_size == 340
    assert tuple(tokenizer.token(i) for i in range(8)) == CONTROLS
    assert [tokenizer.token(i) for i in (8, 263)] == ["<0x00>", "<0xFF>"]
    assert len({tokenizer.token(i) for i in range(340)}) == 340


def test_no_piece_reaches_over_a_space_or_a_line_end(tokenizer: Tokenizer) -> None:
    for i in range(264, tokenizer.vocab_size):
        piece = tokenizer.token(i)
        assert not set(piece) & {"\n", "\r", " ", "\0"}
        assert "▁" not in piece.lstrip("▁")
        assert len(piece) == 1 or not any(c.isdigit() for c in piece), "digits are single"


def test_too_large_a_vocabulary_names_the_largest_that_works(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^tokenizer\.vocab_size: 50000 .* set it to at most \d+") as raised:
        trained(TEXTS, 50000)
    largest = int(str(raised.value).split("at most ")[1].split(",")[0])
    assert "\n" not in str(raised.value)
    (tmp_path / "m").write_bytes(trained(TEXTS, largest))
    assert Tokenizer(tmp_path / "m").vocab_size == largest
    with pytest.raises(InputError, match=f"at most {largest}"):
        trained(TEXTS, largest + 1)


@pytest.mark.parametrize("vocab_size", [1, 100, 264, 270])
def test_too_small_a_vocabulary_names_the_smallest_that_works(vocab_size: int) -> None:
    with pytest.raises(InputError, match=r"^tokenizer\.vocab_size: .* set it to at least \d+") as raised:
        trained(TEXTS, vocab_size)
    smallest = int(str(raised.value).split("at least ")[1].split(",")[0])
    assert trained(TEXTS, smallest)
    with pytest.raises(InputError, match="at least"):
        trained(TEXTS, smallest - 1)


@pytest.mark.parametrize("texts", [[], [""], ["\n\n", "\0"]])
def test_no_text_is_an_error(texts: list[str]) -> None:
    with pytest.raises(InputError, match="no text for the tokenizer"):
        trained(texts, 300)


def test_awkward_text_trains() -> None:
    awkward = ["a" * 200_000, "日本語" * 50_000, "nul\0nul", "▅ reserved", "a\tb", "▁▁ low", "\r\n" * 100, "😀" * 9]
    assert trained(TEXTS + awkward, 340)


def test_lines() -> None:
    assert list(lines(["a\nb\r\nc\0d▅e\n\n"])) == ["a", "b", "c", "d", "e"]
    cut = list(lines(["x" * (2 * LINE + 1)]))
    assert [len(line) for line in cut] == [LINE, LINE, 1]
