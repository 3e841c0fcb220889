"""Runs random mixes of requests through engines of random limits, and compares each request with its lone run.

By hand: python tests/llm/inference/mixes.py bfloat16 50 1 served    (dtype, mixes, threads). "served": the engines of
the mixes have reordered matrices, as the server's; half of them no adapters, so that a step's layers can be one call.
"""

import hashlib
import json
import random
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

import torch
from llguidance import LLTokenizer, TokenizerWrapper
from torch import nn

from llm.align.lora import LoraLinear, replace
from llm.align.settings.adapter import LoraConfig
from llm.deploy.serve.structured import Vocabulary
from llm.inference.adapters import Update
from llm.inference.engine import Engine, EngineSettings
from llm.inference.reordered import reorder
from llm.inference.scheduler import Limits
from llm.inference.sequence import Output, Request
from llm.inference.training import log_probs
from llm.model.config import ModelConfig
from llm.model.transformer import CausalLM

VOCAB = 96
KINDS = [
    {},
    {"position": "alibi", "norm": "layernorm", "activation": "gelu", "n_kv_heads": 4},
    {"position": "learned", "norm": "layernorm", "activation": "gelu_tanh", "bias": True, "n_kv_heads": 1},
    {"qk_norm": True, "tie_embeddings": False, "d_head": 6},
    {"position": "sinusoidal", "norm_order": "post", "activation": "relu"},
]


def characters() -> Vocabulary:
    """Token 8 is a space, and so on by ASCII."""

    class Characters:
        eos_token_id, bos_token_id, special_token_ids = 2, 1, list(range(8))
        tokens = [*(b"control" for _ in range(8)), *(bytes([24 + i]) for i in range(8, VOCAB))]  # noqa: RUF012

        def __call__(self, text: bytes) -> list[int]:
            return [byte - 24 for byte in text]

    return Vocabulary(LLTokenizer(TokenizerWrapper(Characters())))


def model_of(kind: dict, dtype: torch.dtype) -> CausalLM:
    sizes = {"d_model": 24, "n_layers": 2, "n_heads": 4, "n_kv_heads": 2, "d_head": 6, "d_ff": 40}
    model = CausalLM(ModelConfig(**{"vocab_size": VOCAB, "context_length": 160, **sizes, **kind}))
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in model.parameters():
            weight.normal_(float(weight.ndim == 1), 0.2, generator=generator)
    return model.to(dtype).eval()


def requests_of(chance: random.Random, number: int) -> list[Request]:
    """Requests of all kinds; many begin alike."""
    beginning = [chance.randrange(8, VOCAB) for _ in range(100)]
    grammar = characters().regex("[A-Z][a-w]{1,8}( [0-9]{2}){1,3}[.]")
    return [
        Request(
            beginning[: chance.randrange(100)] + [chance.randrange(8, VOCAB) for _ in range(chance.randrange(1, 20))],
            chance.randrange(1, 24),
            temperature=chance.choice([0.0, 0.0, 0.7, 1.5]),
            top_k=chance.choice([0, 0, 5]),
            top_p=chance.choice([1.0, 1.0, 0.9]),
            min_p=chance.choice([0.0, 0.0, 0.05]),
            repetition_penalty=chance.choice([1.0, 1.0, 1.3]),
            frequency_penalty=chance.choice([0.0, 0.0, 0.5]),
            seed=index,
            n=chance.choice([1, 1, 1, 3]),
            logprobs=chance.choice([0, 2]),
            prompt_logprobs=chance.choice([None, None, None, 1]),
            adapter=chance.choice(["", "", "one", "two"]),
            grammar=chance.choice([None, None, None, grammar]),
        )
        for index in range(number)
    ]


def adapters_of(model: CausalLM) -> dict[str, dict[str, Update]]:
    """Two, of other ranks and layers."""
    generator = torch.Generator().manual_seed(1)
    found: dict[str, dict[str, Update]] = {}
    for name, rank, lasts in (("one", 3, ("q_proj", "down_proj")), ("two", 8, ("v_proj", "o_proj", "up_proj"))):
        found[name] = {
            layer: Update(
                torch.randn(rank, module.in_features, generator=generator).mul(0.2).to(module.weight.dtype),
                torch.randn(module.out_features, rank, generator=generator).mul(0.2).to(module.weight.dtype),
                1.5,
            )
            for layer, module in model.named_modules()
            if isinstance(module, nn.Linear) and layer.rsplit(".", 1)[-1] in lasts
        }
    return found


