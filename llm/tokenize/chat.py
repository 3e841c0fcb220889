"""Encodes conversations as token ids; the project's chat format is defined here and nowhere else. A tokenizer that was
made elsewhere has a format of its own, by its chat template (chat_template.py).

    [BOS] ( <|role|> content )*     an assistant's content ends with [EOS]; a prompt ends with <|assistant|>

Each content is encoded by itself, so text that spells a control token stays text. The Jinja template for other tools
(TEMPLATE) writes the same format; see docs/tokenize.md for what it can and cannot keep out.
"""

from llm.errors import InputError
from llm.tokenize.chat_template import encode_by_template
from llm.tokenize.hub import HubTokenizer
from llm.tokenize.load import CONTROLS, Tokenizer

ROLES = ("system", "user", "assistant")
WORD_JOINER = "\u2060"  # invisible; placed after the first character of a control token's text, it keeps that a text


def encode_chat(
    tokenizer: Tokenizer | HubTokenizer, messages: list[dict], *, add_generation_prompt: bool = False
) -> tuple[list[int], list[int]]:
    """Return the ids of `messages` ({"role", "content"} each) and a mask: 1 on assistants' content and its [EOS], else
    0; an assistant's message with "weight": 0 has 0 too.

    With add_generation_prompt the ids end with <|assistant|>: the model's turn. Raises InputError for another role,
    a missing key or content that is not text.
    """
    said = [checked(message, number) for number, message in enumerate(messages)]
    if isinstance(tokenizer, HubTokenizer):
        if any(message.get("weight", 1) == 0 for message in messages):
            raise InputError("a message of weight 0 needs this project's own chat format; leave the weights out")
        return encode_by_template(tokenizer, messages, add_generation_prompt=add_generation_prompt)
    role_ids = {"system": tokenizer.system, "user": tokenizer.user, "assistant": tokenizer.assistant}
    ids, mask = [tokenizer.bos], [0]
    for (role, content), message in zip(said, messages, strict=True):
        content_ids = tokenizer.encode(content)
        if role == "assistant":
            content_ids.append(tokenizer.eos)
        taught = role == "assistant" and message.get("weight", 1) != 0
        ids += [role_ids[role], *content_ids]
        mask += [0, *[int(taught)] * len(content_ids)]
    if add_generation_prompt:
        ids.append(tokenizer.assistant)
        mask.append(0)
    return ids, mask


def checked(message: dict, number: int) -> tuple[str, str]:
    """Return the role and content of message `number`. Raises InputError for a malformed one."""
    if not isinstance(message, dict) or message.get("role") not in ROLES:
        role = message.get("role") if isinstance(message, dict) else message
        raise InputError(f"message {number}: role {role!r} is not one of {', '.join(ROLES)}")
    if not isinstance(message.get("content"), str):
        raise InputError(f"message {number}: content must be text, not {type(message.get('content')).__name__}")
    return message["role"], message["content"]


def chat_template() -> str:
    """Return the format as a Jinja template for transformers.

    transformers renders a conversation to one string and looks for control tokens in that, so what a user types could
    become one. The template therefore puts a word joiner into each control token's text inside a content.
    """
    # [UNK] is included: transformers declares all control tokens. No pattern is a prefix of another, so any order will
    # do.
    neutral = "".join(f".replace({token!r}, {token[0] + WORD_JOINER + token[1:]!r})" for token in CONTROLS)
    return (
        "{{ '[BOS]' }}"
        "{%- for message in messages %}"
        "{%- if message['role'] not in ['system', 'user', 'assistant'] %}"
        "{{- raise_exception('role ' ~ message['role'] ~ ' is not one of system, user, assistant') }}"
        "{%- endif %}"
        "{{- '<|' ~ message['role'] ~ '|>' }}"
        f"{{{{- message['content']{neutral} }}}}"
        "{%- if message['role'] == 'assistant' %}{{- '[EOS]' }}{%- endif %}"
        "{%- endfor %}"
        "{%- if add_generation_prompt %}{{- '<|assistant|>' }}{%- endif %}"
    )
