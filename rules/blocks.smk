# Blocks of the config for the jobs that need them. Params ask for a block by these, which check it against the others
# and against this machine, so that a plan on paper meets no such check.
from llm.align.constitution import read_constitution
from llm.align.settings.methods import constitution_in
from llm.evaluate.settings import EvaluationSettings
from llm.model.counts import parameter_counts
from llm.plan import feasible
from llm.settings import slice_of
from llm.training.engines.layout import Replicas

WEIGHTS_MB = parameter_counts(ARCHITECTURE)["total"] * 4 // 10**6  # in fp32
GPUS = feasible.gpus_here(config["numeric"]) if workflow.local_exec else 0  # of this machine, if jobs run on it


def trained():
    feasible.check_trainable(config.get("plan", {}).get("shape", {}))
    feasible.check_gpus("pretrain", LAYOUT, GPUS)
    if feasible.trains_here(workflow.local_exec):
        feasible.check_memory(ARCHITECTURE, config["pretrain"], feasible.machine_bytes())
    return config["pretrain"]


def aligned():
    feasible.check_alignment(ARCHITECTURE, config["align"])
    feasible.check_gpus("align", Replicas(**config["align"]["parallel"]), GPUS)
    return config["align"]


def adapter_slice(kind, method, of="", **found):
    """of: what it is trained on, if not on the derived pairs."""
    align = aligned()
    feasible.check_adapter(method, align)
    if GRID and method != "reward":  # which is not deployed
        found["grid"] = GRID
    schedules = align["constitution"]["schedules"]
    own = {"schedule": schedules.get(method, schedules["preferences"])} if of else {}
    return slice_of(kind, own, align[method], align, config, **found)


def served():
    feasible.check_serving(ARCHITECTURE, config["serve"])
    return config["serve"]


def here_or_house(path):
    """A file of the user's, or else of this name beside the Snakefile."""
    return literal(path if Path(path).exists() else str(HOUSE / path))


def learned(method, of, derived):
    """Return what a method learns from: what a model made by a constitution, the user's own data or a source's, or what
    is derived."""
    block = config["align"][method]
    named = block["prompts"] if "prompts" in block else block["data"]
    if of or named is None:
        return f"results/align/{derived}{of}/manifest.json"
    return f"results/align/given-{named}/manifest.json" if named in config["align"]["given"] else literal(named)


def constitution_of(wildcards):
    return here_or_house(config["align"]["constitution"]["files"][wildcards.constitution])


def by_constitution(wildcards):
    """What a run has of each constitution that it trains by: what the model made, the control of its preferences, and,
    where there are exact tests, answers to held-out prompts before and after, and of each method's control."""
    found = []
    for name in sorted(set(map(constitution_in, METHODS)) - {""}):
        made = [f"{kind}-{name}" for kind in ("critiques", "revisions", "preferences")]
        found += [f"results/align/{each}/manifest.json" for each in (*made, f"preferences-{name}-random")]
        if read_constitution(Path(here_or_house(config["align"]["constitution"]["files"][name]))).tested:
            methods = [method for method in GENERATING if constitution_in(method) == name]
            controls = [f"{method.removesuffix('-random')}-random" for method in methods]
            stages = dict.fromkeys(["sft", *methods, *controls])
            found += [f"results/align/adherence/{name}/{stage}.json" for stage in stages]
    return found


def evaluation_slice(stage):
    return slice_of(EvaluationSettings, config["evaluate"], aligned(), config, stage=stage)
