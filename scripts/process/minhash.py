"""Sign one source's documents by MinHash, and write the keys of the signatures' bands to their ranges."""

from pathlib import Path

import numpy as np

from kernels import minhash, minhash_gpu
from llm.command import command
from llm.io import parquet
from llm.io.range_shuffle import write_ranges
from llm.io.utf8 import pieces
from llm.process.dedup import lsh
from llm.process.settings.minhash import MinhashSettings
from llm.progress import progress


def main(documents: Path, facts: Path, entries: list[Path], *, settings: MinhashSettings) -> dict:
    """documents: directory of raw parquet shards. facts: empty directory to fill, id, digest and size of each document.
    entries: an empty directory for each range of keys."""
    lsh.check_bands(settings.bands, settings.rows, settings.permutations)
    factors = minhash.coefficients(settings.permutations, settings.seed)
    on_gpu = minhash_gpu.available()
    signatures = minhash_gpu.signatures if on_gpu else minhash.signatures
    n = n_bytes = 0
    for path in parquet.parts(documents):
        frame = parquet.read(path, ["id", "sha256", "text"])
        known = lsh.facts(frame)
        parts = (signatures(*piece, *factors, settings.shingle_words) for piece in pieces(frame["text"]))
        signed = np.concatenate([np.empty((0, settings.permutations), dtype=np.uint32), *parts])
        found = lsh.keys(lsh.names(known), signed, bands=settings.bands, rows=settings.rows)
        write_ranges(found, "key", entries, path.name)
        parquet.write(known, facts / path.name)
        n += len(frame)
        n_bytes += int(known["bytes"].sum())
        progress(f"signed {n:,} documents, {n_bytes / 1e6:.1f} MB")
    return {"documents": n, "bytes": n_bytes, "gpu": on_gpu}


if __name__ == "__main__":
    command(main)
