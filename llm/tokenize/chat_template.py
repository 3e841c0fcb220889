"""Encodes conversations by a model's own chat template (Jinja), as transformers does, but for one thing: what a message
says never becomes a control token.

The template is rendered twice, once with the messages and once with marks in place of their contents. The second tells
which text is the template's, where control tokens count, and which is a message's, where they do not.
"""

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path

from jinja2 import TemplateError
from jinja2.ext import Extension
from jinja2.nodes import Node
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from llm.errors import InputError
from llm.tokenize.hub import HubTokenizer
from llm.tokenize.load import well_formed

MARK = re.compile("\ue000(\\d+)\ue001")  # of the private use area


def encode_by_template(
    tokenizer: HubTokenizer, messages: list[dict], *, add_generation_prompt: bool = False
) -> tuple[list[int], list[int]]:
    """Return the ids of `messages`, and a mask: 1 on an assistant's content and on what ends it, up to the first
    control token. Raises InputError where there is no template, or where it refuses the messages or changes them."""
    if not tokenizer.chat_template:
        raise InputError(
            f"{tokenizer.path.parent}: the model has no chat template, so it cannot be asked or aligned; "
            "import one that has, such as its -Instruct version"
        )
    template = compiled(tokenizer.chat_template, tokenizer.path.parent)
    texts = {"bos_token": tokenizer.names["bos"] or "", "eos_token": tokenizer.names["eos"]}

    def render(contents: list[str]) -> str:
        asked = [
            {"role": message["role"], "content": content} for message, content in zip(messages, contents, strict=True)
        ]
        try:
            return template(messages=asked, add_generation_prompt=add_generation_prompt, **texts)
        except Exception as error:  # whatever a template's expressions may raise
            said = " ".join(str(error).split())
            raise InputError(f"{tokenizer.path.parent}: its chat template refuses the conversation: {said}") from error

    contents = [well_formed(message["content"]) for message in messages]
    marked = MARK.split(render([f"\ue000{number}\ue001" for number in range(len(messages))]))
    whole = render(contents)
    for change in (str, str.strip):  # Llama 3's template trims what is said
        said = [change(content) for content in contents]
        if "".join(part if i % 2 == 0 else said[int(part)] for i, part in enumerate(marked)) == whole:
            parts: list[tuple[str, int | None]] = [
                (part, None) if i % 2 == 0 else (said[int(part)], int(part)) for i, part in enumerate(marked)
            ]
            return encode_parts(tokenizer, parts, [message["role"] == "assistant" for message in messages])
    raise InputError(f"{tokenizer.path.parent}: its chat template changes what a message says; use another template")


class Generation(Extension):
    """{% generation %} ... {% endgeneration %}: what transformers takes for an assistant's words. It is text as any."""

    tags = {"generation"}

    def parse(self, parser: Parser) -> list[Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


@lru_cache(maxsize=8)
def compiled(template: str, where: Path) -> Callable[..., str]:
    """Return what renders a template; `where` it stands is told where it is not valid."""
    extensions = ["jinja2.ext.loopcontrols", Generation]
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=extensions)
    environment.globals["raise_exception"] = refuse
    try:
        return environment.from_string(template).render
    except TemplateError as error:
        raise InputError(f"{where}: its chat template is not valid Jinja: {error}") from error


def refuse(message: str) -> None:
    raise TemplateError(message)


def encode_parts(
    tokenizer: HubTokenizer, parts: list[tuple[str, int | None]], taught_by: list[bool]
) -> tuple[list[int], list[int]]:
    """Encode what stands between control tokens as one text. parts: (text, the message that it is, or None)."""
    ids: list[int] = []
    mask: list[int] = []
    text, taught_from = "", None
    for piece, number in pieces(tokenizer, parts):
        if number is None and piece in tokenizer.controls:
            encode_run(tokenizer, text, taught_from, ids, mask)
            ids.append(tokenizer.controls[piece])
            mask.append(int(taught_from is not None))
            text, taught_from = "", None
            continue
        if number is not None and taught_by[number] and taught_from is None:
            taught_from = len(text)
        text += piece
    encode_run(tokenizer, text, taught_from, ids, mask)
    return ids, mask


def encode_run(tokenizer: HubTokenizer, text: str, taught_from: int | None, ids: list[int], mask: list[int]) -> None:
    """Append the ids of a text without control tokens; its tokens from character `taught_from` on are taught."""
    found = tokenizer.fast.encode(text, add_special_tokens=False)
    ids += found.ids
    mask += [int(taught_from is not None and begin >= taught_from) for begin, _ in found.offsets]


def pieces(tokenizer: HubTokenizer, parts: list[tuple[str, int | None]]) -> Iterator[tuple[str, int | None]]:
    """Yield the parts, the template's cut at control tokens."""
    control = control_pattern(frozenset(tokenizer.controls))
    for text, number in parts:
        if number is None:
            yield from ((piece, None) for piece in control.split(text) if piece)
        else:
            yield text, number


@lru_cache(maxsize=8)
def control_pattern(controls: frozenset[str]) -> re.Pattern[str]:
    """Return what finds the control tokens in a text, the longest first."""
    longest_first = sorted(controls, key=lambda token: (-len(token), token))
    return re.compile("(" + "|".join(map(re.escape, longest_first)) + ")" if longest_first else "(?!)")
