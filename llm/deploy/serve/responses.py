"""Writes answers in OpenAI's shapes: the legacy completion with its four lists of log-probabilities, the chat
completion, and the chunks of both that are streamed."""

from dataclasses import dataclass, field
from typing import Any

from llm.deploy.serve.models import Served
from llm.deploy.serve.text_stream import TextStream
from llm.inference.engine import Event
from llm.inference.sequence import Alternatives, Output, Request


@dataclass
class Choice:
    """One completion on its way: its text so far, and its tokens' log-probabilities."""

    stream: TextStream
    text: str = ""
    reason: str | None = None
    tokens: list[int] = field(default_factory=list)
    logprobs: list[float | None] = field(default_factory=list)
    alternatives: list[Alternatives | None] = field(default_factory=list)
    characters: int = 0  # of the tokens' own spellings, told so far

    def add(self, event: Event) -> str:
        """Take a token; return the text that it adds."""
        self.reason = event.finished
        if event.token < 0:
            return ""
        self.tokens.append(event.token)
        self.logprobs.append(event.logprob)
        self.alternatives.append(event.alternatives)
        new = self.stream.add(event.token, last=event.finished is not None)
        self.text += new
        return new

    def prepend(self, request: Request, output: Output, served: Served) -> str:
        """Put the prompt before the completion, for `echo`; the first token has no probability. Returns its text."""
        text = served.tokenizer.decode(list(request.prompt))
        self.text = text + self.text
        self.tokens[:0] = request.prompt
        self.logprobs[:0] = [None, *output.prompt_logprobs] if output.prompt_logprobs else [None] * len(request.prompt)
        told: list[Alternatives | None] = [*output.prompt_alternatives]
        self.alternatives[:0] = [None, *told] if told else [None] * len(request.prompt)
        return text


def legacy_logprobs(choice: Choice, served: Served, since: int = 0) -> dict[str, Any]:
    """Return tokens, token_logprobs, top_logprobs and text_offset of a choice's tokens from the `since`th on."""
    spelled = [served.spelling.text(token) for token in choice.tokens[since:]]
    rows = zip(choice.tokens[since:], choice.logprobs[since:], choice.alternatives[since:], strict=True)
    # OpenAI's list has the token itself, too, however unlikely it was.
    shown = [None if told is None or value is None else [*told, (token, value)] for token, value, told in rows]
    offsets = []
    for text in spelled:
        offsets.append(choice.characters)
        choice.characters += len(text)
    return {
        "tokens": spelled,
        "token_logprobs": choice.logprobs[since:],
        "top_logprobs": [None if told is None else by_text(told, served) for told in shown],
        "text_offset": offsets,
    }


def by_text(told: Alternatives, served: Served) -> dict[str, float]:
    """Return alternatives by their texts; of two with one text the likelier, which comes first."""
    found: dict[str, float] = {}
    for token, value in told:
        found.setdefault(served.spelling.text(token), value)
    return found


def chat_logprobs(choice: Choice, served: Served, since: int = 0) -> dict[str, Any]:
    """Return `content`: each token with its log-probability, its bytes and its alternatives."""

    def entry(token: int, logprob: float | None) -> dict[str, Any]:
        spelling = served.spelling
        return {"token": spelling.text(token), "logprob": logprob, "bytes": list(spelling.raw(token))}

    rows = zip(choice.tokens[since:], choice.logprobs[since:], choice.alternatives[since:], strict=True)
    return {
        "content": [
            entry(token, logprob) | {"top_logprobs": [entry(*each) for each in told or []]}
            for token, logprob, told in rows
        ],
        "refusal": None,
    }


def usage(outputs: list[Output], choices: list[Choice]) -> dict[str, Any]:
    """Count tokens as OpenAI does; a prompt counts once, whatever n."""
    prompt = sum(len(output.request.prompt) for output in outputs)
    new = sum(len(completion.tokens) for output in outputs for completion in output.completions)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": new,
        "total_tokens": prompt + new,
        "prompt_tokens_details": {"cached_tokens": sum(output.cached_tokens for output in outputs)},
    }
