from llm.process.settings.perplexity_model import PerplexitySettings
from llm.process.settings.quality_model import QualitySettings
from llm.process.settings.toxicity_model import ToxicitySettings
from llm.settings import slice_of


rule perplexity_model:
    input:
        curated=[f"results/raw/{name}/manifest.json" for name in REFERENCE["curated"]],
    output:
        model="results/reference/perplexity/manifest.json",
    params:
        settings=slice_of(PerplexitySettings, config["process"]["reference"]),
    log:
        "results/logs/perplexity_model.log",
    benchmark:
        "results/benchmarks/perplexity_model.tsv"
    threads: 1
    resources:
        mem_mb=2000,
    shell:
        "python -m stemma run scripts/process/perplexity_model.py {params.flags}"


rule quality_model:
    input:
        curated=[f"results/raw/{name}/manifest.json" for name in REFERENCE["curated"]],
        raw=[f"results/raw/{name}/manifest.json" for name in REFERENCE["raw"]],
    output:
        model="results/reference/quality/manifest.json",
    params:
        settings=slice_of(QualitySettings, config["process"]["reference"], config),
    log:
        "results/logs/quality_model.log",
    benchmark:
        "results/benchmarks/quality_model.tsv"
    threads: 1
    resources:
        mem_mb=1000,
    shell:
        "python -m stemma run scripts/process/quality_model.py {params.flags}"


rule toxicity_model:
    input:
        archive=lambda w: [literal(archive) for archive in REFERENCE["archive"]],
    output:
        model="results/reference/toxicity/manifest.json",
    params:
        settings=slice_of(ToxicitySettings, REFERENCE["labels"], config["process"]["reference"], config),
    log:
        "results/logs/toxicity_model.log",
    benchmark:
        "results/benchmarks/toxicity_model.tsv"
    threads: 1
    resources:
        mem_mb=1000,
    shell:
        "python -m stemma run scripts/process/toxicity_model.py {params.flags}"


rule score:
    input:
        documents="results/raw/{source}/manifest.json",
        perplexity_model="results/reference/perplexity/manifest.json",
        quality_model="results/reference/quality/manifest.json",
        toxicity_model="results/reference/toxicity/manifest.json",
    output:
        scores="results/scores/{source}/manifest.json",
    log:
        "results/logs/score/{source}.log",
    benchmark:
        "results/benchmarks/score/{source}.tsv"
    threads: 1
    resources:
        mem_mb=1000,
    shell:
        "python -m stemma run scripts/process/score.py {params.flags}"
