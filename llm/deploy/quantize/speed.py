"""How fast a model computes next to another: tokens/s of one token at a time, as in an answer, and of a prompt.

These are times of a machine: they stand in a job's record and in no artifact. There is no past to attend to in them,
and no output layer, which is not quantized.
"""

import time

import torch

from llm.model.transformer import CausalLM

PROMPT = 128  # tokens at most
PASSES, ENOUGH = 10, 2.0  # at most so many, and no more of them after these seconds


def speed(model: CausalLM) -> dict[str, float]:
    """Return tokens/s, the best of a few passes: whatever else a machine does makes them slower."""
    return {"one_token": rate(model, 1), "prompt": rate(model, min(PROMPT, model.config.context_length))}


@torch.no_grad()
def rate(model: CausalLM, tokens: int) -> float:
    tokens_1T, seconds = torch.full((1, tokens), model.config.eos_id, device=model.device), list[float]()
    while len(seconds) < 2 or (len(seconds) < PASSES and sum(seconds) < ENOUGH):
        begin = time.perf_counter()
        model.hidden(tokens_1T).sum().item()  # a GPU is waited for
        seconds.append(time.perf_counter() - begin)
    return tokens / min(seconds)
