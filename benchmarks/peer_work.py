"""The same work by others, for the environment of `make peers`; the benchmarks run it: peer_work.py WORK ARGUMENT...

Prints the CPU seconds of each contender as one line of JSON. Imports and a first document, with which tokenizers
are loaded, do not count. Imports nothing of this project, which is not installed there.
"""

import gc
import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as parquet

FIRST = "It loads its tokenizer with the first document that it sees.\n" * 20


def main(name: str, *arguments: str) -> None:
    print(json.dumps(WORKS[name](*arguments)))


def started() -> float:
    """`seconds`, when all is there; later collections of garbage do not walk what is there now."""
    gc.collect()
    gc.freeze()
    return seconds()


def seconds() -> float:
    """CPU seconds of this process and of those that it waited for."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def texts_of(file: str) -> list[str]:
    return parquet.read_table(file, columns=["text"])["text"].to_pylist()


def rensa(file: str) -> dict[str, float]:
    """Signatures and the queries of its LSH index; it verifies nothing and has no clusters."""
    from rensa import RMinHash, RMinHashLSH

    begin = started()
    index = RMinHashLSH(threshold=0.8, num_perm=112, num_bands=28)
    for number, text in enumerate(texts_of(file)):
        words = text.lower().split()
        one = RMinHash(num_perm=112, seed=1)
        one.update([" ".join(words[i : i + 5]) for i in range(max(len(words) - 4, 1))])
        index.query(one)
        index.insert(number, one)
    return {"rensa": seconds() - begin}


def minhash(file: str) -> dict[str, float]:
    """datatrove's four stages, from parquet to what is kept."""
    from datatrove.executor import LocalPipelineExecutor
    from datatrove.pipeline.dedup import (
        MinhashDedupBuckets,
        MinhashDedupCluster,
        MinhashDedupFilter,
        MinhashDedupSignature,
    )
    from datatrove.pipeline.dedup.minhash import MinhashConfig
    from datatrove.pipeline.readers import ParquetReader
    from datatrove.pipeline.writers import JsonlWriter
    from datatrove.utils.word_tokenizers import load_word_tokenizer

    load_word_tokenizer("en").word_tokenize(FIRST)
    config = MinhashConfig(num_buckets=14, hashes_per_bucket=8, n_grams=5)
    begin = started()
    with tempfile.TemporaryDirectory() as base:
        read = ParquetReader(str(Path(file).parent), glob_pattern=Path(file).name)
        signatures, buckets, remove = f"{base}/signatures", f"{base}/buckets", f"{base}/remove"
        stages = [
            (1, read, MinhashDedupSignature(signatures, config)),
            (14, MinhashDedupBuckets(signatures, buckets, config=config)),
            (1, MinhashDedupCluster(buckets, remove, config=config)),
            (1, read, MinhashDedupFilter(remove), JsonlWriter(f"{base}/kept")),
        ]
        for number, (tasks, *steps) in enumerate(stages):
            LocalPipelineExecutor(steps, tasks=tasks, workers=1, logging_dir=f"{base}/logs-{number}").run()
    return {"datatrove": seconds() - begin}


def filters(file: str) -> dict[str, float]:
    """datatrove's filters, each alone and in a chain; they stop at the first reason to drop a document."""
    from datatrove.data import Document
    from datatrove.pipeline.filters import (
        C4QualityFilter,
        FineWebQualityFilter,
        GopherQualityFilter,
        GopherRepetitionFilter,
    )
    from datatrove.utils.text import split_into_parts

    each = [GopherRepetitionFilter(), GopherQualityFilter(), C4QualityFilter(), FineWebQualityFilter()]
    chains = {f"datatrove {type(one).__name__}": [one] for one in each} | {"datatrove": each}
    for one in each:
        one.filter(Document(text=FIRST, id="0"))
    spent = dict.fromkeys(chains, 0.0)
    started()
    for text in texts_of(file):
        for name, chain in chains.items():
            split_into_parts.cache_clear()  # within a chain the words of a document are split once
            begin = seconds()
            for one in chain:
                one.filter(Document(text=text, id="0"))
            spent[name] += seconds() - begin
    return spent


def pii(file: str) -> dict[str, float]:
    """datatrove's formatter, which knows e-mail and IPv4 addresses only."""
    from datatrove.pipeline.formatters import PIIFormatter

    formatter, texts = PIIFormatter(), texts_of(file)
    formatter.format(FIRST)
    begin = started()
    for text in texts:
        formatter.format(text)
    return {"datatrove": seconds() - begin}


def tiktoken(settings: str, file: str, ids: str) -> dict[str, float]:
    """Writes the ids too, a list for each text."""
    import pyarrow
    from tiktoken import Encoding

    given, texts = json.loads(Path(settings).read_text()), texts_of(file)
    ranks = {bytes.fromhex(piece): rank for piece, rank in given["ranks"].items()}
    encoding = Encoding("ours", pat_str=given["pattern"], mergeable_ranks=ranks, special_tokens={})
    begin = started()
    found = encoding.encode_ordinary_batch(texts, num_threads=given["threads"])
    spent = seconds() - begin
    parquet.write_table(pyarrow.table({"ids": found}), ids)
    return {"tiktoken": spent}


WORKS: dict[str, Callable[..., dict[str, float]]] = {
    "rensa": rensa,
    "minhash": minhash,
    "filters": filters,
    "pii": pii,
    "tiktoken": tiktoken,
}

if __name__ == "__main__":
    main(*sys.argv[1:])
