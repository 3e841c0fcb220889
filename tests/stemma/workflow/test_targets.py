"""What a person may ask snakemake for, and what a misspelt target is answered."""

import pytest

from tests.stemma.conftest import ALL_RUN, Toy

NOT_MADE = {
    "results/part": "results/part: no rule makes it; did you mean results/parts?",
    "results/parts/a.txt": "results/parts/a.txt: no rule makes it; it is in results/parts, ask for that",
    "text.txt": "text.txt: no rule makes it; it is there already",
    "thrid": "thrid: no rule makes it; did you mean third?",
    "results/each/zwei.txt": "results/each/zwei.txt: no rule makes it; did you mean results/each/two.txt?",
    "each": "each: this rule makes a file for each of many names; ask for one of them, "
    "for example results/each/one.txt",
    "xyzzy": "xyzzy: no rule makes it; `snakemake --list-target-rules` says what there is",
}
EACH = """
rule each:
    input:
        joined=lambda w: {"one": "results/joined.txt", "two": "results/joined.txt"}[w.name],
    output:
        final="results/each/{name}.txt",
    log:
        "results/logs/{name}.log",
    shell:
        "python -m stemma run scripts/s/third.py {params.flags}"

attach("""


@pytest.mark.parametrize("word", ["results/parts", "./results/parts/", "results//parts/manifest.json"])
def test_an_artifact_is_asked_for_by_its_directory(toy: Toy, word: str):
    assert toy.build(word) == ALL_RUN[:1]
    assert toy.build(str(toy.path / "results/parts")) == []
    assert toy.build(word, "--forcerun", "results/parts") == [("first", "hit")]


def test_what_nothing_makes_gets_a_suggestion(toy: Toy):
    toy.replace("Snakefile", "\nattach(", EACH)
    toy.replace(
        "Snakefile",
        '"results/final.txt",\n\n',
        '"results/final.txt", "results/each/one.txt", "results/each/two.txt",\n\n',
    )
    for word, line in NOT_MADE.items():
        done = toy.snakemake(word)
        assert done.returncode != 0
        assert done.stderr.splitlines()[1:] == [f"error: {line}"]
    assert not (toy.path / "results").exists()
