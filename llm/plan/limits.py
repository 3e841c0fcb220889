"""Lists what the cost model cannot explain, with measured errors, and whether a plan is one of those cases."""

from llm.plan.figures import table
from llm.plan.request import Request
from llm.plan.search import Found

MANY_RANKS = 64  # ZeRO 3 over more data ranks than this is slower than its rings


def limits_table(request: Request, chosen: Found) -> dict:
    """Tabulate one limit per row and whether it concerns this plan. The errors are those of docs/plan.md's tables."""
    setup, shape = chosen.setup, request.shape
    rounds = setup.micro_batches(request.batch_size)
    rows = [
        [
            "Small batches: fewer micro-batches than pipeline stages, or very few tokens on a GPU",
            "BLOOM's first steps, 16 sequences on 384 A100: half of the time measured (-50%)",
            rounds * setup.virtual < setup.pipeline or request.batch_tokens / request.cluster.gpus < 1024,
        ],
        [
            "ZeRO 3 over many nodes: rings count at their bandwidth, which DeepSpeed's did not reach in 2021",
            "GPT-3 175B on 384 to 1,536 A100: -25% to -69%",
            setup.zero == 3 and setup.replicas > MANY_RANKS,
        ],
        [
            "Mixtures: every expert gets equally many tokens, and nothing hides the all-to-alls",
            "DeepSeek-V3 on 2,048 H800, which hides them: +106%; without them -7%",
            bool(shape.experts),
        ],
        [
            "fp8: casts and scales cost nothing, and its products reach the same share of their peak as bf16's",
            "not measured",
            request.precision == "fp8",
        ],
        [
            "Recomputation: the gain of selective over full",
            "Megatron 22B to 1T: -3% to +6% of the gain",
            setup.recompute != "none",
        ],
        ["Stragglers, the data loader, evaluation, checkpoints and restarts: not in a step", "not measured", True],
    ]
    columns = ["what it cannot explain", "error seen", "concerns this plan"]
    return table("Limits of the cost model", columns, ["", "", ""], rows)
