"""Builds a job's environment variables from nothing, so that no setting of the user or machine can change a result
unseen.

There are three kinds of variables. Those that the engine sets (`given`) fix what libraries would otherwise take from
the machine. Others name the job's own places (stemma/execute/sandbox.py). A few are inherited (`passed`), since a job
could not work without them: each of these is in the numeric class, or in the record by its name. Jobs that fetch
inherit more, as their results are pinned by digest: how the user's network, pip and apt are configured.
"""

import hashlib
import os
from collections.abc import Mapping

from stemma.code import numeric
from stemma.code.closure import Closure
from stemma.provenance.record import Job

# These say where programs and libraries are, which GPUs may be used, how long a job may take, what Slurm knows of its
# job, and how ranks reach each other. Those that change bytes are in the numeric class.
PASSED = (
    "PATH", "LD_LIBRARY_PATH", "CUDA_HOME", "CUDA_PATH", "PYTORCH_CUDA_ALLOC_CONF",
    "STEMMA_TIME_LIMIT", "STEMMA_HANG_SECONDS", "STEMMA_NODES",
    *numeric.SELECTING,
)  # fmt: skip
PASSED_PREFIXES = ("SLURM_", "SLURMD_", "NCCL_", "GLOO_", "UCX_", "FI_")
FETCHING = (
    "HOME", "XDG_CONFIG_HOME", "XDG_CONFIG_DIRS", "NETRC", "APT_CONFIG", "SSL_CERT_FILE", "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "ALL_PROXY", "NO_PROXY",
    "http_proxy", "https_proxy", "ftp_proxy", "all_proxy", "no_proxy",
)  # fmt: skip
FETCHING_PREFIXES = ("PIP_",)


def given(job: Job) -> dict[str, str]:
    """Return variables that fix what a process would otherwise take from its surroundings."""
    threads = str(job.threads)
    return numeric.environment(job.numeric) | {
        "PYTHONHASHSEED": "0",
        "PYTHONUNBUFFERED": "1",
        "PYTHONSAFEPATH": "1",
        "PYTHONNOUSERSITE": "1",
        "TZ": "UTC",
        "LC_ALL": "C.UTF-8",
        "USER": "stemma",
        "LOGNAME": "stemma",
        "OMP_NUM_THREADS": threads,
        "MKL_NUM_THREADS": threads,
        "OPENBLAS_NUM_THREADS": threads,
        "POLARS_MAX_THREADS": threads,
        "RAYON_NUM_THREADS": threads,
        "OMP_WAIT_POLICY": "PASSIVE",
        "GOMP_SPINCOUNT": "0",
        "TOKENIZERS_PARALLELISM": "false",
        "HF_HUB_OFFLINE": "1",
        "MPLBACKEND": "svg",
    }


def passed(closure: Closure, surroundings: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the variables that a job with this closure inherits."""
    names = PASSED + (FETCHING if closure.network else ())
    prefixes = PASSED_PREFIXES + (FETCHING_PREFIXES if closure.network else ())
    return {name: value for name, value in surroundings.items() if name in names or name.startswith(prefixes)}


def shown(variables: dict[str, str]) -> dict[str, str]:
    """Return inherited variables as a record may state them: paths by digest, possible secrets only as set."""
    return {name: shown_value(name, value) for name, value in sorted(variables.items())}


def shown_value(name: str, value: str) -> str:
    """Return one value as a record may state it."""
    if name in FETCHING or name.startswith(FETCHING_PREFIXES):
        return "(set)"
    return "sha256:" + hashlib.sha256(value.encode()).hexdigest()[:16] if "/" in value else value
