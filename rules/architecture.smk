from functools import cache

from llm.plan.presets import plan_blocks, plan_files
from stemma.workflow.config import with_numbers

PLANS = plan_files(HOUSE / "config.yaml", HOUSE / "presets", list(map(Path, workflow.config_settings.configfiles)))
PLANNED = list(PLANS)[-1]
GIVEN = workflow.config_settings.config


# The blocks of a config that its plan is made of.
blocks = cache(lambda preset: plan_blocks(PLANS, preset, GIVEN))
planned = cache(
    lambda preset: with_numbers(
        {"tokenizer": {"vocab_size": blocks(preset)["vocab_size"]}}
        | {key: blocks(preset)[key] for key in ("model", "plan")},
        schema(),
    )
)


rule model_config:
    input:
        tokenizer="results/tokenizer/vocab.json",
    output:
        config="results/model/config.json",
    params:
        model=config["model"],
    resources:
        mem_mb=300,
    shell:
        "python -m stemma run scripts/architecture/model_config.py {params.flags}"


rule preset_plan:
    output:
        report="results/plan/{preset}.json",
        page="results/plan/{preset}.html",
    params:
        preset=lambda w: w.preset,
        model=lambda w: planned(w.preset)["model"],
        vocab_size=lambda w: planned(w.preset)["tokenizer"]["vocab_size"],
        plan=lambda w: planned(w.preset)["plan"],
    resources:
        mem_mb=300,
    shell:
        "python -m stemma run scripts/architecture/preset_plan.py {params.flags}"
