"""Names the log and the benchmark file of every rule in one place, so that a rule states only what is its own.

They are results/logs/<rule>/<wildcards>.log and results/benchmarks/<rule>/<wildcards>.tsv. A rule that names its own
keeps them.
"""

from stemma.workflow.rules import runs_engine


def name_usual_files(workflow) -> None:
    """Give each rule that runs the engine a log and a benchmark file. Called in a Snakefile, after its rules."""
    for rule in workflow.rules:
        if not runs_engine(rule):  # of another workflow, which has this one as a module
            continue
        name = "/".join([rule.name, *(f"{{{wildcard}}}" for wildcard in sorted(rule.wildcard_names))])
        if not rule.log:
            rule.log_modifier = rule.output_modifier  # the prefix that such a workflow may ask for
            rule.set_log(f"results/logs/{name}.log")
        if not rule.benchmark:
            rule.benchmark_modifier = rule.output_modifier
            rule.benchmark = f"results/benchmarks/{name}.tsv"
