from llm.evaluate.settings import SuiteSettings
from llm.settings import slice_of


# What models are asked: the suite with the items that stand in sources.
rule suite:
    input:
        suite=lambda w: here_or_house(config["evaluate"]["suite"] or str(HOUSE / "evaluation/suite.yaml")),
        archives=lambda w: [literal(archive) for archive in EVALUATION_ARCHIVES],
    output:
        questions="results/evaluation/questions.json",
    params:
        settings=slice_of(SuiteSettings, config["evaluate"], config),
    resources:
        mem_mb=1000,
    shell:
        "python -m stemma run scripts/evaluate/suite.py {params.flags}"


rule evaluate:
    input:
        model="results/models/{stage}/manifest.json",
        judge="results/models/sft/manifest.json",
        reward="results/align/reward/manifest.json",
        instructions="results/align/instructions/manifest.json",
        tokens="results/tokens/manifest.json",
        questions="results/evaluation/questions.json",
        before=lambda w: f"results/evaluation/{ADAPTER_BASE[w.stage]}.json" if w.stage != "base" else [],
        base=lambda w: "results/evaluation/base.json" if w.stage != "base" else [],
    output:
        evaluation="results/evaluation/{stage}.json",
    params:
        settings=lambda w: evaluation_slice(w.stage),
    wildcard_constraints:
        stage="|".join(("base", *ADAPTER_BASE)),
    resources:
        mem_mb=1500 + 5 * WEIGHTS_MB,
    shell:
        "python -m stemma run scripts/evaluate/evaluate.py {params.flags}"


use rule evaluate as evaluate_quantized with:
    input:
        model="results/quantized/{method}/manifest.json",
        judge="results/models/sft/manifest.json",
        reward="results/align/reward/manifest.json",
        instructions="results/align/instructions/manifest.json",
        tokens="results/tokens/manifest.json",
        questions="results/evaluation/questions.json",
        before="results/evaluation/dpo.json",
        base="results/evaluation/base.json",
    output:
        evaluation="results/evaluation/quantized/{method}.json",
    params:
        settings=lambda w: evaluation_slice(w.method),
    wildcard_constraints:
        method="|".join(config["quantize"]["methods"]),
