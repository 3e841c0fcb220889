rule annotate:
    input:
        documents="results/raw/{source}/manifest.json",
    output:
        annotations="results/annotated/{source}/manifest.json",
    log:
        "results/logs/annotate/{source}.log",
    benchmark:
        "results/benchmarks/annotate/{source}.tsv"
    threads: 1
    resources:
        mem_mb=1000,
    shell:
        "python -m stemma run scripts/process/annotate.py {params.flags}"


# Only where config says what to do with names: the model is slow.
rule names:
    input:
        documents="results/raw/{source}/manifest.json",
    output:
        names="results/names/{source}/manifest.json",
    log:
        "results/logs/names/{source}.log",
    benchmark:
        "results/benchmarks/names/{source}.tsv"
    threads: 1
    resources:
        mem_mb=1000,
    shell:
        "python -m stemma run scripts/process/names.py {params.flags}"


# Duplicates are found by as many jobs as there are ranges: keys of signatures, then pairs, then edges of similarity.
RANGES = range(config["process"]["duplicates"]["ranges"])
SUBSTRING = config["process"]["duplicates"]["substring"] or {}


rule minhash:
    input:
        documents="results/raw/{source}/manifest.json",
    output:
        facts="results/minhash/{source}/facts/manifest.json",
        entries=[f"results/minhash/{{source}}/{number}/manifest.json" for number in RANGES],
    params:
        permutations=config["process"]["minhash"]["permutations"],
        shingle_words=config["process"]["minhash"]["shingle_words"],
        bands=config["process"]["duplicates"]["bands"],
        rows=config["process"]["duplicates"]["rows"],
        seed=config["seed"],
    log:
        "results/logs/minhash/{source}.log",
    benchmark:
        "results/benchmarks/minhash/{source}.tsv"
    threads: 1
    resources:
        mem_mb=1000,
    shell:
        "python -m stemma run scripts/process/minhash.py {params.flags}"


rule candidates:
    input:
        entries=[f"results/minhash/{source}/{{range}}/manifest.json" for source in SOURCES],
    output:
        pairs=[f"results/candidates/{{range}}/{number}/manifest.json" for number in RANGES],
    params:
        max_bucket=config["process"]["duplicates"]["max_bucket"],
    log:
        "results/logs/candidates/{range}.log",
    benchmark:
        "results/benchmarks/candidates/{range}.tsv"
    wildcard_constraints:
        range=r"\d+",
    threads: 1
    resources:
        mem_mb=2000,
    shell:
        "python -m stemma run scripts/process/candidates.py {params.flags}"


rule edges:
    input:
        documents=[f"results/raw/{source}/manifest.json" for source in SOURCES],
        facts=[f"results/minhash/{source}/facts/manifest.json" for source in SOURCES],
        pairs=[f"results/candidates/{number}/{{range}}/manifest.json" for number in RANGES],
    output:
        edges="results/edges/{range}.parquet",
    params:
        verify=config["process"]["duplicates"]["verify"],
        threshold=config["process"]["duplicates"]["threshold"],
        shingle_words=config["process"]["minhash"]["shingle_words"],
    log:
        "results/logs/edges/{range}.log",
    benchmark:
        "results/benchmarks/edges/{range}.tsv"
    wildcard_constraints:
        range=r"\d+",
    threads: 1
    resources:
        mem_mb=2000,
    shell:
        "python -m stemma run scripts/process/edges.py {params.flags}"


rule deduplicate:
    input:
        facts=[f"results/minhash/{source}/facts/manifest.json" for source in SOURCES],
        edges=[f"results/edges/{number}.parquet" for number in RANGES],
        scores=[f"results/scores/{source}/manifest.json" for source in SOURCES],
    output:
        duplicates=[f"results/duplicates/{source}.parquet" for source in SOURCES],
    log:
        "results/logs/deduplicate.log",
    benchmark:
        "results/benchmarks/deduplicate.tsv"
    threads: 2
    resources:
        mem_mb=2000,
    shell:
        "python -m stemma run scripts/process/deduplicate.py {params.flags}"


