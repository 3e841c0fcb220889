"""Lets a model answer prompts, criticise each answer by a principle, and revise it (Bai et al. 2022, arXiv 2212.08073,
section 3.1), through the project's own inference engine.

A prompt's principle and random numbers are functions of the seed and the prompt's id: what else is answered beside, and
in which batches, changes no byte. Every row says how far it came (`outcome`):

    revised, unchanged                             there is a revision; unchanged: it is the answer, letter by letter
    empty_answer, empty_critique, empty_revision   the model ended its turn without a word
    too_long                                       the conversation left no room for the model's next turn
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from llm.align.constitution import Constitution
from llm.align.counted import counted, draw
from llm.align.prompts import asked
from llm.align.rows import find_split, rows_of
from llm.align.settings.constitution import Answering, CritiqueSettings
from llm.errors import InputError
from llm.inference.engine import Engine
from llm.inference.sequence import Request
from llm.io.digest import sha256_of
from llm.model.transformer import CausalLM
from llm.tokenize.chat import encode_chat
from llm.tokenize.open import AnyTokenizer

ANSWER, CRITIQUE, REVISION = TURNS = ("answer", "critique", "revision")
OUTCOMES = ("revised", "unchanged", *(f"empty_{turn}" for turn in TURNS), "too_long")


@dataclass(frozen=True)
class Question:
    """messages: the conversation to answer; its last is a user's."""

    id: str
    messages: list[dict]


def questions_of(constitution: Constitution, instructions: Path, split: str, count: int, seed: int) -> list[Question]:
    """Return the first `count` prompts of a split in the order of a hash: those of the constitution, where it has any,
    or else those of the instructions. A larger count adds prompts and keeps the others."""
    if constitution.prompts:
        rows = [(row["id"], [{"role": "user", "content": row["prompt"]}]) for row in constitution.prompts[split]]
    else:
        places = rows_of(find_split(instructions, split))
        rows = [(str(row.get("id", place.rpartition(":")[2])), asked(row, place)) for place, row in places]
    twice = [name for name, times in Counter(name for name, _ in rows).items() if times > 1]
    if twice:
        raise InputError(
            f"{instructions}: two prompts of the {split} split have the id {twice[0]!r}; give each its own"
        )
    rows.sort(key=lambda row: counted(seed, "prompt", row[0]))
    return [Question(*row) for row in rows[:count]]


def directory_digest(model: Path) -> str:
    """Return a digest of a model directory: of its weights, its shape and its tokenizer, by file."""
    files = [model / "config.json", *sorted(model.glob("*.safetensors")), *sorted(model.glob("tokenizer*"))]
    return f"{counted(*(text for file in files for text in (file.name, sha256_of(file))), size=32):064x}"


class Speaker:
    """A model that is asked. answer: the model's reply to each of many conversations."""

    def __init__(self, model: CausalLM, tokenizer: AnyTokenizer) -> None:
        self.engine, self.tokenizer = Engine(model), tokenizer
        self.context_length = model.config.context_length

    def prompt(self, messages: Sequence[dict], room: int) -> list[int] | None:
        """Return the ids of a conversation up to the model's turn; None where they leave no room for so many tokens."""
        ids, _ = encode_chat(self.tokenizer, list(messages), add_generation_prompt=True)
        return ids if len(ids) + room <= self.context_length else None

    def request(
        self, ids: list[int], settings: Answering, seed: Sequence[int], tokens: int, samples: int = 1
    ) -> Request:
        """Ask for replies of at most `tokens` tokens."""
        return Request(
            ids, tokens, temperature=settings.temperature, seed=seed, n=samples, stop_ids=(self.tokenizer.eos,)
        )

    def replies(self, requests: Sequence[Request]) -> list[list[tuple[str, bool]]]:
        """Return (text, did it end by itself) of each request's replies."""
        return [
            [(self.text(each.tokens), each.finish_reason == "stop") for each in output.completions]
            for output in self.engine.generate(requests)
        ]

    def text(self, tokens: Sequence[int]) -> str:
        """Return the text of a reply. Control tokens give nothing."""
        return self.tokenizer.decode([token for token in tokens if token != self.tokenizer.eos]).strip()


class Critic:
    """Makes rows. writer: the digest of the model that `speaker` is."""

    def __init__(self, speaker: Speaker, constitution: Constitution, settings: CritiqueSettings, writer: str) -> None:
        self.speaker, self.constitution, self.settings, self.writer = speaker, constitution, settings, writer

    def rows(self, questions: Sequence[Question]) -> list[dict]:
        """Return a row for each question, in their order."""
        rows = [self.begun(question) for question in questions]
        for turn in TURNS:
            self.take(turn, [row for row in rows if row["outcome"] == ""])
        for row in rows:
            if row["outcome"] == "":
                row["outcome"] = "unchanged" if row[REVISION] == row[ANSWER] else "revised"
            row["follows"] = {
                turn: self.constitution.results(row[turn]) for turn in (ANSWER, REVISION) if self.constitution.tested
            }
        return rows

    def begun(self, question: Question) -> dict:
        """Return a row before its first turn."""
        principles = self.constitution.principles
        principle = principles[draw(len(principles), self.settings.seed, "principle", question.id)]
        return {
            "id": question.id,
            "principle": principle.name,
            "prompt": question.messages[-1]["content"],
            **dict.fromkeys(TURNS, ""),
            "messages": list(question.messages),
            "seeds": {},
            "finished": {},
            "outcome": "",
            "writer": self.writer,
            "constitution": self.constitution.version,
        }

    def take(self, turn: str, rows: Sequence[dict]) -> None:
        """Let the model take a turn in every row: ask, note what it says, and where it stops short."""
        tokens = self.settings.critique_tokens if turn == CRITIQUE else self.settings.max_new_tokens
        going, requests = [], []
        for row in rows:
            if turn != ANSWER:
                request = getattr(self.constitution[row["principle"]], turn)
                row["messages"].append({"role": "user", "content": request})
            ids = self.speaker.prompt(row["messages"], tokens)
            if ids is None:
                row["outcome"] = "too_long"
                continue
            row["seeds"][turn] = [self.settings.seed, TURNS.index(turn), counted(row["id"])]
            going.append(row)
            requests.append(self.speaker.request(ids, self.settings, row["seeds"][turn], tokens))
        for row, [(text, finished)] in zip(going, self.speaker.replies(requests), strict=True):
            row[turn], row["finished"][turn] = text, finished
            row["messages"].append({"role": "assistant", "content": text})
            if not text:
                row["outcome"] = f"empty_{turn}"
