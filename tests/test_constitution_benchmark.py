"""The benchmark of constitutional AI: what its small model is taught is true, and a figure has to beat its control."""

from benchmarks.constitution import CHECKABLE, ROWS, missed, table
from benchmarks.constitution_world import conversations
from llm.align.constitution import read_constitution
from llm.align.feedback import says_broken


def test_the_small_model_is_taught_what_the_exact_tests_say():
    constitution = read_constitution(CHECKABLE)
    by_request = {principle.critique: principle for principle in constitution.principles}
    broken = []
    for told in conversations(constitution, 400, 1):
        _, answer, request, critique, _, revision = (message["content"] for message in told)
        principle = by_request[request]
        broken.append(not principle.follows(answer))
        assert says_broken(principle, critique) is broken[-1] and principle.follows(revision)
    assert 0.4 < sum(broken) / len(broken) < 0.6


def test_a_figure_has_to_beat_its_control_by_two_standard_errors():
    def found(*gains: float) -> list[dict[str, float]]:
        return [{"gain": gain, "gain_random": 1.0} for gain in gains]

    assert not missed(found(5.0, 6.0, 7.0), "gain", "gain_random")
    assert missed(found(-5.0, 2.0, 7.0), "gain", "gain_random")
    assert missed(found(5.0), "gain", "gain_random"), "one seed has no error"
    assert missed([{}], "gain", "gain_random"), "what was not measured does not hold"
    lines = table(found(5.0, 6.0, 7.0)).splitlines()
    assert sum("not measured" in line for line in lines) == len(ROWS) - 1
    assert any("| 6.0 | 1.0 | 5.0 ± 0.6 | holds |" in line for line in lines)