# Only where config asks for it: what is cut out is found in all documents that stay.
rule substrings:
    input:
        documents=[f"results/raw/{source}/manifest.json" for source in SOURCES],
        facts=[f"results/minhash/{source}/facts/manifest.json" for source in SOURCES],
        duplicates=[f"results/duplicates/{source}.parquet" for source in SOURCES],
    output:
        substrings=[f"results/substrings/{source}/manifest.json" for source in SOURCES],
    params:
        min_bytes=SUBSTRING.get("min_bytes"),
    log:
        "results/logs/substrings.log",
    benchmark:
        "results/benchmarks/substrings.tsv"
    threads: 1
    resources:
        mem_mb=2000,
    shell:
        "python -m stemma run scripts/process/substrings.py {params.flags}"


rule decontaminate:
    input:
        documents="results/raw/{source}/manifest.json",
        evaluations=[f"results/raw/{name}/manifest.json" for name in EVALUATIONS],
    output:
        contamination="results/contamination/{source}.parquet",
    params:
        ngram=config["process"]["decontaminate"]["ngram"],
        min_words=config["process"]["decontaminate"]["min_words"],
        min_hits=config["process"]["decontaminate"]["min_hits"],
    log:
        "results/logs/decontaminate/{source}.log",
    benchmark:
        "results/benchmarks/decontaminate/{source}.tsv"
    threads: 1
    resources:
        mem_mb=1000,
    shell:
        "python -m stemma run scripts/process/decontaminate.py {params.flags}"


rule clean:
    input:
        documents="results/raw/{source}/manifest.json",
        annotations="results/annotated/{source}/manifest.json",
        duplicates="results/duplicates/{source}.parquet",
        scores="results/scores/{source}/manifest.json",
        contamination=["results/contamination/{source}.parquet"] if EVALUATIONS else [],
        names=["results/names/{source}/manifest.json"] if "name" in config["process"]["pii"] else [],
        substrings=["results/substrings/{source}/manifest.json"] if SUBSTRING else [],
    output:
        shards="results/clean/{source}/manifest.json",
    params:
        thresholds=config["process"]["thresholds"],
        overrides=lambda w: config["process"]["overrides"].get(PARTS[w.source]["domain"]) or {},
        pii=config["process"]["pii"],
        validation_fraction=config["process"]["validation_fraction"],
        seed=config["seed"],
    log:
        "results/logs/clean/{source}.log",
    benchmark:
        "results/benchmarks/clean/{source}.tsv"
    threads: 1
    resources:
        mem_mb=1000,
    shell:
        "python -m stemma run scripts/process/clean.py {params.flags}"


rule clean_shards:
    input:
        documents=[f"results/raw/{source}/manifest.json" for source in SOURCES],
        shards=[f"results/clean/{source}/manifest.json" for source in SOURCES],
    output:
        clean="results/clean/manifest.json",
    log:
        "results/logs/clean_shards.log",
    benchmark:
        "results/benchmarks/clean_shards.tsv"
    threads: 1
    resources:
        mem_mb=500,
    shell:
        "python -m stemma run scripts/process/clean_shards.py {params.flags}"


rule croissant:
    input:
        clean="results/clean/manifest.json",
    output:
        croissant="results/clean.croissant.json",
    log:
        "results/logs/croissant.log",
    benchmark:
        "results/benchmarks/croissant.tsv"
    threads: 1
    resources:
        mem_mb=500,
    shell:
        "python -m stemma run scripts/process/croissant.py {params.flags}"


rule mix:
    input:
        clean="results/clean/manifest.json",
    output:
        plan="results/mix/plan.parquet",
        report="results/mix/report.json",
    params:
        weights=config["process"]["mix"]["weights"],
        epochs=config["process"]["mix"]["epochs"],
        quality=config["process"]["mix"]["quality"],
        bytes=config["process"]["mix"]["bytes"],
        seed=config["seed"],
    log:
        "results/logs/mix.log",
    benchmark:
        "results/benchmarks/mix.tsv"
    threads: 1
    resources:
        mem_mb=500,
    shell:
        "python -m stemma run scripts/process/mix.py {params.flags}"
