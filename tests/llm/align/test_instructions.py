import polars as pl
import pytest

from llm.align.instructions import Document, continuation, definition, docstring, function, instruction_pairs, passage
from llm.align.settings.instructions import InstructionSettings, Limits
from llm.errors import InputError

LIMITS = Limits(min_answer=20, max_answer=120, max_prompt=300)
FOLDOC = (
    "markup\n\n<text> In computerised document preparation, a method of\n"
    "adding information. See {TeX}.\n\n(1994-11-30)\n"
)
JARGON = (
    "manged\n\n/mahnjd/, n.\n\n"
    "   [from French] Refers to anything that is\n   mangled or damaged. J. Random Hacker said so.\n"
)
WEB = (
    "std::swap\n\nFrom cppreference.com\n\ntemplate< class T >\nvoid swap( T& a, T& b );\t(1)\n\n"
    "Exchanges the given values, whatever they are.\n\nParameters\n"
)
CODE = '''
import math

class Circle:
    """A circle."""

    @property
    def area(self, scale=1.0):
        """Return the area that the circle covers.

        More about it here.
        """
        radius = self.radius * scale
        return math.pi * radius**2

    def undocumented(self):
        return 1

def short(): "one line"
'''


def document(text: str, title: str = "", name: str = "s/00000001") -> Document:
    return Document(name, text, title, "s")


def test_definition_is_the_first_real_paragraph_without_its_category():
    (row,) = definition(document(FOLDOC, "markup"), LIMITS)
    question, answer = row["messages"]
    assert answer["content"] == ("In computerised document preparation, a method of adding information. See {TeX}.")
    assert '"markup"' in question["content"] and question["role"] == "user" and answer["role"] == "assistant"
    (row,) = definition(document(JARGON, "manged"), LIMITS)
    assert row["messages"][1]["content"].startswith("[from French] Refers")


def test_answers_are_cut_at_a_sentence_not_at_an_initial():
    (row,) = definition(document(JARGON, "manged"), Limits(20, 80, 300))
    assert row["messages"][1]["content"] == "[from French] Refers to anything that is mangled or damaged."
    assert definition(document("x\n\n" + "word " * 90, "x"), LIMITS) == []


def test_passage_skips_listings_and_drops_the_sites_name():
    (row,) = passage(document(WEB, "std::swap - cppreference.com"), LIMITS)
    question, answer = (message["content"] for message in row["messages"])
    assert answer == "Exchanges the given values, whatever they are."
    assert "std::swap" in question and "cppreference" not in question
    assert passage(document("Title\n\n1 2 3 4 5 6 7 8 9 10 11 12 13.\n", "Title"), LIMITS) == []


def test_functions_with_docstrings_both_ways():
    (row,) = docstring(document(CODE), LIMITS)
    question, answer = (message["content"] for message in row["messages"])
    assert answer == "Return the area that the circle covers."
    code = "def area(self, scale=1.0):\n    radius = self.radius * scale\n    return math.pi * radius**2"
    assert question.endswith(code) or code in question
    (row,) = function(document(CODE), LIMITS)
    question, answer = (message["content"] for message in row["messages"])
    assert answer == code
    assert "area(self, scale=1.0)" in question and "Return the area that the circle covers." in question


DOCUMENTED = '"""Return what is asked for, and nothing else."""'
NOT_PYTHON = [
    "def broken(:\n  '''x'''",
    "int main() { return 0; }",
    "",
    'def f():\n\t"""doc"""\n        return "\0"\n',
    f"def f():\n    {DOCUMENTED}\n    return {'-' * 100_000}1\n",
]


@pytest.mark.parametrize("text", NOT_PYTHON)
def test_what_is_not_python_gives_nothing(text):
    assert docstring(document(text), LIMITS) == []


