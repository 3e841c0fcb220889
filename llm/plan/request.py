"""Reads what a plan is asked for: the config's `model:` and `plan:` blocks, validated, with defaults filled in."""

import re
from dataclasses import dataclass, fields

from llm.checks import only_known, positive_whole, within
from llm.errors import InputError
from llm.model.config import ModelConfig
from llm.model.counts import ATTENTION, active
from llm.model.shape import Shape
from llm.plan.block import Plan
from llm.plan.cluster import Cluster
from llm.plan.flops import FORMULAS
from llm.plan.memory import PRECISIONS
from llm.plan.scaling import TOKENS_PER_PARAMETER
from llm.plan.setup import Setup, problem

WITH_EXPONENT = re.compile(r"(?:[0-9]+[.]?[0-9]*|[.][0-9]+)e[0-9]+")  # to YAML 1.1, 366e9 is text


@dataclass(frozen=True)
class Request:
    """tokens: of the whole training. batch_size: sequences of `sequence` tokens in a step. users: requests of
    `user_tokens` tokens that a server holds at once, kv_bytes bytes a value. setup: the layout to plan for; None: the
    best found."""

    shape: Shape
    cluster: Cluster
    setup: Setup | None
    tokens: float
    batch_size: int
    sequence: int
    precision: str
    fused: bool
    formula: str
    attention: str
    logits: bool
    users: int
    user_tokens: int
    kv_bytes: int

    @classmethod
    def of(cls, model: dict, vocab_size: int, plan: dict) -> "Request":
        """Validate the blocks `model` and `plan` and fill in defaults. Raises InputError that names the key.

        `tokens` defaults to 20 for each active parameter (Hoffmann et al. 2022).
        """
        only_known(plan, [each.name for each in fields(Plan)], "plan")
        given = {key: value for key, value in plan.items() if value is not None}
        special = {key: min(number, vocab_size - 1) for key, number in (("bos_id", 1), ("eos_id", 2), ("pad_id", 3))}
        shape = Shape.of(ModelConfig.from_section(model, vocab_size, **special), **given.get("shape", {}))
        precision, formula = given.get("precision", "mixed"), given.get("formula", "matmul")
        attention = given.get("attention", "full")
        for key, value, known in (
            ("precision", precision, PRECISIONS),
            ("formula", formula, FORMULAS),
            ("attention", attention, ATTENTION),
        ):
            if value not in known:
                raise InputError(f"plan.{key}: {value!r} is not one of {', '.join(known)}")
        tokens = given.get("tokens", TOKENS_PER_PARAMETER * active(shape))
        if isinstance(tokens, str) and WITH_EXPONENT.fullmatch(tokens):
            tokens = float(tokens)
        within(tokens, "plan.tokens", least=1, most=1e21)
        request = cls(
            shape=shape,
            cluster=Cluster.from_section(given.get("cluster", {})),
            setup=Setup.from_section(given["layout"]) if given.get("layout") else None,
            tokens=float(tokens),
            batch_size=given.get("batch_size", 512),
            sequence=given.get("sequence", shape.context_length),
            precision=precision,
            fused=given.get("fused_attention", True),
            formula=formula,
            attention=attention,
            logits=given.get("logits", True),
            users=given.get("users", 100),
            user_tokens=given.get("user_tokens", shape.context_length),
            kv_bytes=given.get("kv_bytes", 2),
        )
        for key in ("batch_size", "sequence", "users", "user_tokens", "kv_bytes"):
            positive_whole(getattr(request, key), f"plan.{key}")
            within(getattr(request, key), f"plan.{key}")
        request.cluster.faster(precision)
        if request.setup:
            wrong = problem(request.setup, shape, request.cluster, request.batch_size, request.sequence)
            if wrong:
                raise InputError(f"plan.layout: {wrong}; correct plan.layout, plan.cluster.gpus or plan.batch_size")
        return request

    @property
    def batch_tokens(self) -> int:
        return self.batch_size * self.sequence
