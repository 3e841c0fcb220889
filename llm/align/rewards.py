"""Rewards that can be verified: functions of a prompt, an answer and the prompt's row, in this file or in the user's.

    def brevity(prompt: str, answer: str, row: dict) -> float

A user's file is an input of the rule, so its bytes are in the job's key; what it imports is not. Its functions are
called one at a time, in a time limit. The rewards of this file know no right answer but `exact`'s, which stands in the
row: they check a format, so that a model of any size has something to gain.
"""

import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from importlib.abc import InspectLoader
from numbers import Real
from pathlib import Path
from types import CodeType, CoroutineType, ModuleType

from llm.errors import InputError

Reward = Callable[[str, str, dict], float]
MOST = 1e38  # what fp32 holds
SHOWN = 40  # characters of a text in a message
RINGS = 3  # of the alarm, before code that catches each is given up
SHORT = 12  # words of an answer that is as good as one that is half as long


def sentence(prompt: str, answer: str, row: dict) -> float:
    """Begins the answer like a sentence, and does it end like one? A half for each."""
    text = answer.strip()
    return 0.5 * text[:1].isupper() + 0.5 * text.endswith((".", "!", "?"))


def brevity(prompt: str, answer: str, row: dict) -> float:
    """Is the answer short? 1 up to SHORT words, falling to 0 at four times as many; 0 for none."""
    words = len(answer.split())
    return min(1.0, max(0.0, (4 * SHORT - words) / (3 * SHORT))) if words else 0.0


def variety(prompt: str, answer: str, row: dict) -> float:
    """Return the share of the answer's words that are not said before in it; 0 for none."""
    words = answer.lower().split()
    return len(set(words)) / len(words) if words else 0.0


def exact(prompt: str, answer: str, row: dict) -> float:
    """Is the answer the row's `answer`, but for white space around it?"""
    if not isinstance(row.get("answer"), str):
        raise InputError("the prompt's row has no text `answer`; give it one, or take another reward")
    return float(answer.strip() == row["answer"].strip())


KNOWN: dict[str, Reward] = {reward.__name__: reward for reward in (sentence, brevity, variety, exact)}


def load_rewards(names: Iterable[str], file: Path | None, seconds: float) -> dict[str, Reward]:
    """Return the functions of these names, from `file` or, where it has none, from this module. Raises InputError for a
    name that neither has, and for a file that cannot be run in so many seconds."""
    known: dict[str, Reward] = dict(KNOWN)
    if file is not None:
        module = ModuleType("rewards")
        with blamed(str(file), seconds):
            OneFile(file).exec_module(module)
        known |= {name: value for name, value in vars(module).items() if callable(value) and not name.startswith("_")}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise InputError(f"rewards: there is no function {unknown[0]}; known are {', '.join(sorted(known))}")
    return {name: known[name] for name in names}


def rated(rewards: Mapping[str, Reward], seconds: float, prompt: str, answer: str, row: dict) -> list[float]:
    """Return what each function says of an answer. Raises InputError, which names the function and the answer, where it
    raises, hangs, or says what is no finite number."""
    found: list[float] = []
    for name, reward in rewards.items():
        where = f"reward {name}, of the answer {answer[:SHOWN]!r} to {prompt[:SHOWN]!r}"
        with blamed(where, seconds):
            value = reward(prompt, answer, deepcopy(row))  # the next call is told the same, whatever this one changes
        if isinstance(value, CoroutineType):
            value.close()  # or else Python complains of it, after our line
            raise InputError(f"{where}: an asynchronous function is not waited for; write def")
        if not isinstance(value, Real) or not abs(value) < MOST:  # numpy's numbers are Real, too
            raise InputError(f"{where}: {value!r:.40} is no finite number; mend the function")
        found.append(float(value))
    return found


@contextmanager
def blamed(where: str, seconds: float) -> Iterator[None]:
    """Make what a user's code raises, and that it has not ended after so many seconds, an InputError. Code that catches
    all that is raised in it, and goes on, ends the process with that line and status 2."""
    late = f"{where}: no answer after {seconds:g} s; mend the function, or raise reward_seconds"
    rung: list[int] = []

    def ring(number: int, _: object) -> None:
        rung.append(number)
        if len(rung) == RINGS:
            print(f"error: {late}", file=sys.stderr, flush=True)
            os._exit(2)
        raise Late

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds, seconds)
    try:
        yield
        if rung:  # the code caught it, and answered after all
            raise Late
    except Late:
        raise InputError(late) from None
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
    except ModuleNotFoundError as error:
        raise InputError(
            f"{where}: no module {error.name}; the file is read alone: put into it what stands beside it, and install "
            "what is a package"
        ) from error
    except KeyboardInterrupt:
        raise  # nobody's mistake
    except BaseException as error:  # whatever a user's function may raise: exit() is no success, asyncio has its own
        said = " ".join(str(error).split())
        raise InputError(f"{where}: {type(error).__name__}: {said}; mend the function") from error
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


class OneFile(InspectLoader):
    """Runs a file as a module: nothing but the file is read, and no bytecode of it is kept."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def get_code(self, fullname: str) -> CodeType:
        return self.source_to_code(self.get_source(fullname), str(self.path))  # named by what is wrong in it

    def get_source(self, fullname: str) -> str:
        return self.path.read_text(encoding="utf-8")

    def is_package(self, fullname: str) -> bool:
        return False


class Late(BaseException):
    """The time is over; no Exception, which a reward function often catches."""
