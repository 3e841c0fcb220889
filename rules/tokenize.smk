from llm.settings import slice_of
from llm.tokenize.settings import Sample, TokenizerSettings


rule tokenizer:
    input:
        clean="results/clean/manifest.json",
        plan="results/mix/plan.parquet",
    output:
        model="results/tokenizer/tokenizer.model",
        vocab="results/tokenizer/vocab.json",
        merges="results/tokenizer/merges.txt",
        tokenizer="results/tokenizer/tokenizer.json",
        tokenizer_config="results/tokenizer/tokenizer_config.json",
    params:
        settings=slice_of(TokenizerSettings, config["tokenizer"]),
    threads: 2
    resources:
        mem_mb=2000,
    shell:
        "python -m stemma run scripts/tokenize/tokenizer.py {params.flags}"


rule fertility:
    input:
        clean="results/clean/manifest.json",
        plan="results/mix/plan.parquet",
        model="results/tokenizer/tokenizer.model",
    output:
        fertility="results/tokenizer/fertility.json",
    params:
        settings=slice_of(Sample, config["tokenizer"]),
    threads: 2
    resources:
        mem_mb=2000,
    shell:
        "python -m stemma run scripts/tokenize/fertility.py {params.flags}"


rule encode:
    input:
        shards="results/clean/{source}/manifest.json",
        model=TOKENIZER,
    output:
        tokens="results/tokens/{source}/manifest.json",
    params:
        source=lambda wildcards: wildcards.source,
    threads: 2
    resources:
        mem_mb=2000,
    shell:
        "python -m stemma run scripts/tokenize/encode.py {params.flags}"


rule token_shards:
    input:
        shards=[f"results/tokens/{source}/manifest.json" for source in SOURCES],
    output:
        tokens="results/tokens/manifest.json",
    resources:
        mem_mb=500,
    shell:
        "python -m stemma run scripts/tokenize/token_shards.py {params.flags}"


rule mix_tokens:
    input:
        plan="results/mix/plan.parquet",
        report="results/mix/report.json",
        tokens="results/tokens/manifest.json",
    output:
        figures="results/mix/tokens.json",
    resources:
        mem_mb=500,
    shell:
        "python -m stemma run scripts/tokenize/mix_tokens.py {params.flags}"
