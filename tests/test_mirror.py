"""Each module of llm/, stemma/, scripts/ and kernels/ has its test; the table of those that are tested elsewhere is
current."""

from tests.mirror import ELSEWHERE, ROOT, modules, pattern_of, where_tested


def test_each_module_has_its_test():
    assert [module for module in modules() if not where_tested(module)] == []
    assert [found for found in map(where_tested, modules()) if not (ROOT / found).is_file()] == []


def test_no_line_of_the_table_is_for_nothing():
    needed = {pattern_of(module) for module in modules() if where_tested(module) == f"tests/{elsewhere(module)}"}
    assert set(ELSEWHERE) - needed == set()


def elsewhere(module: str) -> str | None:
    """What the table says of a module."""
    pattern = pattern_of(module)
    return ELSEWHERE[pattern] if pattern else None
