from llm.collect import config as source_entry

# Where the text of a source, or of a part of one, lies: its own path, else what `fetch` brings.
ARCHIVES = {
    name: literal(part["path"]) if part.get("path") else f"results/fetched/{part['whole']}/archive"
    for name, part in PARTS.items()
}


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
        archive=lambda w: ARCHIVES[w.source],
    output:
        documents="results/raw/{source}/manifest.json",
    params:
        source=lambda w: PARTS[w.source]["whole"],
        part=lambda w: PARTS[w.source]["part"],
        parts=lambda w: PARTS[w.source]["parts"],
        origin=lambda w: source_entry.origin_of(PARTS[w.source]["whole"], PARTS[w.source]),
        file=lambda w: source_entry.file_of(PARTS[w.source]["whole"], PARTS[w.source]),
        format=lambda w: PARTS[w.source]["format"],
        include=lambda w: PARTS[w.source].get("include", []),
        exclude=lambda w: PARTS[w.source].get("exclude", []),
        archives=lambda w: PARTS[w.source].get("archives", []),
        column=lambda w: PARTS[w.source].get("column", "text"),
        extractor=lambda w: PARTS[w.source].get("extractor", "fast"),
        domain=lambda w: PARTS[w.source]["domain"],
        license=lambda w: PARTS[w.source]["license"],
        refused=lambda w: PARTS[w.source].get("refused_licenses", []),
    log:
        "results/logs/collect/{source}.log",
    benchmark:
        "results/benchmarks/collect/{source}.tsv"
    threads: 1
    resources:
        mem_mb=1000,
    shell:
        "python -m stemma run scripts/collect/collect.py {params.flags}"
