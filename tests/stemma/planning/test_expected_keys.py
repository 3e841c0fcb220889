"""What a script can see of its rule beside params and bytes is in its key: names, suffixes, threads, the shell line."""

from stemma.base.digest import canonical, plain
from stemma.code.closure import Closure
from stemma.planning.job_hash import key_of, suffix_of
from tests.stemma.conftest import Toy

SHELL = '        final="results/final.txt",\n    log:\n        "results/logs/third.log",\n    shell:\n        "'
MARKED = "    final.write_text(joined.read_text()[::-1])"


def remake(toy: Toy, line: str) -> None:
    """Let the last script write another text."""
    toy.replace("scripts/s/third.py", "from pathlib", "import os\nfrom pathlib")
    toy.replace("scripts/s/third.py", MARKED, f"    final.write_text({line})")


def move(toy: Toy, old: str, new: str) -> None:
    """Another path for an artifact, wherever the Snakefile names it."""
    text = toy.read("Snakefile")
    assert old in text
    (toy.path / "Snakefile").write_text(text.replace(old, new))


def test_of_names_a_script_sees_inputs_and_suffixes(built: Toy):
    """Two sources of equal bytes are two to a script that writes their names; of an output it sees the suffix alone."""
    remake(built, "joined.name + ' ' + final.name")
    assert built.build() == [("third", "run")]
    move(built, "results/final.txt", "results/end/last.txt")
    assert built.build() == [("third", "hit")]
    assert built.read("results/end/last.txt") == "joined.txt final.txt"
    move(built, "results/end/last.txt", "results/final.md")
    assert built.build() == [("third", "run")]
    assert built.read("results/final.md") == "joined.txt final.md"
    move(built, "results/joined.txt", "results/renamed.txt")
    assert built.build() == [("second", "hit"), ("third", "run")]
    assert built.read("results/final.md") == "renamed.txt final.md"


def test_threads_count_and_are_those_that_the_rule_declares(built: Toy):
    built.replace("Snakefile", SHELL, SHELL.replace("    shell", "    threads: 5\n    shell"))
    remake(built, "os.environ['OMP_NUM_THREADS']")
    assert built.build() == [("third", "run")]
    assert built.read("results/final.txt") == "5", "not as few as this machine has"
    built.replace("Snakefile", "threads: 5", "threads: lambda w, attempt: 4 + attempt")
    assert built.build("--cores", "1") == []
    assert built.build("--set-threads", "third=3") == [("third", "run")]
    assert built.read("results/final.txt") == "3"


def test_threads_that_cannot_be_known_beforehand_are_one_line(toy: Toy):
    toy.replace("Snakefile", SHELL, SHELL.replace("    shell", "    threads: lambda w, input: len(input)\n    shell"))
    done = toy.snakemake()
    assert done.returncode != 0
    [line] = [line for line in done.stderr.splitlines() if "rule third" in line]
    assert "let them follow from wildcards or config" in line


def test_what_stands_in_the_shell_line_counts(built: Toy):
    """Variables, and names of the Snakefile by their value; resources change no bytes, spaces nothing."""
    built.replace("Snakefile", SHELL, SHELL + "A={config[unused]} B={resources.mem_mb} ")
    assert built.build("--set-resources", "third:mem_mb=66") == [("third", "run")]
    built.replace("Snakefile", SHELL, SHELL + "  ")
    assert built.build("--set-resources", "third:mem_mb=77") == []
    assert built.build("--set-resources", "third:mem_mb=77", "--config", "unused=2") == [("third", "run")]
    built.replace("Snakefile", "A={config", "export C; A={config")
    assert built.build("--set-resources", "third:mem_mb=77") == [("third", "run")]


def test_equal_numbers_are_one_value(built: Toy):
    assert built.build("--config", "times=2.0") == []


def test_plain_numbers():
    assert canonical(plain([1.0, (2.5, -3.0), True, {"a": "1.0"}])) == b'[1,[2.5,-3],true,{"a":"1.0"}]'
    assert plain(1e300) == 1e300
    assert canonical(plain(float(2**53))) == b"9007199254740992"


def test_suffixes():
    paths = ("results/a", "a.b/c.tar.gz", "results/x/manifest.json")
    assert list(map(suffix_of, paths)) == ["", ".tar.gz", "/"]


def test_every_part_of_the_recipe_tells():
    closure = Closure({}, {}, {}, {}, {})
    base = {"params": {"a": 1}, "inputs": [("x", "d/f.txt", "1")], "outputs": [("y", "o.txt")], "threads": 1}
    base |= {"shell": "", "numeric": "exact"}
    other = {
        "params": {"a": 2}, "inputs": [("x", "d/g.txt", "1")], "outputs": [("y", "o.md")], "threads": 2,
        "shell": "A=1", "numeric": "portable",
    }  # fmt: skip
    keys = {key_of(closure, **base)} | {key_of(closure, **base | {name: value}) for name, value in other.items()}
    assert len(keys) == 1 + len(other)
    assert key_of(closure, **base | {"inputs": [("x", "elsewhere/f.txt", "1")]}) == key_of(closure, **base)
