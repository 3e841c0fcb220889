from llm.align.settings.adapter import AdapterSettings
from llm.align.settings.instructions import InstructionSettings
from llm.align.settings.kto import KtoSettings
from llm.align.settings.paired import PAIRED, PairedSettings
from llm.align.settings.policy import POLICIES, REWARD_MODEL, PolicySettings
from llm.align.settings.preferences import PreferenceSettings
from llm.settings import slice_of

ALIGN_RANKS = config["align"]["parallel"]["data"]


rule instructions:
    input:
        clean="results/clean/manifest.json",
    output:
        instructions="results/align/instructions/manifest.json",
    params:
        settings=lambda w: slice_of(InstructionSettings, aligned()["instructions"], config),
    resources:
        mem_mb=1000,
    shell:
        "python -m stemma run scripts/align/instructions.py {params.flags}"


rule preferences:
    input:
        instructions="results/align/instructions/manifest.json",
    output:
        preferences="results/align/preferences/manifest.json",
    params:
        settings=slice_of(PreferenceSettings, config["align"]["preferences"], config),
    resources:
        mem_mb=500,
    shell:
        "python -m stemma run scripts/align/preferences.py {params.flags}"


rule sft:
    input:
        base="results/models/base/manifest.json",
        instructions="results/align/instructions/manifest.json",
    output:
        adapter="results/align/sft/manifest.json",
    params:
        settings=lambda w: adapter_slice(AdapterSettings, "sft"),
    threads: ALIGN_RANKS
    resources:
        mem_mb=(2000 + 3 * WEIGHTS_MB) * ALIGN_RANKS,
        time_limit=config["align"]["time_limit"] or 0,
        hang_seconds=config["align"]["hang_seconds"],
    shell:
        "STEMMA_TIME_LIMIT={resources.time_limit} STEMMA_HANG_SECONDS={resources.hang_seconds} "
        "python -m stemma run scripts/align/{rule}.py {params.flags}"


use rule sft as reward with:
    input:
        base="results/models/sft/manifest.json",
        preferences="results/align/preferences/manifest.json",
    output:
        adapter="results/align/reward/manifest.json",
    params:
        settings=lambda w: adapter_slice(AdapterSettings, "reward"),


use rule reward as kto with:
    output:
        adapter="results/align/kto/manifest.json",
    params:
        settings=lambda w: adapter_slice(KtoSettings, "kto"),


use rule reward as paired with:
    output:
        adapter="results/align/{loss}/manifest.json",
    params:
        settings=lambda w: adapter_slice(PairedSettings, w.loss, loss=w.loss),
    wildcard_constraints:
        loss="|".join(PAIRED),


use rule sft as policy with:
    input:
        base="results/models/sft/manifest.json",
        instructions=lambda w: (
            literal(path)
            if (path := config["align"][w.algorithm]["prompts"])
            else "results/align/instructions/manifest.json"
        ),
        functions=lambda w: literal(path) if (path := config["align"][w.algorithm]["functions"]) else [],
        reward=lambda w: (
            "results/align/reward/manifest.json" if REWARD_MODEL in config["align"][w.algorithm]["rewards"] else []
        ),
    output:
        adapter="results/align/{algorithm}/manifest.json",
    params:
        settings=lambda w: adapter_slice(PolicySettings, w.algorithm, algorithm=w.algorithm),
    wildcard_constraints:
        algorithm="|".join(POLICIES),
