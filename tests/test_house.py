"""The house in order: rules match scripts, imports flow one way, nothing hides from the closure."""

import ast
import inspect
import re
import runpy
from pathlib import Path
from textwrap import dedent, indent

import pytest

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = sorted((ROOT / "scripts").rglob("*.py"))
SOURCES = [file for top in ("llm", "kernels", "scripts", "stemma") for file in sorted((ROOT / top).rglob("*.py"))]
ORDER = {"scripts": {"llm", "kernels"}, "llm": {"llm", "kernels"}, "kernels": {"kernels"}, "stemma": {"stemma"}}
SECTIONS = ("input", "output", "params", "log", "benchmark", "wildcard_constraints", "threads", "resources", "shell")
RULE = re.compile(
    r"^( *)(?:rule|use rule (\w+) as) (\w+)(?::| with:)\n((?:\1    .*\n|\n)+)", re.MULTILINE
)  # some stand in an `if`


def rules() -> dict[str, tuple[Path, str]]:
    """Rule name -> (file, body) of every rule that runs a script; `use rule a as b with` has the sections of `a` that
    it does not say itself."""
    found: dict[str, tuple[Path, str]] = {}
    for file in sorted((ROOT / "rules").glob("*.smk")):
        for match in RULE.finditer(file.read_text()):
            _, like, name, body = match.groups()
            body = indent(dedent(body), "    ")
            if like in found:
                own = sections(body)
                merged = sections(found[like][1]) | own
                body = "".join(merged[section] for section in SECTIONS if section in merged)
            if "stemma run" in body:
                found[name] = (file, body)
    return found


def sections(body: str) -> dict[str, str]:
    """Section -> its text."""
    parts = re.split(r"^(?=    \w+:)", body, flags=re.MULTILINE)
    return {part.split(":")[0].strip(): part for part in parts if part.strip()}


def imported(file: Path) -> set[str]:
    """Top-level names that a file imports."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize("name", rules())
def test_rule_and_signature_agree(name):
    """The names of a rule's inputs, outputs and params are the arguments of its script's main."""
    file, body = rules()[name]
    script = re.search(r"stemma run (\S+)", body)[1].replace("{rule}", name)
    like = re.search(rf"^ *use rule (\w+) as {name} with:", file.read_text(), re.MULTILINE)
    assert Path(script).stem in (name, like and like[1]), "a script is called after its rule, or after the first alike"
    declared = set()
    for section in ("input", "output", "params"):
        part = re.search(rf"^    {section}:\n((?:        .*\n)+)", body, re.MULTILINE)
        declared |= set(re.findall(r"^        (\w+)=", part[1], re.MULTILINE)) if part else set()
    arguments = inspect.signature(runpy.run_path(str(ROOT / script))["main"]).parameters
    required = {n for n, a in arguments.items() if a.default is inspect.Parameter.empty}
    assert declared <= arguments.keys(), f"{file.name}: {declared - arguments.keys()} unknown to {script}"
    assert required <= declared, f"{file.name}: {required - declared} of {script} not given"


@pytest.mark.parametrize("name", rules())
def test_sections_stand_in_one_order(name):
    body = rules()[name][1]
    found = re.findall(r"^    (\w+):", body, re.MULTILINE)
    assert found == [section for section in SECTIONS if section in found]
    assert {"output", "resources", "shell"} <= set(found)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: str(script.relative_to(ROOT)))
def test_a_script_runs_its_main(script):
    assert script.read_text().endswith('if __name__ == "__main__":\n    command(main)\n')


def test_every_script_has_its_rule():
    named = {re.search(r"stemma run (\S+)", body)[1].replace("{rule}", name) for name, (_, body) in rules().items()}
    assert named == {str(script.relative_to(ROOT)) for script in SCRIPTS}


@pytest.mark.parametrize("file", SOURCES, ids=lambda file: str(file.relative_to(ROOT)))
def test_imports_flow_one_way(file):
    top = file.relative_to(ROOT).parts[0]
    ours = imported(file) & {"stemma", "llm", "kernels", "scripts", "rules", "tests"}
    assert ours <= ORDER[top]


def test_only_kernels_are_compiled():
    """One folder is compiled, whose machine code stemma/code/compiled_kernels.py keeps: anything else compiled would go
    unkept."""
    direct = [file for file in SOURCES if "numba" in imported(file)]
    assert {file.relative_to(ROOT).parts[0] for file in direct} == {"kernels"}
    compilers = [file for file in SOURCES if re.search(r"\b(njit|vectorize|guvectorize|cfunc)\(", file.read_text())]
    assert [str(file.relative_to(ROOT)) for file in compilers] == ["kernels/jit.py"]
    users = [file for file in SOURCES if "kernels.jit import" in file.read_text()]
    assert users
    assert {file.relative_to(ROOT).parts[0] for file in users} == {"kernels"}


@pytest.mark.parametrize(
    "file", [f for f in SOURCES if f.relative_to(ROOT).parts[0] != "stemma"], ids=lambda f: str(f.relative_to(ROOT))
)
def test_nothing_hides_from_the_closure(file):
    """Dynamic imports and evaluated code would be dependencies that no key holds."""
    for node in ast.walk(ast.parse(file.read_text())):
        called = node.func if isinstance(node, ast.Call) else None
        name = getattr(called, "id", None) or ""
        if isinstance(called, ast.Attribute) and isinstance(called.value, ast.Name) and called.value.id == "importlib":
            name = f"importlib.{called.attr}"
        assert name not in ("__import__", "exec", "eval", "importlib.import_module"), f"{file}:{node.lineno}"


@pytest.mark.parametrize(
    "file", [f for f in SOURCES if f.name == "__init__.py"], ids=lambda f: str(f.relative_to(ROOT))
)
def test_a_room_says_what_it_is_for_and_no_more(file):
    """A docstring is in no key; a name taken in here would be in the key of whatever the room holds."""
    body = ast.parse(file.read_text()).body
    assert len(body) == 1, "a docstring, and nothing else"
    assert ast.get_docstring(ast.Module(body, []))


@pytest.mark.parametrize("file", SOURCES, ids=lambda file: str(file.relative_to(ROOT)))
def test_a_file_says_what_it_is(file):
    """How long it may be is a matter of its subject; `python -m tests.house` lists the longest."""
    lines = file.read_text().splitlines()
    assert not lines or lines[0].startswith(('"""', 'r"""')), "a module says what it does, and what not"
