"""Skips work that Snakemake does for every job of a plan and no job needs: with ten thousand jobs, half its time."""

from collections.abc import Callable

from snakemake.dag import DAG

from stemma.base.patches import put


def plan_without_params(check: Callable) -> None:
    """Plan jobs without evaluating their params, which Snakemake does to find a conda environment that a rule may name
    by them, and again when a job's turn comes. Instead `check` is called with every job of a plan, before any runs."""
    inner = DAG.update_conda_envs

    def update_conda_envs(dag) -> None:
        jobs = list(dag.jobs)
        for job in jobs:
            check(job)
        if any(job.rule.conda_env is not None for job in jobs):
            inner(dag)

    put(DAG, "DAG.update_conda_envs", update_conda_envs)
