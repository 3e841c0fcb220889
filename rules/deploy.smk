rule quantize:
    input:
        model="results/models/dpo/manifest.json",
        tokens="results/tokens/manifest.json",
    output:
        quantized="results/quantized/{method}/manifest.json",
    params:
        bits=lambda wildcards: config["quantize"]["methods"][wildcards.method]["bits"],
        group_size=lambda wildcards: config["quantize"]["methods"][wildcards.method]["group_size"],
        validation_tokens=config["quantize"]["validation_tokens"],
    log:
        "results/logs/quantize/{method}.log",
    benchmark:
        "results/benchmarks/quantize/{method}.tsv"
    wildcard_constraints:
        method="|".join(config["quantize"]["methods"]),
    threads: 1
    resources:
        mem_mb=1500,
    shell:
        "python -m stemma run scripts/deploy/quantize.py {params.flags}"


rule serve_benchmark:
    input:
        quantized="results/quantized/int8/manifest.json",
    output:
        benchmark="results/serve/benchmark.json",
    params:
        requests=config["serve"]["requests"],
        prompt_tokens=lambda w: served("prompt_tokens"),
        new_tokens=config["serve"]["new_tokens"],
        batch_size=config["serve"]["batch_size"],
        uncached_requests=config["serve"]["uncached_requests"],
        seed=config["seed"],
    log:
        "results/logs/serve_benchmark.log",
    benchmark:
        "results/benchmarks/serve_benchmark.tsv"
    threads: 1
    resources:
        mem_mb=1500,
    shell:
        "python -m stemma run scripts/deploy/serve_benchmark.py {params.flags}"


rule generate:
    input:
        quantized="results/quantized/int8/manifest.json",
    output:
        answers="results/serve/answers.json",
    params:
        prompts=config["serve"]["prompts"],
        max_new_tokens=lambda w: served("max_new_tokens"),
        temperature=config["serve"]["temperature"],
        top_k=config["serve"]["top_k"],
        top_p=config["serve"]["top_p"],
        seed=config["seed"],
    log:
        "results/logs/generate.log",
    benchmark:
        "results/benchmarks/generate.tsv"
    threads: 1
    resources:
        mem_mb=1500,
    shell:
        "python -m stemma run scripts/deploy/generate.py {params.flags}"
