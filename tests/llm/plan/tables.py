"""The tables of docs/plan.md, made of the rows that are tested. `python -m tests.llm.plan.tables` writes them anew."""

from pathlib import Path

from llm.plan.seed import claims
from llm.plan.text import shown
from tests.llm.plan.published import PARAMETERS, STORAGE, TOTAL_FLOPS, Row
from tests.llm.plan.runs import COST_MODEL, OUTSIDE, TIMES, UTILISATION

PAGE = Path(__file__).resolve().parents[3] / "docs/plan.md"


def tables() -> dict[str, str]:
    """Marker -> Markdown."""
    reproduced = [*PARAMETERS, *TOTAL_FLOPS, *TIMES, *UTILISATION, *STORAGE]
    return {
        "reproduced": of_rows(reproduced),
        "cost model": of_rows([*COST_MODEL, *OUTSIDE]),
        "seed": of_seed(),
    }


def of_rows(rows: list[Row]) -> str:
    lines = ["| model | quantity | published | computed | error | source |", "|---|---|---:|---:|---:|---|"]
    for row in rows:
        published, computed = (
            f"{value:,.6g}" if value < 1e6 else f"{value:.5g}" for value in (row.published, row.computed)
        )
        lines.append(f"| {row.model} | {row.quantity} | {published} | {computed} | {row.error:+.2%} | {row.source} |")
    return "\n".join(lines)


def of_seed() -> str:
    lines = ["| block | the seed says | computed | why |", "|---|---|---:|---|"]
    for block, claim, _, computed, unit, verdict in claims():
        if not verdict.startswith("right"):
            lines.append(f"| {block} | {claim} | {shown(computed, unit)} | {verdict} |")
    return "\n".join(lines)


def written(page: str) -> str:
    """The page with every table between its markers made anew."""
    for name, table in tables().items():
        start, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
        before, rest = page.split(start)
        page = f"{before}{start}{table}\n{end}{rest.split(end)[1]}"
    return page


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
