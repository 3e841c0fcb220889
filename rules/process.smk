from llm.process.settings.candidates import CandidatesSettings
from llm.process.settings.clean import CleanSettings
from llm.process.settings.decontaminate import DecontaminateSettings
from llm.process.settings.edges import EdgesSettings
from llm.process.settings.minhash import MinhashSettings
from llm.process.settings.mix import MixSettings
from llm.process.settings.names import NamesSettings
from llm.process.settings.perplexity_model import PerplexitySettings
from llm.process.settings.quality_model import QualitySettings
from llm.process.settings.toxicity_model import ToxicitySettings
from llm.settings import slice_of

PROCESS = config["process"]


# Models of quality, learned from the sources that `process.reference` names; every document is scored by them.
rule perplexity_model:
    input:
        curated=[f"results/raw/{name}/manifest.json" for name in REFERENCE["curated"]],
    output:
        model="results/reference/perplexity/manifest.json",
    params:
        settings=slice_of(PerplexitySettings, PROCESS["reference"]),
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
        settings=slice_of(QualitySettings, PROCESS["reference"], config),
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
        settings=slice_of(ToxicitySettings, REFERENCE["labels"], PROCESS["reference"], config),
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
    resources:
        mem_mb=1000,
    shell:
        "python -m stemma run scripts/process/score.py {params.flags}"


rule annotate:
    input:
        documents="results/raw/{source}/manifest.json",
    output:
        annotations="results/annotated/{source}/manifest.json",
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
    params:
        settings=slice_of(NamesSettings, PROCESS),
    resources:
        mem_mb=1000,
    shell:
        "python -m stemma run scripts/process/names.py {params.flags}"


# Duplicates are found by as many jobs as there are ranges: keys of signatures, then pairs, then edges of similarity.
RANGES = range(PROCESS["duplicates"]["ranges"])
SUBSTRING = PROCESS["duplicates"]["substring"]


rule minhash:
    input:
        documents="results/raw/{source}/manifest.json",
    output:
        facts="results/minhash/{source}/facts/manifest.json",
        entries=[f"results/minhash/{{source}}/{number}/manifest.json" for number in RANGES],
    params:
        settings=slice_of(MinhashSettings, PROCESS["minhash"], PROCESS["duplicates"], config),
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
        settings=slice_of(CandidatesSettings, PROCESS["duplicates"]),
    wildcard_constraints:
        range=r"\d+",
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
        settings=slice_of(EdgesSettings, PROCESS["duplicates"], PROCESS["minhash"]),
    wildcard_constraints:
        range=r"\d+",
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
        settings=SUBSTRING,
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
        settings=slice_of(DecontaminateSettings, PROCESS["decontaminate"]),
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
        names=["results/names/{source}/manifest.json"] if "name" in PROCESS["pii"] else [],
        substrings=["results/substrings/{source}/manifest.json"] if SUBSTRING else [],
    output:
        shards="results/clean/{source}/manifest.json",
        dropped="results/dropped/{source}/manifest.json",
    params:
        settings=lambda w: slice_of(
            CleanSettings, PROCESS, config, overrides=PROCESS["overrides"].get(PARTS[w.source]["domain"]) or {}
        ),
    resources:
        mem_mb=1000,
    shell:
        "python -m stemma run scripts/process/clean.py {params.flags}"


rule clean_shards:
    input:
        documents=[f"results/raw/{source}/manifest.json" for source in SOURCES],
        shards=[f"results/clean/{source}/manifest.json" for source in SOURCES],
        dropped=[f"results/dropped/{source}/manifest.json" for source in SOURCES],
    output:
        clean="results/clean/manifest.json",
    resources:
        mem_mb=500,
    shell:
        "python -m stemma run scripts/process/clean_shards.py {params.flags}"


rule croissant:
    input:
        clean="results/clean/manifest.json",
    output:
        croissant="results/clean.croissant.json",
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
        settings=slice_of(MixSettings, PROCESS["mix"], config),
    resources:
        mem_mb=500,
    shell:
        "python -m stemma run scripts/process/mix.py {params.flags}"
