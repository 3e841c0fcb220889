ADAPTER_BASE = {"sft": "base", "dpo": "sft"}


rule package:
    input:
        config="results/model/config.json",
        checkpoint=f"results/pretrain/step-{config['pretrain']['steps']}/manifest.json",
        model="results/tokenizer/tokenizer.model",
        vocab="results/tokenizer/vocab.json",
        merges="results/tokenizer/merges.txt",
        tokenizer="results/tokenizer/tokenizer.json",
        tokenizer_config="results/tokenizer/tokenizer_config.json",
    output:
        hf="results/models/base/manifest.json",
    params:
        corpus={name: {key: config["sources"][name][key] for key in ("domain", "license")} for name in config["corpus"]},
    resources:
        mem_mb=1000,
    shell:
        "python -m stemma run scripts/package/package.py {params.flags}"


rule merge:
    input:
        base=lambda wildcards: f"results/models/{ADAPTER_BASE[wildcards.method]}/manifest.json",
        adapter="results/align/{method}/manifest.json",
    output:
        hf="results/models/{method}/manifest.json",
    wildcard_constraints:
        method="|".join(ADAPTER_BASE),
    resources:
        mem_mb=1000,
    shell:
        "python -m stemma run scripts/package/merge.py {params.flags}"
