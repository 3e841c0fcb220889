# Raw text in, a served language model out. Each stage's rules are in rules/, each rule's script in scripts/<stage>/.
# `snakemake` builds everything; a named target below, or any file's path, builds that and what it needs.
from pathlib import Path

from stemma.workflow.prerequisites import check_installed
from stemma.workflow.log_filter import be_terse

HOUSE = Path(
    workflow.current_basedir.get_path_or_uri(secret_free=True)
)  # also where another workflow has this as a module
be_terse(workflow)
check_installed(HOUSE)

from llm.config.blocks import schema
from llm.align.settings.methods import methods_of
from llm.deploy.settings.qat import grid_of
from llm.errors import InputError
from llm.model.config import ModelConfig
from llm.training.engines.layout import Layout
from llm.collect.config import archives_of, check_names, check_url, in_parts, parted, reference_sources
from llm.pretrain.segments import checkpoint_steps
from stemma.workflow.config import check
from stemma.workflow.read_errors import refuse_repeated_keys
from stemma.base.errors import StemmaError
from stemma.workflow.escape_wildcards import literal
from stemma.base.settings import Settings
from stemma.workflow.attach import attach
from stemma.workflow.usual_files import name_usual_files


configfile: HOUSE / "config.yaml"


try:
    refuse_repeated_keys([HOUSE / "config.yaml", *map(Path, workflow.config_settings.configfiles)])
    check(config, schema())
    IMPORT, IMPORTED = "imported-model", config.get("imported")  # what `fetch` calls it; what is said of it
    check_url("imported", (IMPORTED or {}).get("url", ""))
    ARCHITECTURE = ModelConfig.from_section(config["model"], config["tokenizer"]["vocab_size"])
    GRID = grid_of(config["quantize"], config["pretrain"], not IMPORTED or IMPORTED["continued"])
    GRID_STEPS = config["quantize"]["qat"]["steps"] if GRID else 0  # the last of pretraining
    STEPS = checkpoint_steps(config["pretrain"], GRID_STEPS)
    LAYOUT = Layout(**config["pretrain"]["parallel"]).validate()
    LAYOUT.ranks_per_node(config["pretrain"]["nodes"])
    LAYOUT.rows_per_rank(config["pretrain"]["batch_size"])
    NAMED = config["corpus"], config["process"]["decontaminate"]["evaluations"]
    check_names(*NAMED, config["sources"])
    PARTS = parted(config["sources"])  # large sources in parts, each with jobs of its own
    SOURCES, EVALUATIONS = (in_parts(names, config["sources"]) for names in NAMED)
    if IMPORTED and IMPORT in config["sources"]:
        raise InputError(f"config: sources.{IMPORT} has the name under which the imported model is fetched; rename it")
    REFERENCE = reference_sources(config["process"]["reference"], config["corpus"], config["sources"])
    METHODS = methods_of(config["align"])
    EVALUATION_ARCHIVES = archives_of(config["evaluate"]["sources"], config["sources"], "evaluate.sources")
    GIVEN_ARCHIVES = {
        name: archives_of([given["source"]], config["sources"], f"align.given.{name}.source")[0]
        for name, given in config["align"]["given"].items()
    }
except (StemmaError, InputError) as error:
    raise WorkflowError(str(error)) from None


# A model made elsewhere has its own tokenizer; pretraining goes on from it where the config says so.
CONTINUED = bool(IMPORTED and IMPORTED["continued"])
ORIGINAL = f"results/{'imported' if CONTINUED else 'models/base'}/manifest.json"
TOKENIZER = ORIGINAL if IMPORTED else "results/tokenizer/tokenizer.model"


wildcard_constraints:
    source=r"[\w.-]+",
    step=r"[1-9]\d*",
    preset=r"[^/]+",


include: "rules/blocks.smk"
include: "rules/collect.smk"
include: "rules/process.smk"
include: "rules/tokenize.smk"
include: "rules/architecture.smk"
include: "rules/pretrain.smk"
include: "rules/align.smk"
include: "rules/package.smk"
include: "rules/deploy.smk"
include: "rules/evaluate.smk"
include: "rules/provenance.smk"


# The names to ask for. Those not here are rules: clean_shards tokenizer token_shards model_config serve_benchmark report.
rule all:
    default_target: True
    input:
        rules.report.input,
        rules.report.output,


rule raw:
    input:
        [f"results/raw/{source}/manifest.json" for source in SOURCES],


rule plan:
    input:
        lambda w: literal(f"results/plan/{PLANNED}.html"),


rule checkpoints:
    input:
        [f"results/pretrain/step-{step}/manifest.json" for step in STEPS],
        "results/pretrain/loss.svg",


rule adapters:
    input:
        [f"results/align/{method}/manifest.json" for method in METHODS],


rule evaluations:
    input:
        [f"results/evaluation/{stage}.json" for stage in GENERATING],
        [f"results/evaluation/quantized/{method}.json" for method in config["quantize"]["methods"]],


rule models:
    input:
        [f"results/models/{stage}/manifest.json" for stage in GENERATING],
        SIGNED["models"],


rule quantized:
    input:
        [f"results/quantized/{method}/manifest.json" for method in config["quantize"]["methods"]],
        SIGNED["quantized"],


# On a cluster these run where snakemake does: fetching needs a network, the others take a moment.
localrules:
    fetch,
    model_config,
    preset_plan,
    model_signature,
    report,
    all,
    raw,
    plan,
    checkpoints,
    adapters,
    evaluations,
    models,
    quantized,
    serve,


name_usual_files(workflow)


onsuccess:
    shell("{SUMMARY}")


attach(
    workflow,
    Settings(
        store=config["store"],
        shared=config["shared_store"],
        key=config["signing"]["key"],
        trusted=tuple(config["signing"]["trusted"]),
        numeric=config["numeric"],
    ),
)
