rule instructions:
    input:
        clean="results/clean/manifest.json",
    output:
        instructions="results/align/instructions/manifest.json",
    params:
        kinds=lambda w: aligned("instructions")["kinds"],
        train_counts=config["align"]["instructions"]["train_counts"],
        validation_counts=config["align"]["instructions"]["validation_counts"],
        limits=config["align"]["instructions"]["limits"],
        languages=config["align"]["instructions"]["languages"],
        seed=config["seed"],
    log:
        "results/logs/instructions.log",
    benchmark:
        "results/benchmarks/instructions.tsv"
    threads: 1
    resources:
        mem_mb=1000,
    shell:
        "python -m stemma run scripts/align/instructions.py {params.flags}"


rule preferences:
    input:
        instructions="results/align/instructions/manifest.json",
    output:
        preferences="results/align/preferences/manifest.json",
    params:
        train_counts=config["align"]["preferences"]["train_counts"],
        validation_counts=config["align"]["preferences"]["validation_counts"],
        max_answer=config["align"]["preferences"]["max_answer"],
        seed=config["seed"],
    log:
        "results/logs/preferences.log",
    benchmark:
        "results/benchmarks/preferences.tsv"
    threads: 1
    resources:
        mem_mb=500,
    shell:
        "python -m stemma run scripts/align/preferences.py {params.flags}"


rule sft:
    input:
        base="results/models/base/manifest.json",
        instructions="results/align/instructions/manifest.json",
    output:
        adapter="results/align/sft/manifest.json",
    params:
        lora=config["align"]["lora"],
        schedule=config["align"]["sft"]["schedule"],
        max_tokens=lambda w: aligned("max_tokens"),
        bf16=config["align"]["bf16"],
        seed=config["seed"],
    log:
        "results/logs/sft.log",
    benchmark:
        "results/benchmarks/sft.tsv"
    threads: 1
    resources:
        mem_mb=2000,
    shell:
        "python -m stemma run scripts/align/sft.py {params.flags}"


rule reward:
    input:
        base="results/models/sft/manifest.json",
        preferences="results/align/preferences/manifest.json",
    output:
        adapter="results/align/reward/manifest.json",
    params:
        lora=config["align"]["lora"],
        schedule=config["align"]["reward"]["schedule"],
        max_tokens=lambda w: aligned("max_tokens"),
        bf16=config["align"]["bf16"],
        seed=config["seed"],
    log:
        "results/logs/reward.log",
    benchmark:
        "results/benchmarks/reward.tsv"
    threads: 1
    resources:
        mem_mb=2000,
    shell:
        "python -m stemma run scripts/align/reward.py {params.flags}"


rule dpo:
    input:
        base="results/models/sft/manifest.json",
        preferences="results/align/preferences/manifest.json",
    output:
        adapter="results/align/dpo/manifest.json",
    params:
        lora=config["align"]["lora"],
        schedule=config["align"]["dpo"]["schedule"],
        beta=config["align"]["dpo"]["beta"],
        max_tokens=lambda w: aligned("max_tokens"),
        bf16=config["align"]["bf16"],
        seed=config["seed"],
    log:
        "results/logs/dpo.log",
    benchmark:
        "results/benchmarks/dpo.tsv"
    threads: 1
    resources:
        mem_mb=2000,
    shell:
        "python -m stemma run scripts/align/dpo.py {params.flags}"