def trained(kind: dict, dtype: torch.dtype, adapter: dict[str, Update]) -> CausalLM:
    """The model as training has it: with one adapter, in its own layers."""
    model = model_of(kind, dtype)
    for name, update in adapter.items():
        rank = update.a.shape[0]
        layer = LoraLinear(model.get_submodule(name), LoraConfig(rank, 1.5 * rank, (name,)))
        layer.lora_A.data, layer.lora_B.data = update.a, update.b
        replace(model, name, layer)
    return model


def digest(output: Output) -> str:
    """Of all that a request was told, log-probabilities to the last bit."""
    told = [
        (each.tokens, [p.hex() for p in each.logprobs], repr(each.alternatives), each.finish_reason)
        for each in output.completions
    ]
    return hashlib.sha256(
        repr((told, [p.hex() for p in output.prompt_logprobs], output.prompt_alternatives)).encode()
    ).hexdigest()


def settings_of(chance: random.Random, model: CausalLM) -> EngineSettings:
    """Limits under which prompts are cut, prefixes hit and evicted, and sequences preempted."""
    config = model.config
    per_block = 2 * config.n_layers * config.n_kv_heads * config.d_head * 32
    return EngineSettings(
        kv_bytes=chance.choice([6, 9, 14, 400]) * per_block * model.model.embed_tokens.weight.element_size(),
        limits=Limits(chance.choice([5, 17, 64, 512]), chance.choice([3, 8, 64]), chance.choice([0, 32])),
        draft_tokens=chance.choice([0, 0, 3]),
        prefix_sharing=chance.random() < 0.8,
    )


def main(dtype: torch.dtype, mixes: int, served: bool) -> dict:
    chance = random.Random(str(dtype))
    counts = {"mixes": 0, "requests": 0, "different": 0, "preemptions": 0, "hit_tokens": 0, "evictions": 0, "off": 0}
    counts["in_one_call"] = 0
    for kind in KINDS:
        model = model_of(kind, dtype)
        requests = requests_of(chance, 12)
        adapters = adapters_of(model)
        trainers = {name: trained(kind, dtype, adapters.get(name, {})) for name in ("", *adapters)}
        lone = [Engine(model_of(kind, dtype), None, None, adapters).generate([request])[0] for request in requests]
        for output in lone:  # the training forward pass says the same
            for each in output.completions:
                text = torch.tensor([[*output.request.prompt, *each.tokens]])
                with torch.no_grad():
                    expected = log_probs(trainers[output.request.adapter], text)[
                        0, len(output.request.prompt) - 1 :
                    ].tolist()
                counts["off"] += expected != each.logprobs
        for _ in range(mixes // len(KINDS)):
            model = model_of(kind, dtype)
            settings = settings_of(chance, model)
            adapted = not served or chance.random() < 0.5
            engine = Engine(reorder(model) if served else model, settings, None, adapters if adapted else {})
            chosen = [chance.randrange(len(requests)) for _ in range(chance.randrange(1, 9))]
            chosen = [index for index in chosen if adapted or not requests[index].adapter]
            found = engine.generate([requests[index] for index in chosen])
            counts["different"] += sum(
                digest(one) != digest(lone[index]) for one, index in zip(found, chosen, strict=True)
            )
            engine.blocks.check([])
            counts["mixes"] += 1
            counts["in_one_call"] += engine.runner.one_call is not None
            counts["requests"] += len(chosen)
            counts["preemptions"] += engine.scheduler.preemptions
            counts["hit_tokens"] += engine.scheduler.hit_tokens
            counts["evictions"] += engine.blocks.evictions
    return counts


if __name__ == "__main__":
    torch.set_num_threads(int(sys.argv[3]))
    print(json.dumps(main(getattr(torch, sys.argv[1]), int(sys.argv[2]), sys.argv[4:] == ["served"])))
