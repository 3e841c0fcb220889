"""Answer prompts with a model directory, quantized or not. Each prompt is a conversation of one turn.

By hand: python scripts/deploy/generate.py --quantized results/quantized/int8 --prompts '["What is an algorithm?"]' \
    --answers /dev/stdout
"""

from pathlib import Path

from llm.command import command
from llm.deploy.quantize.model import load_any
from llm.deploy.serve.repetition import repeated_share
from llm.deploy.settings.generate import GenerateSettings
from llm.errors import InputError
from llm.inference.engine import generate
from llm.io.json import write_json
from llm.runtime.device import default_device
from llm.tokenize.chat import encode_chat
from llm.tokenize.open import open_tokenizer


def main(quantized: Path, answers: Path, *, settings: GenerateSettings) -> dict:
    """quantized: model directory. answers: JSON file to write, [{prompt, answer, tokens, ended}]."""
    prompts = settings.prompts
    if not prompts or not all(isinstance(prompt, str) and prompt for prompt in prompts):
        raise InputError('prompts: give a JSON list of texts, such as ["What is an algorithm?"]')
    tokenizer = open_tokenizer(quantized)
    conversations = [[{"role": "user", "content": prompt}] for prompt in prompts]
    asked = [encode_chat(tokenizer, messages, add_generation_prompt=True)[0] for messages in conversations]
    completions = generate(
        load_any(quantized, default_device()),
        asked,
        max_new_tokens=settings.max_new_tokens,
        temperature=settings.temperature,
        top_k=settings.top_k,
        top_p=settings.top_p,
        repetition_penalty=settings.repetition_penalty,
        seed=settings.seed,
        stop_ids=[tokenizer.eos],
    )
    result = [
        {"prompt": prompt, "answer": tokenizer.decode(ids), "tokens": len(ids), "ended": ids[-1] == tokenizer.eos}
        for prompt, ids in zip(prompts, completions, strict=True)
    ]
    write_json(answers, result)
    return {
        "prompts": len(result),
        "new_tokens": sum(answer["tokens"] for answer in result),
        "ended": sum(answer["ended"] for answer in result),
        "largest_repeated_share": max(repeated_share(ids) for ids in completions),
        "distinct_answers": len({answer["answer"] for answer in result}),
    }


if __name__ == "__main__":
    command(main)
