"""What a script opens must be declared: the guard ends it with one line, in the toy and at the hook itself."""

from importlib.metadata import version

import pytest

from tests.stemma.conftest import ALL_RUN, Toy, jobs


def error_of(toy: Toy) -> str:
    """The one error line of a build that must fail; the outputs must not be there."""
    done = toy.snakemake()
    assert done.returncode != 0
    lines = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, done.stderr
    return lines[0]


def test_undeclared_file_of_the_repository(toy: Toy):
    (toy.path / "llm/words.txt").write_text("hidden")
    toy.replace("scripts/s/second.py", "    joined.write", "    Path('llm/words.txt').read_text()\n    joined.write")
    line = error_of(toy)
    assert "second" in line
    assert "opens llm/words.txt, which nobody declared" in line
    assert "DATA_FILES" in line
    toy.replace("llm/other.py", "MARK", "DATA_FILES = ('words.txt',)\nMARK")
    assert "opens llm/words.txt in the checkout, which may change while it runs" in error_of(toy)
    toy.replace("llm/other.py", "MARK", "from pathlib import Path\nWORDS = Path(__file__).with_name('words.txt')\nMARK")
    toy.replace("scripts/s/second.py", "Path('llm/words.txt')", "WORDS")
    toy.replace("scripts/s/second.py", "import MARK", "import MARK, WORDS")
    assert toy.build()[-1] == ("third", "run")


def test_a_syntax_error_in_a_text_is_no_file(toy: Toy):
    """Python looks for a file named <unknown> then, or <string>."""
    toy.replace(
        "scripts/s/second.py",
        "    joined.write",
        "    import ast\n    for parse in (ast.parse, exec):\n        try:\n            parse('def f(:')\n"
        "        except SyntaxError:\n            pass\n    joined.write",
    )
    assert toy.build()[-1] == ("third", "run")


def test_what_is_printed_after_the_error_does_not_hide_it(toy: Toy):
    toy.replace(
        "scripts/s/second.py",
        "    joined.write",
        "    import sys\n    sys.stderr.write('error: this is wrong\\nRuntimeWarning: it was never awaited\\n')\n"
        "    sys.exit(2)\n    joined.write",
    )
    assert "this is wrong (the log is" in error_of(toy)


def test_artifact_of_another_rule(toy: Toy):
    toy.replace("scripts/s/third.py", "    final.write", "    open('results/parts/a.txt')\n    final.write")
    assert "opens results/parts/a.txt, which nobody declared" in error_of(toy)


def test_refusal_cannot_be_swallowed(toy: Toy):
    (toy.path / "llm/words.txt").write_text("hidden")
    toy.replace(
        "scripts/s/second.py",
        "    joined.write",
        "    try:\n        open('llm/words.txt')\n    except BaseException:\n        pass\n    joined.write",
    )
    assert "llm/words.txt" in error_of(toy)
    assert not (toy.path / "results/joined.txt").exists()


def test_module_that_the_closure_does_not_hold(toy: Toy):
    """Found on a path that no reader of imports can follow."""
    (toy.path / "llm/plugins").mkdir()
    (toy.path / "llm/plugins/extra.py").write_text("VALUE = 1\n")
    toy.replace(
        "scripts/s/second.py", "    joined.write", f"    import sys; sys.path.append('{toy.path}/llm/plugins')\n"
        "    import builtins; getattr(builtins, '__import__')('extra')\n    joined.write",
    )  # fmt: skip
    line = error_of(toy)
    assert "loads llm/plugins, but its closure does not hold it" in line


@pytest.mark.parametrize("call", ["__import__('json')", "importlib.import_module('json')", "exec('1')"])
def test_dynamic_import_is_refused_before_anything_runs(toy: Toy, call: str):
    toy.replace("llm/deep/low.py", "    return text", f"    import importlib\n    {call}\n    return text")
    done = toy.snakemake()
    assert done.returncode != 0
    assert jobs(done) == []
    lines = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, done.stderr
    assert "llm/deep/low.py:7: " in lines[0]
    assert "import it by name" in lines[0]


def test_network_is_refused_unless_declared_and_pinned(toy: Toy):
    reach = (
        "    import socket\n    try:\n        socket.create_connection(('192.0.2.1', 9), 0.1)\n"
        "    except OSError:\n        pass\n    joined.write"
    )
    toy.replace("scripts/s/second.py", "    joined.write", reach)
    line = error_of(toy)
    assert "reaches out to 192.0.2.1" in line
    assert "NETWORK = True" in line


def test_loopback_is_allowed(toy: Toy):
    listen = (
        "    import socket\n    server = socket.create_server(('127.0.0.1', 0))\n"
        "    socket.create_connection(server.getsockname(), 5).close()\n    joined.write"
    )
    toy.replace("scripts/s/second.py", "    joined.write", listen)
    assert toy.build()[-1] == ("third", "run")


def test_temporary_files_and_tracebacks_are_allowed(toy: Toy):
    toy.replace(
        "scripts/s/second.py",
        "    joined.write",
        "    import tempfile\n    with tempfile.TemporaryFile() as file:\n        file.write(b'x')\n    joined.write",
    )
    assert toy.build()[-1] == ("third", "run")
    toy.replace("scripts/s/third.py", "return {", "raise ValueError('broken')\n    return {")
    assert "ValueError: broken" in error_of(toy)


def test_packages_that_the_key_does_not_hold_are_not_found(toy: Toy):
    """thinc uses torch where it finds it, and requires none."""
    looked = (
        "    from importlib import metadata, util\n    from thinc.compat import has_torch\n"
        "    found = [has_torch, util.find_spec('torch'), bool(util.find_spec('numpy.linalg'))]\n"
        "    found.append(metadata.version('thinc'))\n"
        "    found += sorted({one.name for one in metadata.distributions()} & {'torch', 'pytest', 'numpy'})\n"
        "    joined.write_text(str(found)); return {}\n"
    )
    toy.replace("scripts/s/second.py", "    joined.write", f"{looked}    joined.write")
    assert toy.build() == ALL_RUN
    assert toy.read("results/joined.txt") == str([False, None, True, version("thinc"), "numpy"])
    toy.replace("scripts/s/second.py", "    from importlib", "    import torch\n    from importlib")
    assert toy.build() == [("second", "run"), ("third", "run")]
    assert toy.read("results/joined.txt").startswith("[True, ModuleSpec(name='torch'")


def test_a_package_that_is_needed_and_in_no_key_is_named(toy: Toy):
    loaded = "    import builtins; getattr(builtins, '__import__')('pytest')\n"
    toy.replace("scripts/s/second.py", "    joined.write", f"{loaded}    joined.write")
    line = error_of(toy)
    assert "No module named 'pytest'; pytest is installed, but nothing that the script imports requires it" in line
    toy.replace("scripts/s/second.py", "'pytest'", "'no_such_module'")
    assert "is installed" not in error_of(toy)


def test_what_a_package_brings_along_stands_in_for_what_is_hidden(toy: Toy):
    """setuptools takes an installed packaging, and its own copy where there is none."""
    code = (
        "    import sys\n    import setuptools\n    joined.write_text(sys.modules['packaging'].__file__); return {}\n"
    )
    toy.replace("scripts/s/second.py", "    joined.write", f"{code}    joined.write")
    assert toy.build() == ALL_RUN
    assert "/setuptools/_vendor/packaging/" in toy.read("results/joined.txt")
