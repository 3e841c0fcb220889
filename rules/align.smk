from llm.align.settings.adapter import AdapterSettings
from llm.align.settings.constitution import AdherenceSettings, CritiqueSettings, FeedbackSettings, RevisionSettings
from llm.align.settings.given import GivenSettings
from llm.align.settings.instructions import InstructionSettings
from llm.align.settings.kto import KtoSettings
from llm.align.settings.methods import LABELS, trained_by
from llm.align.settings.paired import PAIRED, PairedSettings
from llm.align.settings.policy import POLICIES, REWARD_MODEL, PolicySettings
from llm.align.settings.preferences import PreferenceSettings
from llm.settings import slice_of

ALIGN_RANKS = config["align"]["parallel"]["data"]
CONSTITUTION = config["align"]["constitution"]
CONSTITUTIONS = "|".join(CONSTITUTION["files"])
TRAINED_BY = trained_by(CONSTITUTION["files"])
GENERATING = ["base", *(method for method in METHODS if not method.startswith("reward"))]  # the models of this run


rule given:
    input:
        archive=lambda w: literal(GIVEN_ARCHIVES[w.name]),
        evaluations=[f"results/raw/{name}/manifest.json" for name in EVALUATIONS],
    output:
        data="results/align/given-{name}/manifest.json",
    params:
        settings=lambda w: slice_of(
            GivenSettings, config["align"]["given"][w.name], config["process"]["decontaminate"], config
        ),
    wildcard_constraints:
        name="|".join(config["align"]["given"]) or "(?!)",  # none
    resources:
        mem_mb=2000,
    shell:
        "python -m stemma run scripts/align/given.py {params.flags}"


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


rule critiques:
    input:
        base="results/models/sft/manifest.json",
        instructions="results/align/instructions/manifest.json",
        constitution=constitution_of,
    output:
        critiques="results/align/critiques-{constitution}/manifest.json",
    params:
        settings=lambda w: slice_of(CritiqueSettings, CONSTITUTION, config),
    wildcard_constraints:
        constitution=CONSTITUTIONS,
    resources:
        mem_mb=1500 + 4 * WEIGHTS_MB,
    shell:
        "python -m stemma run scripts/align/critiques.py {params.flags}"


rule revisions:
    input:
        critiques="results/align/critiques-{constitution}/manifest.json",
        constitution=constitution_of,
    output:
        revisions="results/align/revisions-{constitution}{labels}/manifest.json",
    params:
        settings=lambda w: slice_of(RevisionSettings, config, labels=LABELS[w.labels]),
    wildcard_constraints:
        constitution=CONSTITUTIONS,
        labels="|".join(LABELS),
    resources:
        mem_mb=500,
    shell:
        "python -m stemma run scripts/align/revisions.py {params.flags}"


rule ai_preferences:
    input:
        critiques="results/align/critiques-{constitution}/manifest.json",
        constitution=constitution_of,
        judge=lambda w: [] if CONSTITUTION["prefer"] == "revised" else "results/models/sft/manifest.json",
    output:
        preferences="results/align/preferences-{constitution}{labels}/manifest.json",
    params:
        settings=lambda w: slice_of(FeedbackSettings, CONSTITUTION, config, labels=LABELS[w.labels]),
    wildcard_constraints:
        constitution=CONSTITUTIONS,
        labels="|".join(LABELS),
    resources:
        mem_mb=1500 + 4 * WEIGHTS_MB,
    shell:
        "python -m stemma run scripts/align/ai_preferences.py {params.flags}"


rule adherence:
    input:
        model="results/models/{stage}/manifest.json",
        instructions="results/align/instructions/manifest.json",
        constitution=constitution_of,
    output:
        answers="results/align/adherence/{constitution}/{stage}.json",
    params:
        settings=lambda w: slice_of(
            AdherenceSettings, CONSTITUTION, config, held_out=CONSTITUTION["prompts"]["validation"]
        ),
    wildcard_constraints:
        constitution=CONSTITUTIONS,
        stage=r"[\w-]+",
    resources:
        mem_mb=1500 + 4 * WEIGHTS_MB,
    shell:
        "python -m stemma run scripts/align/adherence.py {params.flags}"


rule sft:
    input:
        base=lambda w: f"results/models/{'sft' if w.of else 'base'}/manifest.json",
        instructions=lambda w: learned("sft", w.of, "revisions" if w.of else "instructions"),
    output:
        adapter="results/align/sft{of}/manifest.json",
    params:
        settings=lambda w: adapter_slice(AdapterSettings, "sft", w.of),
    wildcard_constraints:
        of="|".join(TRAINED_BY),
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
        preferences=lambda w: learned("reward", w.of, "preferences"),
    output:
        adapter="results/align/reward{of}/manifest.json",
    params:
        settings=lambda w: adapter_slice(AdapterSettings, "reward", w.of),


use rule reward as kto with:
    input:
        base="results/models/sft/manifest.json",
        preferences=lambda w: learned("kto", w.of, "preferences"),
    output:
        adapter="results/align/kto{of}/manifest.json",
    params:
        settings=lambda w: adapter_slice(KtoSettings, "kto", w.of),


use rule reward as paired with:
    input:
        base="results/models/sft/manifest.json",
        preferences=lambda w: learned(w.loss, w.of, "preferences"),
    output:
        adapter="results/align/{loss}{of}/manifest.json",
    params:
        settings=lambda w: adapter_slice(PairedSettings, w.loss, w.of, loss=w.loss),
    wildcard_constraints:
        of="|".join(TRAINED_BY),
        loss="|".join(PAIRED),


use rule sft as policy with:
    input:
        base="results/models/sft/manifest.json",
        instructions=lambda w: learned(w.algorithm, w.of, "revisions" if w.of else "instructions"),
        functions=lambda w: literal(path) if (path := config["align"][w.algorithm]["functions"]) else [],
        reward=lambda w: (
            f"results/align/reward{w.of}/manifest.json"
            if REWARD_MODEL in config["align"][w.algorithm]["rewards"]
            else []
        ),
    output:
        adapter="results/align/{algorithm}{of}/manifest.json",
    params:
        settings=lambda w: adapter_slice(PolicySettings, w.algorithm, algorithm=w.algorithm),
    wildcard_constraints:
        of="|".join(TRAINED_BY),
        algorithm="|".join(POLICIES),
