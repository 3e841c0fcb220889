"""What each key of the configuration is tried with, and which scripts read it: the tables of test_staleness.py."""

from pathlib import Path

from llm.align.settings.paired import PAIRED
from llm.align.settings.policy import POLICIES

ROOT = Path(__file__).resolve().parents[3]
# What is off in the default run and has keys of its own.
BASE = {
    "process": {"duplicates": {"substring": {"min_bytes": 400}}, "pii": {"name": "report"}},
    "align": {"lora": {"target_modules": ["q_proj", "v_proj"]}},  # of every architecture
    "pretrain": {"parallel": {"data": 2}},  # that two nodes can share
    "quantize": {
        "methods": {"qat-int4": {"bits": 4, "group_size": 64, "scales": "absmax"}, "qat-int8": {"bits": 8}},
        "qat": {"method": "qat-int4", "steps": 1450},
    },
}
LEARNING = {"sft": "sft", "reward": "reward", "kto": "kto", **dict.fromkeys(PAIRED, "paired")}  # from given answers
# Keys that a script is not told as a key of its slice, but worked out, or as its inputs; "": keys that reach no script.
READERS = {
    "seed": "minhash clean mix quality_model toxicity_model pretrain qat instructions preferences sft reward kto "
    "paired policy suite evaluate calibration serve_benchmark generate critiques revisions ai_preferences adherence",
    "align.methods": "report",  # inputs
    "align.max_tokens": "sft reward kto paired policy evaluate",
    "align.sft.full": "sft",
    "evaluate.suite": "suite",  # an input
    "package.shard_bytes": "package merge quantize",  # and scripts of imported models
    "store": "",
    "shared_store": "",
    "signing.trusted": "",
    "signing.key": "",
    "corpus": "candidates edges deduplicate substrings clean_shards token_shards quality_model package report",
    "process.overrides": "clean",
    "process.duplicates.ranges": "minhash candidates edges deduplicate",
    "process.reference.curated": "perplexity_model quality_model",
    "process.reference.raw": "quality_model",
    "process.reference.toxicity.source": "toxicity_model",
    "process.decontaminate.evaluations": "decontaminate",
    "tokenizer.vocab_size": "tokenizer preset_plan",
    "pretrain.steps": "pretrain package loss_plot report",
    "pretrain.checkpoint_every": "pretrain qat loss_plot report",
    "pretrain.schedule": "pretrain qat",
    "pretrain.warmup_steps": "pretrain qat",
    "pretrain.beta2": "pretrain qat",
    "pretrain.decay_steps": "pretrain qat",
    "pretrain.tail_steps": "",  # of cosine
    "pretrain.final_fraction": "pretrain qat",
    "pretrain.validation_tokens": "pretrain",
    "pretrain.nodes": "",
    "pretrain.time_limit": "",
    "pretrain.hang_seconds": "",
    "quantize.methods": "quantize",
    "quantize.qat.method": "qat sft kto paired policy",
    "quantize.qat.steps": "qat",
    **{f"align.{method}.{name}": "policy" for method in POLICIES for name in ("functions", "prompts")},  # inputs
    **{f"align.{method}.data": script for method, script in LEARNING.items()},  # inputs
    "align.given": "",  # until a method names it
    "align.constitution.files": "critiques revisions ai_preferences adherence",  # an input
    "align.constitution.prompts": "critiques adherence",
    "align.constitution.prefer": "ai_preferences",
    **{
        f"align.constitution.schedules.{kind}.{key}": script
        for kind, script in {"sft": "sft", "reward": "reward", "preferences": "paired"}.items()
        for key in ("steps", "batch_size", "learning_rate", "warmup_steps", "weight_decay")
    },
}
VALUES: dict[str, object] = {
    "store": "elsewhere",
    "shared_store": "elsewhere",
    "signing.trusted": ["key.pem"],
    "signing.key": "key.pem",
    "corpus": ["foldoc", "jargon", "wikipedia", "shakespeare", "cppreference", "sympy", "scikit-learn"],
    "process.thresholds": {"n_words": {"max": 7}},
    "process.pii": {"email": "drop"},
    "process.overrides": {"code": {"n_words": {"max": 7}}},
    "process.duplicates.bands": 27,
    "process.duplicates.rows": 3,
    "process.reference.curated": ["foldoc"],
    "process.reference.raw": ["sympy"],
    "process.reference.toxicity.text": "words",
    "process.reference.toxicity.label": "toxic",
    "process.reference.toxicity.source": "jargon",
    "process.decontaminate.evaluations": ["human-eval", "comments"],
    "serve.arrival_rates": [5.0],
    "package.inventory.prompts": ["Another text."],
    "process.mix.weights": {"web": 0.5},
    "process.mix.epochs": {"web": 2},
    "process.mix.quality": [{"top_fraction": 0.5, "factor": 2}],
    "model.d_model": 256,
    "model.n_heads": 4,
    "model.n_kv_heads": 2,
    "model.d_head": 32,
    "model.rope_scaling": {"rope_type": "linear", "factor": 2.0},
    "plan.cluster.gpu": "a100-80gb",
    "plan.shape": {"dropout": True},
    "pretrain.batch_size": 18,
    "pretrain.parallel.data": 4,
    "pretrain.parallel.sharding": "full",
    "pretrain.steps": 5800,
    "pretrain.checkpoint_every": 725,
    "align.methods": ["ppo", "grpo", "dpo-checkable", "ipo"],
    "align.max_tokens": 127,
    "align.lora.target_modules": ["q_proj"],
    "align.instructions.kinds": {"definition": ["jargon"]},
    "align.instructions.train_counts": {"definition": 7},
    "align.instructions.validation_counts": {"definition": 7},
    "align.instructions.languages": ["de"],
    "align.preferences.train_counts": {"irrelevant": 7},
    **{f"align.{method}.rewards": {"brevity": 0.5} for method in POLICIES},
    **{f"align.{method}.functions": str(ROOT / "llm/align/rewards.py") for method in POLICIES},
    **{f"align.{method}.prompts": str(ROOT / "llm/align") for method in POLICIES},
    **{f"align.{method}.data": str(ROOT / "llm/align") for method in LEARNING},
    "align.given": {"own": {"source": "jargon", "include": ["*"]}},
    "align.preferences.validation_counts": {"irrelevant": 7},
    "align.constitution.files": {
        "natural": "constitutions/natural.yaml",
        "checkable": str(ROOT / "tests/llm/config/brief.yaml"),
    },
    "align.constitution.prompts": {"train": 7, "validation": 7},
    "align.constitution.prefer": "judged",
    "evaluate.suite": str(ROOT / "evaluation/bigbench.yaml"),
    "evaluate.sources": ["comments"],
    "quantize.calibration.length": 64,  # no more than the context
    "quantize.calibration.domains": ["web"],
    "quantize.qat.method": "qat-int8",
    "quantize.qat.steps": 2900,
    "quantize.methods": {"qat-int8": {"group_size": 32}},
    "serve.prompt_tokens": [8, 65],
    "serve.new_tokens": [4, 41],
    "serve.prompts": ["Who?"],
}
MEGATRON = {"engine": "megatron"}
# What has to change along with a key; the same scripts read it.
ALONG = {
    "pretrain.parallel.tensor": MEGATRON,
    "pretrain.parallel.pipeline": MEGATRON,
    "pretrain.parallel.context": MEGATRON,
    "pretrain.parallel.virtual": MEGATRON | {"pipeline": 2},
    "pretrain.parallel.sequence": MEGATRON | {"tensor": 2},
}
# Of a source: a key, another value, the scripts that are told otherwise.
SOURCE = [
    ("format", "text", "collect"),
    ("include", ["*"], "collect"),
    ("exclude", ["*.md"], "collect"),
    ("archives", ["*.zip"], "collect"),
    ("column", "body", "collect"),
    ("extractor", "precise", "collect"),
    ("domain", "web", "collect clean package"),  # another domain's overrides
    ("license", "MIT", "collect package"),
    ("refused_licenses", ["GPL-*"], "collect"),
    ("apt", "dict-jargon=1", "fetch collect"),  # the beginning of every document's url
    ("sha256", "0" * 64, "fetch"),
    ("parts", 2, "candidates edges deduplicate substrings clean_shards token_shards quality_model report"),
]

# align.<block> -> script
METHODS = {"sft": "sft", "reward": "reward", "kto": "kto"}
METHODS |= dict.fromkeys(PAIRED, "paired") | dict.fromkeys(POLICIES, "policy")
# Where pretraining is not there, or of an engine that knows no grid.
OFF_GRID = {"quantize": {"qat": {"steps": 0}}}
# Of a model made elsewhere: likewise.
IMPORTED = {"pypi": "m==1", "file": "m-1.whl", "sha256": "1" * 64, "license": "MIT"}
OF_IMPORTED = [
    ("pypi", "m==2", "fetch import_model"),  # the record and the card say the origin
    ("file", "m.whl", "fetch"),
    ("sha256", "2" * 64, "fetch"),
    ("member", "*.gguf", "import_model"),
    ("license", "Apache-2.0", "import_model"),
]
