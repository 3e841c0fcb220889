"""Describes a cluster: what its GPUs can do and what they cost.

Peaks are dense (no sparsity), in bf16 (fp16 on V100) and in fp8. The catalogue's figures come from the makers' data
sheets; a config may state its own instead. GB are 10^9 bytes.
"""

from dataclasses import dataclass, fields

from llm.checks import only_known, positive_whole, within
from llm.errors import InputError
from llm.plan.failures import LLAMA3_GPU_HOURS_PER_FAILURE

# name: (peak TFLOP/s in bf16, in fp8 (0: none), memory GB, memory GB/s, GB/s to each other in a node, GB/s between
# nodes), bandwidths one way; last the efficiency, fitted to published runs on A100 and H100 (docs/plan.md), assumed for
# the others.
GPUS = {
    "v100-32gb": (125.0, 0, 32, 900, 150, 12.5, 0.6),
    "a100-40gb": (312.0, 0, 40, 1555, 300, 25.0, 0.75),
    "a100-80gb": (312.0, 0, 80, 2039, 300, 25.0, 0.75),
    "h100-80gb": (989.4, 1978.9, 80, 3350, 450, 50.0, 0.625),
    "h800-80gb": (989.4, 1978.9, 80, 3350, 200, 50.0, 0.625),
    "h200-141gb": (989.4, 1978.9, 141, 4800, 450, 50.0, 0.625),
    "b200-180gb": (2250.0, 4500.0, 180, 8000, 900, 50.0, 0.6),
    "mi300x-192gb": (1307.4, 2614.9, 192, 5300, 448, 50.0, 0.6),
    "tpu-v3": (123.0, 0, 32, 900, 82, 82.0, 0.6),
    "tpu-v4": (275.0, 0, 32, 1200, 300, 300.0, 0.6),
}
DESCRIBED = ("peak_tflops", "fp8_tflops", "memory_gb", "memory_gb_s", "intra_gb_s", "inter_gb_s", "efficiency")
COUNTED = ("model", "hardware")


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """`gpu`: a name of the catalogue. The seven keys after gpus_per_node replace its figures; others are assumptions.

    efficiency: of the peak, reached by large matrix products; it stands for what the cost model does not count.
    link_efficiency: of the links' bandwidth, reached by collectives. storage_gb_s: what all ranks together write to
    storage. tflops: measured, per GPU; takes the place of the cost model in days and cost; mfu: the same as a share
    of the bf16 peak; tokens_per_second: the same, of all GPUs together. tflops_count: what a stated tflops or mfu
    counts, model FLOPs, or hardware FLOPs, recomputation included, as Megatron-LM's papers and BLOOM's do.
    usable_memory: the rest is the runtime's own and fragmentation. gpu_hours_per_failure: 50,677 in Llama 3's run
    (Dubey et al. 2024).
    """

    gpu: str = "h100-80gb"
    gpus: int = 8
    gpus_per_node: int = 8
    peak_tflops: float
    fp8_tflops: float | None = None
    memory_gb: float
    memory_gb_s: float
    intra_gb_s: float
    inter_gb_s: float
    efficiency: float
    link_efficiency: float = 0.8
    storage_gb_s: float = 50.0
    usable_memory: float = 0.92
    tflops: float | None = None
    mfu: float | None = None
    tokens_per_second: float | None = None
    tflops_count: str = "model"
    price_per_gpu_hour: float = 2.0
    gpu_hours_per_failure: float = LLAMA3_GPU_HOURS_PER_FAILURE
    restart_minutes: float = 15.0

    @classmethod
    def from_section(cls, section: dict) -> "Cluster":
        """Return the validated cluster of a config's `plan.cluster`, with missing figures taken from the catalogue.

        Raises InputError that names the key.
        """
        known = [field.name for field in fields(cls)]
        only_known(section, known, "plan.cluster")
        given = {key: value for key, value in section.items() if value is not None}
        gpu = given.get("gpu", cls.gpu)
        sheet = dict(zip(DESCRIBED, GPUS.get(gpu, ()), strict=False))
        missing = [key for key in DESCRIBED if key not in sheet | given and key != "fp8_tflops"]
        if missing:
            raise InputError(
                f"plan.cluster.gpu: {gpu!r} is not one of {', '.join(GPUS)}; choose one, or state {', '.join(missing)}"
            )
        cluster = cls(**(sheet | given))
        for key in ("gpus", "gpus_per_node"):
            positive_whole(getattr(cluster, key), f"plan.cluster.{key}")
            within(getattr(cluster, key), f"plan.cluster.{key}", most=1e9)
        for key in (key for key in known[3:] if key != "tflops_count" and key in given):
            within(given[key], f"plan.cluster.{key}")
        stated = [key for key in ("tflops", "mfu", "tokens_per_second") if key in given]
        if len(stated) > 1:
            raise InputError(f"plan.cluster: {' and '.join(stated)} state the same thing; leave one out")
        if cluster.tflops_count not in COUNTED:
            raise InputError(f"plan.cluster.tflops_count: {cluster.tflops_count!r} is not one of {', '.join(COUNTED)}")
        return cluster

    @property
    def usable_bytes(self) -> float:
        return self.memory_gb * 1e9 * self.usable_memory

    @property
    def stated_tflops(self) -> float | None:
        """TFLOP/s per GPU that the config states, directly or by its MFU; None if it states neither."""
        return self.mfu * self.peak_tflops if self.mfu is not None else self.tflops

    def faster(self, precision: str) -> float:
        """Return how many times as fast as in bf16 the layers' matrix products run in `precision`.

        Raises InputError if the GPU has no fp8.
        """
        if precision != "fp8":
            return 1.0
        if not self.fp8_tflops:
            raise InputError(f"plan.precision: {self.gpu} has no fp8; choose another precision, or state fp8_tflops")
        return self.fp8_tflops / self.peak_tflops
