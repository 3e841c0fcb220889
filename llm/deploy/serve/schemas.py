"""Says what the HTTP interface takes: OpenAI's fields, and those of ours that vLLM has too (top_k, min_p,
repetition_penalty, stop_token_ids, ignore_eos, cache_salt). An unknown field is refused by name.

FastAPI validates with these and writes the OpenAPI page from them.
"""

from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from llm.deploy.serve.structured import Vocabulary
from llm.inference.grammar import Grammar
from llm.inference.sequence import MAX_ALTERNATIVES, Request

Text = Annotated[str, Field(max_length=2**20)]
Ids = Annotated[list[Annotated[int, Field(ge=0, lt=2**31)]], Field(max_length=2**20)]
Id = Annotated[str, Field(pattern="^[0-9]{1,9}$")]
MAX_STOPS, MAX_PROMPTS = 16, 128


class Strict(BaseModel):
    """Takes what the page states and no more: no unknown field, no text or truth value in a number's place."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, strict=True)


class StreamOptions(Strict):
    include_usage: bool = False


class PlainText(Strict):
    """Any text."""

    type: Literal["text"]


class JsonObject(Strict):
    """Any JSON object."""

    type: Literal["json_object"]


class NamedSchema(Strict):
    """name, description and strict are taken and not used: an answer always keeps to its schema."""

    name: str = Field("", max_length=64)
    description: str | None = None
    strict: bool | None = None
    schema_: dict[str, Any] = Field(alias="schema")


class JsonSchema(Strict):
    """JSON that is valid by a schema."""

    type: Literal["json_schema"]
    json_schema: NamedSchema


class Regex(Strict):
    """Text that a regular expression matches as a whole."""

    type: Literal["regex"]
    pattern: str = Field(min_length=1, max_length=2**14)


ResponseFormat = Annotated[PlainText | JsonObject | JsonSchema | Regex, Field(discriminator="type")]


class Sampling(Strict):
    """What both ways to generate take."""

    model: str = ""
    n: int = Field(1, ge=1, le=128)
    temperature: float = Field(1.0, ge=0, le=100)
    top_p: float = Field(1.0, gt=0, le=1)
    top_k: int = Field(0, ge=0, le=2**31)
    min_p: float = Field(0.0, ge=0, le=1)
    repetition_penalty: float = Field(1.0, gt=0, le=100)
    presence_penalty: float = Field(0.0, ge=-2, le=2)
    frequency_penalty: float = Field(0.0, ge=-2, le=2)
    logit_bias: dict[Id, Annotated[float, Field(ge=-100, le=100)]] | None = Field(None, max_length=1024)
    seed: int | None = Field(None, ge=-(2**63), lt=2**63)
    stop: str | Annotated[list[Annotated[str, Field(max_length=256)]], Field(max_length=MAX_STOPS)] | None = None
    stop_token_ids: Ids = []
    ignore_eos: bool = False
    stream: bool = False
    stream_options: StreamOptions | None = None
    response_format: ResponseFormat | None = None
    cache_salt: str = Field("", max_length=256)
    user: str | None = Field(None, description="Taken and not used.")

    def grammar(self, vocabulary: Callable[[], Vocabulary]) -> Grammar | None:
        """Return what `response_format` asks for. Raises InputError where it cannot be kept to."""
        match self.response_format:
            case JsonObject():
                return vocabulary().json({"type": "object"})
            case JsonSchema(json_schema=named):
                return vocabulary().json(named.schema_)
            case Regex(pattern=pattern):
                return vocabulary().regex(pattern)
        return None

    def stops(self) -> list[str]:
        return [self.stop] if isinstance(self.stop, str) else list(self.stop or [])

    def request(
        self,
        prompt: list[int],
        limit: int,
        eos: int,
        seed: tuple[int, ...],
        logprobs: int | None,
        of_prompt: int | None,
        adapter: str,
        grammar: Grammar | None,
    ) -> Request:
        """Return what the engine is asked."""
        return Request(
            prompt,
            limit,
            temperature=self.temperature,
            top_k=self.top_k,
            top_p=self.top_p,
            min_p=self.min_p,
            repetition_penalty=self.repetition_penalty,
            presence_penalty=self.presence_penalty,
            frequency_penalty=self.frequency_penalty,
            logit_bias={int(token): bias for token, bias in (self.logit_bias or {}).items()},
            seed=seed,
            stop_ids=[*self.stop_token_ids, *([] if self.ignore_eos else [eos])],
            stop_texts=self.stops(),
            n=self.n,
            logprobs=logprobs,
            prompt_logprobs=of_prompt,
            adapter=adapter,
            salt=self.cache_salt,
            grammar=grammar,
        )


class CompletionCall(Sampling):
    """POST /v1/completions."""

    prompt: (
        Text
        | Ids
        | Annotated[list[Text], Field(max_length=MAX_PROMPTS)]
        | Annotated[list[Ids], Field(max_length=MAX_PROMPTS)]
    )
    max_tokens: int = Field(16, ge=0, le=2**31)
    echo: bool = False
    logprobs: int | None = Field(None, ge=0, le=MAX_ALTERNATIVES)


class Message(Strict):
    role: Literal["system", "user", "assistant"]
    content: Text


class ChatCall(Sampling):
    """POST /v1/chat/completions."""

    messages: list[Message] = Field(min_length=1, max_length=1024)
    max_tokens: int | None = Field(None, ge=1, le=2**31)
    max_completion_tokens: int | None = Field(None, ge=1, le=2**31)
    logprobs: bool = False
    top_logprobs: int = Field(0, ge=0, le=20)


class TokenizeCall(Strict):
    """POST /tokenize: a text, or a conversation up to the model's turn."""

    model: str = ""
    text: Text | None = None
    messages: list[Message] | None = None


class DetokenizeCall(Strict):
    """POST /detokenize."""

    model: str = ""
    tokens: Ids


class Refusal(BaseModel):
    """What was wrong, and where."""

    message: str
    type: str
    param: str | None
    code: int | str


class ErrorAnswer(BaseModel):
    """The one shape of every refusal."""

    error: Refusal
