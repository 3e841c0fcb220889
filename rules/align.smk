from llm.align.settings.adapter import AdapterSettings
from llm.align.settings.dpo import DpoSettings
from llm.align.settings.instructions import InstructionSettings
from llm.align.settings.preferences import PreferenceSettings
from llm.settings import slice_of


rule instructions:
    input:
        clean="results/clean/manifest.json",
    output:
        instructions="results/align/instructions/manifest.json",
    params:
        settings=lambda w: slice_of(InstructionSettings, aligned()["instructions"], config),
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
        settings=slice_of(PreferenceSettings, config["align"]["preferences"], config),
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
        settings=lambda w: slice_of(AdapterSettings, aligned()["sft"], config["align"], config),
    log:
        "results/logs/sft.log",
    benchmark:
        "results/benchmarks/sft.tsv"
    threads: 1
    resources:
        mem_mb=2000 + 3 * WEIGHTS_MB,
    shell:
        "python -m stemma run scripts/align/sft.py {params.flags}"


rule reward:
    input:
        base="results/models/sft/manifest.json",
        preferences="results/align/preferences/manifest.json",
    output:
        adapter="results/align/reward/manifest.json",
    params:
        settings=lambda w: slice_of(AdapterSettings, aligned()["reward"], config["align"], config),
    log:
        "results/logs/reward.log",
    benchmark:
        "results/benchmarks/reward.tsv"
    threads: 1
    resources:
        mem_mb=2000 + 3 * WEIGHTS_MB,
    shell:
        "python -m stemma run scripts/align/reward.py {params.flags}"


rule dpo:
    input:
        base="results/models/sft/manifest.json",
        preferences="results/align/preferences/manifest.json",
    output:
        adapter="results/align/dpo/manifest.json",
    params:
        settings=lambda w: slice_of(DpoSettings, aligned()["dpo"], config["align"], config),
    log:
        "results/logs/dpo.log",
    benchmark:
        "results/benchmarks/dpo.tsv"
    threads: 1
    resources:
        mem_mb=2000 + 3 * WEIGHTS_MB,
    shell:
        "python -m stemma run scripts/align/dpo.py {params.flags}"
