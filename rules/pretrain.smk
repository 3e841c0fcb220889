from llm.pretrain.segments import segment_slice
from llm.training.settings import OptimizerSettings

RANKS, NODES = LAYOUT.world_size, config["pretrain"]["nodes"]
# Of Slurm: a task on each node with its ranks' processors, the first of which has srun start the ranks. `mpi` leaves srun
# to the job; tasks_per_gpu keeps `tasks` from being taken for it.
SPREAD = {"mpi": "srun", "nodes": NODES, "tasks": NODES, "cpus_per_task": RANKS // NODES, "tasks_per_gpu": 0}
START = dict(zip(STEPS, [0, *STEPS]))
ON_GRID = [step for step in STEPS if START[step] >= config["pretrain"]["steps"] - GRID_STEPS]


rule ngram_baseline:
    input:
        tokens="results/tokens/manifest.json",
        model=TOKENIZER,
    output:
        report="results/pretrain/ngram.json",
    resources:
        mem_mb=1500,
    shell:
        "python -m stemma run scripts/pretrain/ngram_baseline.py {params.flags}"


if CONTINUED:

    rule initial_checkpoint:
        input:
            imported=ORIGINAL,
        output:
            checkpoint="results/pretrain/step-0/manifest.json",
        params:
            settings=slice_of(OptimizerSettings, config["pretrain"]),
        resources:
            mem_mb=1000 + 5 * WEIGHTS_MB,
        shell:
            "python -m stemma run scripts/pretrain/initial_checkpoint.py {params.flags}"


rule pretrain:
    input:
        config=ORIGINAL if CONTINUED else "results/model/config.json",
        tokens="results/tokens/manifest.json",
        plan="results/mix/plan.parquet",
        previous=lambda w: (
            f"results/pretrain/step-{START[int(w.step)]}/manifest.json" if CONTINUED or START[int(w.step)] else []
        ),
    output:
        checkpoint="results/pretrain/step-{step}/manifest.json",
    params:
        settings=lambda w: segment_slice(trained(), config["seed"], START[int(w.step)], int(w.step)),
    wildcard_constraints:
        step="|".join(str(step) for step in STEPS if step not in ON_GRID) or "none",
    threads: RANKS  # of products this small, a second thread a rank gives nothing and loses much on a busy machine
    resources:
        **(SPREAD if NODES > 1 else {}),
        mem_mb=2000 * RANKS // NODES,  # of each node
        on_nodes=NODES,
        time_limit=config["pretrain"]["time_limit"] or 0,
        hang_seconds=config["pretrain"]["hang_seconds"],
    shell:
        "STEMMA_TIME_LIMIT={resources.time_limit} STEMMA_HANG_SECONDS={resources.hang_seconds} STEMMA_NODES={resources.on_nodes} "
        "python -m stemma run scripts/pretrain/{rule}.py {params.flags}"


if ON_GRID:

    use rule pretrain as qat with:
        params:
            settings=lambda w: segment_slice(trained(), config["seed"], START[int(w.step)], int(w.step), grid=GRID),
        wildcard_constraints:
            step="|".join(map(str, ON_GRID)),


rule loss_plot:
    input:
        checkpoints=[f"results/pretrain/step-{step}/manifest.json" for step in STEPS],
        ngram="results/pretrain/ngram.json",
    output:
        plot="results/pretrain/loss.svg",
    resources:
        mem_mb=500,
    shell:
        "python -m stemma run scripts/pretrain/loss_plot.py {params.flags}"
