def raw(names):
    return [f"results/raw/{source}/manifest.json" for source in names]


rule perplexity_model:
    input:
        curated=raw(REFERENCE["quality"][0]),
    output:
        model="results/reference/perplexity/manifest.json",
    params:
        order=config["process"]["reference"]["order"],
        vocabulary=config["process"]["reference"]["vocabulary"],
        sample_bytes=config["process"]["reference"]["sample_bytes"],
        prune=config["process"]["reference"]["prune"],
    log:
        "results/logs/perplexity_model.log",
    benchmark:
        "results/benchmarks/perplexity_model.tsv"
    threads: 1
    resources:
        mem_mb=2000,
    shell:
        "python -m stemma run scripts/process/perplexity_model.py {params.flags}"


rule classifier:
    input:
        positive=lambda w: raw(REFERENCE[w.name][0]),
        negative=lambda w: raw(REFERENCE[w.name][1]),
    output:
        model="results/reference/{name}/manifest.json",
    params:
        window=lambda w: {"quality": 128, "toxicity": 16}[w.name],
        sample_bytes=config["process"]["reference"]["sample_bytes"],
        seed=config["seed"],
    log:
        "results/logs/classifier/{name}.log",
    benchmark:
        "results/benchmarks/classifier/{name}.tsv"
    wildcard_constraints:
        name="quality|toxicity",
    threads: 1
    resources:
        mem_mb=1000,
    shell:
        "python -m stemma run scripts/process/classifier.py {params.flags}"


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
