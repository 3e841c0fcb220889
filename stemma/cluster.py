"""What a job asks for beyond its rule's own figures, on a cluster and when it is tried again.

A rule's `mem_mb` is what its script needs. Around it run the processes that Snakemake starts on a node, and a job that
was killed for want of memory gets more of it next time. Profiles do the same for `runtime`.
"""

from collections.abc import Callable

NESTED_MB = 400  # two snakemakes and the runner, measured: 150, 150 and 25 MB resident, some of it shared


def grow_memory(workflow) -> None:
    """Each attempt of a job asks for its rule's `mem_mb` again. What is computed already stays as it is."""
    for rule in workflow.rules:
        declared = rule.resources.get("mem_mb")
        if declared is not None and not declared.is_evaluable() and declared.value is not None:
            rule.resources["mem_mb"] = growing(declared.value, workflow)


def growing(declared: int, workflow) -> Callable:
    """The resource function of one rule."""

    def mem_mb(wildcards, attempt):
        return declared * attempt + (0 if workflow.local_exec else NESTED_MB)

    return mem_mb
