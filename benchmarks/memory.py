"""Peak memory of every job from raw text to token shards on a generated corpus of some GB, by the real Snakemake.

python benchmarks/memory.py [--gb 10] [--directory DIR] [--targets TARGET ...] [--cores 2] [--set KEY=VALUE ...]

The corpus is English-looking text of common words, made from a seed: documents of 4 kB on average, one in 20 an exact
and one in 20 a near duplicate of an earlier one, one in 50 with an address, one in 1,000 with an item of an evaluation
set. It is kept in DIR, and so is what was built: run it again with other targets, and only these are built. Figures are
those of the jobs' records. The limit to hold is 2 GiB.
"""

import argparse
import itertools
import json
import os
import random
import subprocess
import sys
from pathlib import Path

import yaml

from stemma.base.settings import ROOT, Settings
from stemma.planning.call import merged, overrides
from stemma.provenance.catalogue import current
from stemma.provenance.trust import Records

LIMIT = 2 << 30
FILE = 256 << 20  # bytes of a file of the corpus
COMMON = """
the be to of and that have with a in it for not on he as you do at this but his by from they we say her she or an will
my one all would there their what so up out if about who get which go me when make can like time no just him know take
people into year your good some could them see other than then now look only come its over think also back after use
two how our work first well way even new want because any these give day most us
"""
STEMS = """
act age air art base bear blood board boat body bone book bridge bright build burn call care carry cart case chance
change city class clean clear close cloud coast cold colour corn count country cover cross dance dark deep door dream
drive earth edge farm father field fire fish floor flower form friend garden glass gold grain grand grass green ground
guard hand harbour heart heat hill horse house island journey keep king kitchen land language law leaf letter light
line machine market master meadow measure metal mind mother mountain music name night north ocean order paper path
picture place plain plant point power press price print prince question rain record region rest river road rock room
root salt sand school sea season seed sense shade shape ship shore silver sister smoke snow soil song sound south
space spring square stage star station steam stone storm story stream street summer sun table teach temple theory
thread tower town trade tree valley village voice wall war water wave weather wheel wild wind winter wood word world
"""
ENDINGS = ("", "s", "ed", "ing", "er", "less", "ful", "like", "ward")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gb", type=float, default=10)
    parser.add_argument("--directory", type=Path, default=Path("/tmp/stemma-memory"))
    parser.add_argument("--targets", nargs="+", default=["results/mix/tokens.json"])
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE")
    options = parser.parse_args()
    corpus = options.directory / "corpus"
    write_corpus(corpus, int(options.gb * 1e9))
    config = {
        "corpus": ["synthetic"],
        "sources": {name: source(path) for name, path in (("synthetic", corpus), ("exam", options.directory / "exam"))},
        "process": {"decontaminate": {"evaluations": ["exam"]}},
    }
    overlay = options.directory / "overlay.yaml"
    overlay.write_text(yaml.safe_dump(merged(config, overrides(options.set))))
    snakemake = [
        sys.executable,
        "-m",
        "snakemake",
        "--snakefile",
        ROOT / "Snakefile",
        "--profile",
        ROOT / "profiles/default",
    ]
    arguments = ["--directory", options.directory, "--cores", options.cores, "--configfile", overlay, "--"]
    done = subprocess.run([*map(str, [*snakemake, *arguments]), *options.targets], cwd=options.directory, check=False)
    os.chdir(options.directory)
    table(int(options.gb * 1e9))
    sys.exit(done.returncode)


def source(path: Path) -> dict:
    return {"path": str(path), "format": "jsonl", "domain": "web", "license": "CC0-1.0"}


def write_corpus(directory: Path, size: int) -> None:
    """Files of JSON lines, `size` bytes in all; nothing is done where they are there. The evaluation set beside it."""
    done = directory.parent / "corpus.json"
    if done.exists() and json.loads(done.read_text()) == {"bytes": size}:
        return
    directory.mkdir(parents=True, exist_ok=True)
    (directory.parent / "exam").mkdir(exist_ok=True)
    drawn = random.Random(0)
    items = [" ".join(sentence(drawn) for _ in range(3)) for _ in range(200)]
    lines = (json.dumps({"text": item}) + "\n" for item in items)
    (directory.parent / "exam/items.jsonl").write_text("".join(lines))
    texts = documents(drawn, items)
    written = 0
    for number in itertools.count():
        with (directory / f"{number:04d}.jsonl").open("w") as file:
            while file.tell() < FILE and written + file.tell() < size:
                file.writelines(
                    json.dumps({"text": text, "title": text[:40]}) + "\n" for text in itertools.islice(texts, 100)
                )
            written += file.tell()
        if written >= size:
            break
    done.write_text(json.dumps({"bytes": size}))


def documents(drawn: random.Random, items: list[str]):
    """Texts without end."""
    pool = [sentence(drawn) for _ in range(50_000)]
    recent: list[list[str]] = []
    for number in itertools.count():
        kind = drawn.random()
        if recent and kind < 0.1:
            sentences = list(drawn.choice(recent))
            if kind < 0.05:
                sentences[drawn.randrange(len(sentences))] = sentence(drawn)
        else:
            n = max(3, min(2000, int(drawn.lognormvariate(3.2, 0.8))))
            sentences = [f"{drawn.choice(VOCABULARY).capitalize()} number {number} it is."]
            sentences += [sentence(drawn) if i % 3 == 0 else drawn.choice(pool) for i in range(n)]
            recent = [*recent[-999:], sentences]
        if number % 50 == 0:
            sentences = [*sentences, f"Write to {drawn.choice(VOCABULARY)}.{number}@example.com for more of it."]
        if number % 1000 == 0:
            sentences = [*sentences, drawn.choice(items)]
        yield "\n\n".join(" ".join(sentences[i : i + 6]) for i in range(0, len(sentences), 6))


VOCABULARY = [*COMMON.split(), *(stem + ending for ending in ENDINGS for stem in STEMS.split())]
WEIGHTS = list(itertools.accumulate(1 / (5 + rank) for rank in range(len(VOCABULARY))))


def sentence(drawn: random.Random) -> str:
    """Words by Zipf's law."""
    words = drawn.choices(VOCABULARY, cum_weights=WEIGHTS, k=drawn.randint(8, 24))
    return " ".join(words).capitalize() + "."


def table(size: int) -> None:
    """Rule, peak memory, CPU seconds and speed of the jobs whose records are here, the highest peak first."""
    jobs = {}
    for item in current(Records.of(Settings.here())):
        jobs[item.pointer.action] = (item.usage["peak_memory_bytes"], item.rule, item.target, item.usage["cpu_seconds"])
    print(f"{'rule':16}{'peak MB':>9}{'CPU s':>9}{'MB/s':>8}  of {size / 1e6:,.0f} MB of corpus")
    for peak, rule, target, cpu in sorted(jobs.values(), reverse=True):
        over = "  over the limit" if peak > LIMIT else ""
        print(f"{rule:16}{peak / 1e6:9,.0f}{cpu:9,.1f}{size / 1e6 / max(cpu, 0.01):8,.1f}  {target}{over}")


if __name__ == "__main__":
    main()
