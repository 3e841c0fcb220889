"""A script sees its declared inputs and nothing beside them, whatever stands in results/."""

import json

from tests.stemma.conftest import Toy

NESTED = """
rule nested:
    input:
        joined="results/joined.txt",
    output:
        final="results/parts/nested/manifest.json",
    log:
        "results/logs/nested.log",
    shell:
        "python -m stemma run scripts/s/{rule}.py {params.flags}"

attach("""
SCRIPT = """from pathlib import Path
from llm.command import command


def main(joined: Path, final: Path) -> dict:
    (final / 'part.txt').write_text('nested')
    return {}


if __name__ == '__main__':
    command(main)
"""


def listing(toy: Toy) -> None:
    """From now on the second script writes down all that it finds in and beside what it is given."""
    toy.replace(
        "scripts/s/second.py",
        "joined.write_text(",
        "import json\n    inside = sorted(str(f.relative_to(parts)) for f in parts.rglob('*'))\n"
        "    seen = [str(parts), inside, sorted(f.name for f in parts.parent.iterdir())]\n"
        "    joined.write_text(json.dumps(seen)) or (",
    )


def test_a_directory_holds_what_its_manifest_lists(built: Toy):
    """An empty directory, another artifact's, a hidden file: what another config, or a person, left there."""
    built.replace("Snakefile", "\nattach(", NESTED)
    (built.path / "scripts/s/nested.py").write_text(SCRIPT)
    assert built.build("results/parts/nested/manifest.json") == [("nested", "run")]
    (built.path / "results/parts/cppreference").mkdir()
    (built.path / "results/parts/.hidden").write_text("mine")
    listing(built)
    assert ("second", "run") in built.build()
    path, inside, beside = json.loads(built.read("results/joined.txt"))
    assert path.endswith("/results/parts")
    assert inside == ["a.txt", "b.txt", "manifest.json"]
    assert beside == ["parts"]
    assert (built.path / "results/parts/.hidden").read_text() == "mine"


def test_an_error_names_the_input_where_it_is_declared(built: Toy):
    built.replace("scripts/s/second.py", "joined.write_text(", "raise InputError(f'{parts}/x: missing')\n    (")
    built.replace("scripts/s/second.py", "from llm.other", "from llm.errors import InputError\nfrom llm.other")
    done = built.snakemake()
    assert "error: second results/joined.txt: results/parts/x: missing (the log is" in done.stderr
