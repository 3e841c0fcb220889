from llm.collect import config as source_entry
from llm.package.importing.settings import ImportSettings
from llm.package.inventory.settings import InventorySettings
from llm.package.settings import PackageSettings
from llm.settings import slice_of

# What the card says of the corpus.
TRAINED_ON = {name: {key: config["sources"][name][key] for key in ("domain", "license")} for name in config["corpus"]}
PACKAGE = slice_of(PackageSettings, config.get("package", {}))
ADAPTER_BASE = {f"{method}{of}": "sft" for method in ("sft", *PAIRED, "kto", *POLICIES) for of in TRAINED_BY}
ADAPTER_BASE |= {"sft": "base"}


if IMPORTED:

    rule import_model:
        input:
            archive=literal(IMPORTED["path"]) if IMPORTED.get("path") else f"results/fetched/{IMPORT}/archive",
        output:
            hf=ORIGINAL,
        params:
            settings=slice_of(
                ImportSettings,
                IMPORTED,
                origin=source_entry.origin_of(IMPORT, IMPORTED),
                expected=config["model"],
                vocab_size=config["tokenizer"]["vocab_size"],
                **PACKAGE,
            ),
        resources:
            mem_mb=1000 + 3 * WEIGHTS_MB,
        shell:
            "python -m stemma run scripts/package/import_model.py {params.flags}"


if CONTINUED:

    rule package_continued:
        input:
            imported=ORIGINAL,
            checkpoint=f"results/pretrain/step-{config['pretrain']['steps']}/manifest.json",
        output:
            hf="results/models/base/manifest.json",
        params:
            corpus=TRAINED_ON,
            settings=PACKAGE,
        resources:
            mem_mb=1000 + 3 * WEIGHTS_MB,
        shell:
            "python -m stemma run scripts/package/package_continued.py {params.flags}"

elif not IMPORTED:

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
            corpus=TRAINED_ON,
            settings=PACKAGE,
        resources:
            mem_mb=1000,
        shell:
            "python -m stemma run scripts/package/package.py {params.flags}"


rule export_gguf:
    input:
        model="results/models/{stage}/manifest.json",
    output:
        gguf="results/gguf/{stage}-{type}.gguf",
    params:
        name=lambda w: w.stage,
        type=lambda w: w.type,
    wildcard_constraints:
        stage="|".join(("base", *ADAPTER_BASE)),
        type="[a-z0-9_]+",
    resources:
        mem_mb=1000 + 3 * WEIGHTS_MB,
    shell:
        "python -m stemma run scripts/package/export_gguf.py {params.flags}"


rule inventory:
    input:
        model="results/models/{stage}/manifest.json",
    output:
        facts="results/inventory/{stage}.json",
    params:
        settings=slice_of(InventorySettings, config.get("package", {}).get("inventory", {})),
    wildcard_constraints:
        stage="|".join(("base", *ADAPTER_BASE)),
    resources:
        mem_mb=1000 + 3 * WEIGHTS_MB,
    shell:
        "python -m stemma run scripts/package/inventory.py {params.flags}"


rule merge:
    input:
        base=lambda wildcards: f"results/models/{ADAPTER_BASE[wildcards.method]}/manifest.json",
        adapter="results/align/{method}/manifest.json",
    output:
        hf="results/models/{method}/manifest.json",
    params:
        settings=PACKAGE,
    wildcard_constraints:
        method="|".join(ADAPTER_BASE),
    resources:
        mem_mb=1000 + 3 * WEIGHTS_MB,
    shell:
        "python -m stemma run scripts/package/merge.py {params.flags}"
