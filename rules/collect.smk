from llm.text import sources as source_entry


rule fetch:
    output:
        archive="results/fetched/{source}/archive",
    params:
        kind=lambda w: source_entry.kind_of(w.source, config["sources"][w.source]),
        pin=lambda w: source_entry.pin_of(w.source, config["sources"][w.source]),
        file=lambda w: source_entry.file_of(w.source, config["sources"][w.source]),
        sha256=lambda w: config["sources"][w.source].get("sha256", ""),
    log:
        "results/logs/fetch/{source}.log",
    benchmark:
        "results/benchmarks/fetch/{source}.tsv"
    threads: 1
    resources:
        mem_mb=300,
        downloads=1,
    shell:
        "python -m stemma run scripts/collect/fetch.py {params.flags}"


rule collect:
    input:
        archive=lambda w: config["sources"][w.source].get("path") or f"results/fetched/{w.source}/archive",
    output:
        documents="results/raw/{source}/manifest.json",
    params:
        source=lambda w: w.source,
        origin=lambda w: source_entry.origin_of(w.source, config["sources"][w.source]),
        file=lambda w: source_entry.file_of(w.source, config["sources"][w.source]),
        format=lambda w: config["sources"][w.source]["format"],
        include=lambda w: config["sources"][w.source].get("include", []),
        exclude=lambda w: config["sources"][w.source].get("exclude", []),
        archives=lambda w: config["sources"][w.source].get("archives", []),
        column=lambda w: config["sources"][w.source].get("column", "text"),
        extractor=lambda w: config["sources"][w.source].get("extractor", "fast"),
        domain=lambda w: config["sources"][w.source]["domain"],
        license=lambda w: config["sources"][w.source]["license"],
        refused=lambda w: config["sources"][w.source].get("refused_licenses", []),
    log:
        "results/logs/collect/{source}.log",
    benchmark:
        "results/benchmarks/collect/{source}.tsv"
    threads: 1
    resources:
        mem_mb=1000,
    shell:
        "python -m stemma run scripts/collect/collect.py {params.flags}"