@pytest.mark.parametrize("head", ["def f(a, b): ", "def f(\n    a, b\n): "])
def test_a_docstring_on_the_line_of_its_def_leaves_no_code_to_ask_about(head):
    text = f"{head}{DOCUMENTED}; return a + b + 'a long text that is long enough'\n"
    assert docstring(document(text), LIMITS) == [] and function(document(text), LIMITS) == []


def test_continuation_cuts_near_the_middle():
    text = "The first sentence is this one here. The second one follows it at once. A third closes the paragraph."
    (row,) = continuation(document(f"Heading\n\n{text}"), LIMITS)
    question, answer = (message["content"] for message in row["messages"])
    beginning = question.rsplit("\n\n", 1)[1]
    assert f"{beginning} {answer}" == text and answer.endswith("paragraph.")
    assert continuation(document("One long sentence without any end" + " that goes on and on" * 3), LIMITS) == []


def test_limits_hold():
    assert definition(document(FOLDOC, "markup"), Limits(20, 120, 5)) == []
    assert definition(document("a\n\nshort.", "a"), LIMITS) == []


@pytest.fixture
def clean(tmp_path):
    """A directory of clean shards: two sources, one of them in two parts."""

    def write(source, part, rows):
        (tmp_path / source).mkdir(exist_ok=True)
        columns = ["id", "text", "title", "source", "domain", "language", "split"]
        frame = pl.DataFrame([dict(zip(columns, row, strict=True)) for row in rows])
        frame.write_parquet(tmp_path / source / f"part-{part:05}.parquet")
        pl.DataFrame({"id": ["x"], "reason": ["y"]}).write_parquet(tmp_path / source / "dropped.parquet")

    def entry(n, split="train", language="en"):
        text = f"word{n}\n\nThe meaning of the word with the number {n}.\n"
        return (f"dict/{n:08}", text, f"word{n}", "dict", "encyclopedic", language, split)

    write("dict", 0, [entry(n) for n in range(20)] + [entry(n, language="de") for n in range(20, 25)])
    write("dict", 1, [entry(n) for n in range(25, 30)] + [entry(n, "validation") for n in range(30, 35)])
    write("tool", 0, [("tool/00000000", CODE, None, "tool", "code", None, "train")])
    return tmp_path


def pairs(clean, split="train", counts=None, seed=0, kinds=None):
    kinds = kinds or {"definition": ["encyclopedic"], "docstring": ["tool"]}
    counts = counts or {"definition": 8, "docstring": 8}
    told = InstructionSettings(kinds=kinds, train_counts={}, validation_counts={}, limits=LIMITS, seed=seed)
    return instruction_pairs(clean, split, counts, told)


def test_pairs_come_from_the_split_the_languages_and_the_origins(clean):
    rows = pairs(clean, counts={"definition": 100, "docstring": 100})
    numbers = {int(row["id"][5:13]) for row in rows if row["kind"] == "definition"}
    assert numbers == set(range(20)) | set(range(25, 30))
    assert [row["source"] for row in rows if row["kind"] == "docstring"] == ["tool"]
    assert {int(row["id"][5:13]) for row in pairs(clean, "validation")} == set(range(30, 35))
    assert len({row["id"] for row in rows}) == len(rows)
    assert pairs(clean, kinds={"continuation": ["*"]}, counts={"continuation": 5}) == []


def test_selection_is_seeded_and_grows_without_reshuffling(clean):
    few, many = pairs(clean)[:8], pairs(clean, counts={"definition": 16, "docstring": 1})[:16]
    assert few == many[:8] and pairs(clean) == pairs(clean)
    assert pairs(clean, seed=1)[:8] != few
    assert len({row["messages"][0]["content"].split('"')[0] for row in many}) > 1


def test_bad_kinds_are_named(clean, tmp_path):
    with pytest.raises(InputError, match="unknown kind 'poem'"):
        pairs(clean, kinds={"poem": ["*"]})
    with pytest.raises(InputError, match="'passage' has no count for the train split"):
        pairs(clean, kinds={"passage": ["*"]})
    with pytest.raises(InputError, match="clean_shards"):
        pairs(clean / "dict")
