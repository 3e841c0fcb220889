"""Every rule has a log and a benchmark file, whether it names them or not; its own names stay."""

from tests.stemma.conftest import Toy

IMPORT = "from stemma.workflow.attach import attach\n"


def test_a_rule_that_names_none_has_the_usual_ones(toy: Toy):
    toy.replace("Snakefile", '    log:\n        "results/logs/first.log",\n', "")
    toy.replace("Snakefile", "results/logs/second.log", "results/logs/of/its/own.log")
    toy.replace("Snakefile", '"results/final.txt",\n\nrule', '"results/end/final.txt",\n\nrule')
    toy.replace("Snakefile", 'final="results/final.txt"', 'final="results/{place}/final.txt"')
    toy.replace("Snakefile", '    log:\n        "results/logs/third.log",\n', "")
    toy.replace("Snakefile", IMPORT, f"{IMPORT}from stemma.workflow.usual_files import name_usual_files\n")
    toy.replace("Snakefile", "\nattach(", "\nname_usual_files(workflow)\nattach(")
    toy.build()
    for name in ("first", "of/its/own", "third/end"):
        assert (toy.path / f"results/logs/{name}.log").is_file()
    for name in ("first", "second", "third/end"):
        assert "cpu_time" in toy.read(f"results/benchmarks/{name}.tsv")
