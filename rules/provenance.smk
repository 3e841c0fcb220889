# The page and the closing account of a run, derived from records. They state times, so they are views of the artifacts
# and no artifacts themselves: they have no record, and are written anew whenever an artifact changes.
from shlex import quote

# Of a model made elsewhere there is no tokenizer of one's own, and no checkpoint unless pretraining goes on from it.
CHECKPOINTS = [] if IMPORTED and not CONTINUED else [f"results/pretrain/step-{step}" for step in STEPS]
MAIN = [
    "results/clean",
    "results/clean.croissant.json",
    *([] if IMPORTED else ["results/tokenizer/vocab.json", "results/tokenizer/fertility.json"]),
    "results/tokens",
    *([] if IMPORTED else ["results/model/config.json"]),
    *CHECKPOINTS[-1:],
    *(f"results/align/{method}" for method in METHODS),
    *(f"results/models/{stage}" for stage in GENERATING),
    *(f"results/inventory/{stage}.json" for stage in ("base", "dpo")),
    *(f"results/evaluation/{stage}.json" for stage in GENERATING),
    *(f"results/quantized/{method}" for method in config["quantize"]["methods"]),
    "results/serve/benchmark.json",
    "results/serve/answers.json",
]
SIGNED = {
    "models": [f"results/models/{stage}/model.sig" for stage in GENERATING],
    "quantized": [f"results/quantized/{method}/model.sig" for method in config["quantize"]["methods"]],
}
POSTER = str(HOUSE / "report/poster.yaml")  # what the page shows, and the summary's figures
HINTS = [
    'make ask PROMPT="What is an algorithm?"',
    "python -m stemma show results/models/dpo/manifest.json   (the record of an artifact)",
    "your own text: README.md, five lines of yaml",
]
SUMMARY = " ".join(
    [
        f"python -m stemma summary --poster {quote(POSTER)}",
        *(f"--target {target}" for target in MAIN),
        *(f"--hint {quote(hint)}" for hint in HINTS),
    ]
)


rule report:
    input:
        poster=lambda w: literal(POSTER),
        raw=[f"results/raw/{source}/manifest.json" for source in SOURCES],
        annotated=[f"results/annotated/{source}/manifest.json" for source in SOURCES],
        duplicates=[f"results/duplicates/{source}.parquet" for source in SOURCES],
        clean=[f"results/clean/{source}/manifest.json" for source in SOURCES],
        tokens=[f"results/tokens/{source}/manifest.json" for source in SOURCES],
        mix=["results/mix/report.json", "results/mix/tokens.json"],
        checkpoints=[f"{checkpoint}/manifest.json" for checkpoint in CHECKPOINTS],
        plots="results/pretrain/loss.svg" if CHECKPOINTS else [],
        data=["results/align/instructions/manifest.json", "results/align/preferences/manifest.json"],
        constitutional=by_constitution,
        quantized=[f"results/evaluation/quantized/{method}.json" for method in config["quantize"]["methods"]],
        signatures=[signature for signatures in SIGNED.values() for signature in signatures],
        main=[place if Path(place).suffix else f"{place}/manifest.json" for place in MAIN],
    output:
        page="results/report/index.html",
        crate="results/report/ro-crate-metadata.json",
        public=["results/report/records.pem", "results/report/models.pem"],
    params:
        workflow=[str(HOUSE / "Snakefile"), *sorted(map(str, (HOUSE / "rules").glob("*.smk")))],
    resources:
        mem_mb=300,
    shell:
        "python -m stemma keys results/report"
        " && python -m stemma crate results/report {params.workflow:q}"
        " && python -m stemma report {input.poster:q} {output.page}"


# A view like the page: ECDSA signatures are randomised, so model.sig has no record and stands in no manifest.
rule model_signature:
    input:
        manifest="results/{model}/manifest.json",
    output:
        signature="results/{model}/model.sig",
    wildcard_constraints:
        model=r"(models|quantized)/[\w-]+",
    resources:
        mem_mb=300,
    shell:
        "python -m stemma sign {input.manifest}"
