"""Reward functions: what they say, and what is told of those that do not say it."""

import math
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from llm.align.rewards import brevity, exact, load_rewards, rated, sentence, variety
from llm.errors import InputError


def test_rewards_of_the_file() -> None:
    assert [sentence("", text, {}) for text in ("Yes, it is.", "no", "Cut off in", " ")] == [1.0, 0.0, 0.5, 0.0]
    assert [brevity("", "a " * n, {}) for n in (0, 1, 12, 48, 99)] == [0.0, 1.0, 1.0, 0.0, 0.0]
    assert brevity("", "a " * 30, {}) == 0.5
    assert variety("", "the cat the Cat", {}) == 0.5
    assert [exact("", text, {"answer": "42"}) for text in (" 42\n", "41")] == [1.0, 0.0]


def test_a_users_file_stands_beside_them(tmp_path: Path) -> None:
    file = tmp_path / "own.py"
    file.write_text("def vowels(prompt, answer, row):\n    return sum(c in 'aeiou' for c in answer) / row['n']\n")
    found = load_rewards(["vowels", "variety"], file, 60.0)
    assert rated(found, 60.0, "p", "banana", {"n": 2}) == [1.5, 1.0]
    with pytest.raises(InputError, match="no function consonants; known are brevity, exact, sentence, variety, vowels"):
        load_rewards(["consonants"], file, 60.0)


def test_numbers_of_numpy_are_numbers_and_a_row_stays_as_it_is() -> None:
    def spends(prompt: str, answer: str, row: dict) -> np.float32:
        return np.float32(row["left"].pop())

    row = {"left": [1, 2]}
    assert [rated({"spends": spends}, 60.0, "p", "a", row) for _ in range(3)] == [[2.0]] * 3
    assert row == {"left": [1, 2]}


def test_a_file_that_needs_its_neighbour_is_told_why(tmp_path: Path) -> None:
    (tmp_path / "neighbour.py").write_text("x = 1\n")
    (tmp_path / "own.py").write_text("import neighbour\n")
    with pytest.raises(InputError, match="no module neighbour; the file is read alone: put into it what stands beside"):
        load_rewards(["f"], tmp_path / "own.py", 60.0)


def hang(prompt: str, answer: str, row: dict) -> float:
    while True:
        try:
            time.sleep(0.01)
        except Exception:
            continue


async def awaited(prompt: str, answer: str, row: dict) -> float:
    return 1.0


def late_all_the_same(prompt: str, answer: str, row: dict) -> float:
    """As people write it: whatever goes wrong is worth nothing."""
    try:
        time.sleep(60)
    except:  # noqa: E722
        return 0.0
    return 1.0


@pytest.mark.parametrize(
    ("reward", "line"),
    [
        (lambda p, a, r: math.nan, "nan is no finite number"),
        (lambda p, a, r: "good", "'good' is no finite number"),
        (lambda p, a, r: None, "None is no finite number"),
        (lambda p, a, r: r["answer"], "KeyError: 'answer'"),
        (lambda p, a, r: 10**400, "1000.* is no finite number"),
        (lambda p, a, r: int("1\n2"), "ValueError: invalid literal"),
        (lambda p, a, r: exec("raise ValueError('a\\n  b')"), "ValueError: a b; mend"),
        (lambda p, a, r: sys.exit(), "SystemExit: "),
        (lambda p, a, r: 1 / 0, "ZeroDivisionError: division by zero"),
        (lambda p, a, r: exec("raise GeneratorExit"), "GeneratorExit: "),
        (lambda p, a, r: exec("import asyncio; raise asyncio.CancelledError"), "CancelledError: "),
        (awaited, "an asynchronous function is not waited for; write def"),
        (hang, "no answer after 0.2 s"),
        (late_all_the_same, "no answer after 0.2 s"),
    ],
)
def test_what_a_function_does_wrong_is_said_in_one_line(reward, line: str) -> None:
    with pytest.raises(InputError, match=rf"^reward f, of the answer 'an answer' to 'a prompt': {line}") as caught:
        rated({"f": reward}, 0.2 if reward in (hang, late_all_the_same) else 60.0, "a prompt", "an answer", {})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("1 / 0\n", "ZeroDivisionError"),
        ("while True: pass\n", "no answer after 0.2 s"),
        ("def\n", r"SyntaxError: .*own\.py, line 1"),
    ],
)
def test_a_file_that_cannot_be_run_is_named(text: str, line: str, tmp_path: Path) -> None:
    file = tmp_path / "own.py"
    file.write_text(text)
    with pytest.raises(InputError, match=rf"own.py: {line}") as caught:
        load_rewards([], file, 0.2 if "while" in text else 60.0)
    assert "\n" not in str(caught.value)


def test_a_function_that_catches_all_and_never_ends_is_ended() -> None:
    code = """
from llm.align.rewards import rated
def mine(prompt, answer, row):
    while True:
        try:
            while True:
                pass
        except:
            pass
rated({"mine": mine}, 0.1, "a prompt", "an answer", {})
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("error: reward mine, of the answer 'an answer' to 'a prompt': no answer after 0.1 s")
    assert len(done.stderr.splitlines()) == 1


def test_who_interrupts_a_run_is_not_told_to_mend_a_function() -> None:
    def interrupted(prompt: str, answer: str, row: dict) -> float:
        signal.raise_signal(signal.SIGINT)
        return 1.0

    with pytest.raises(KeyboardInterrupt):
        rated({"f": interrupted}, 60.0, "a prompt", "an answer", {})


def test_exact_says_what_the_row_lacks() -> None:
    line = "^reward exact, of .*: the prompt's row has no text `answer`; give it one, or take another reward$"
    with pytest.raises(InputError, match=line):
        rated({"exact": exact}, 60.0, "a prompt", "an answer", {})
