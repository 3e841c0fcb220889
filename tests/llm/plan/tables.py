"""The tables of docs/plan.md and docs/description.md, made of the rows that are tested.

`python -m tests.llm.plan.tables` writes them anew.
"""

from pathlib import Path

from llm.plan.text import shown
from tests.llm.plan.claims import claims
from tests.llm.plan.mixtures import CACHES, MIXTURE_FLOPS, MIXTURE_TIMES, MIXTURES
from tests.llm.plan.published import PARAMETERS, STORAGE, TOTAL_FLOPS, Row
from tests.llm.plan.runs import COST_MODEL, MIXED, OUTSIDE, TIMES, UTILISATION

DOCS = Path(__file__).resolve().parents[3] / "docs"
PAGES = (DOCS / "plan.md", DOCS / "description.md")


def tables() -> dict[str, str]:
    """Marker -> Markdown."""
    reproduced = [*PARAMETERS, *TOTAL_FLOPS, *TIMES, *UTILISATION, *STORAGE]
    mixtures = [*MIXTURES, *MIXTURE_FLOPS, *MIXTURE_TIMES, *CACHES]
    return {
        "reproduced": of_rows(reproduced),
        "mixtures": of_rows(mixtures),
        "cost model": of_rows([*COST_MODEL, *OUTSIDE, *MIXED]),
        "description": of_claims(),
    }


def of_rows(rows: list[Row]) -> str:
    lines = ["| model | quantity | published | computed | error | source |", "|---|---|---:|---:|---:|---|"]
    for row in rows:
        published, computed = (
            f"{value:,.6g}" if value < 1e6 else f"{value:.5g}" for value in (row.published, row.computed)
        )
        lines.append(f"| {row.model} | {row.quantity} | {published} | {computed} | {row.error:+.2%} | {row.source} |")
    return "\n".join(lines)


def of_claims() -> str:
    lines = ["| block | it says | computed | verdict |", "|---|---|---:|---|"]
    for block, claim, _, computed, unit, verdict in claims():
        lines.append(f"| {block} | {claim} | {shown(computed, unit)} | {verdict} |")
    return "\n".join(lines)


def written(page: str) -> str:
    """The page with every table between its markers made anew."""
    for name, table in tables().items():
        start, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
        if start not in page:
            continue
        before, rest = page.split(start)
        page = f"{before}{start}{table}\n{end}{rest.split(end)[1]}"
    return page


if __name__ == "__main__":
    for path in PAGES:
        path.write_text(written(path.read_text(encoding="utf-8")), encoding="utf-8")
