from llm.collect import config as source_entry
from llm.collect.settings import Recipe
from llm.settings import slice_of

# What can be fetched: the sources, and the model that is made elsewhere.
PINNED = config["sources"] | ({IMPORT: IMPORTED} if IMPORTED else {})
# Where the text of a source, or of a part of one, lies: its own path, else what `fetch` brings.
ARCHIVES = {
    name: literal(part["path"]) if part.get("path") else f"results/fetched/{part['whole']}/archive"
    for name, part in PARTS.items()
}


rule fetch:
    output:
        archive="results/fetched/{source}/archive",
    params:
        kind=lambda w: source_entry.kind_of(w.source, PINNED[w.source]),
        pin=lambda w: source_entry.pin_of(w.source, PINNED[w.source]),
        file=lambda w: source_entry.file_of(w.source, PINNED[w.source]),
        sha256=lambda w: PINNED[w.source].get("sha256", ""),
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
        settings=lambda w: slice_of(
            Recipe,
            PARTS[w.source],
            source=PARTS[w.source]["whole"],
            origin=source_entry.origin_of(PARTS[w.source]["whole"], PARTS[w.source]),
            file=source_entry.file_of(PARTS[w.source]["whole"], PARTS[w.source]),
        ),
    resources:
        mem_mb=1000,
    shell:
        "python -m stemma run scripts/collect/collect.py {params.flags}"
