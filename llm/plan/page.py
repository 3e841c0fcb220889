"""Renders a plan as one self-contained HTML page without scripts or requests, for light and dark, narrow and wide."""

from html import escape

from llm.plan.svg import drawn
from llm.plan.text import shown

STYLE = """
:root { color-scheme: light dark;
  --paper: light-dark(#fbfaf7, #16181c); --ink: light-dark(#1c1e22, #e6e4df); --soft: light-dark(#55585f, #a9a8a4);
  --rule: light-dark(#dcd8cf, #34373d); --card: light-dark(#ffffff, #1d2025); --accent: light-dark(#1f5fa8, #8ab8ef);
  --c0: light-dark(#2f6db3, #6aa5e8); --c1: light-dark(#d98324, #e8a55c); --c2: light-dark(#3f9063, #69bd8d);
  --c3: light-dark(#b7485a, #df8090); --c4: light-dark(#7a5ba6, #ab90d8); --c5: light-dark(#7a8794, #97a4b1);
  --c6: light-dark(#2b9aa0, #5fc4c9); --c7: light-dark(#a08a2c, #cdb95c); --c8: light-dark(#1c1e22, #e6e4df); }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 1480px; margin: 0 auto; padding: 20px 16px 60px; }
h1 { font-size: 28px; margin: 0 0 4px; }
h2 { font-size: 21px; margin: 0 0 6px; }
h3 { font-size: 16px; margin: 18px 0 6px; }
p { margin: 4px 0 10px; color: var(--soft); max-width: 100ch; overflow-wrap: anywhere; }
nav { display: flex; flex-wrap: wrap; gap: 4px 14px; margin: 10px 0 18px; }
a { color: var(--accent); }
section { background: var(--card); border: 1px solid var(--rule); border-radius: 8px; padding: 16px; margin: 0 0 18px; }
.head { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 10px; margin: 14px 0; }
@media (min-width: 900px) { .head { grid-template-columns: repeat(var(--row), minmax(0, 1fr)); } }
.head div { background: var(--card); border: 1px solid var(--rule); border-radius: 8px; padding: 10px 12px; }
.head b { display: block; font-size: 20px; }
.head span { color: var(--soft); font-size: 14px; }
.both { display: grid; grid-template-columns: minmax(0, 1fr); gap: 8px 36px; align-items: start; }
@media (min-width: 1000px) { .plotted { grid-template-columns: minmax(0, 1fr) minmax(0, 500px); } }
.wide { overflow-x: auto; scrollbar-width: thin; --shade: light-dark(#0005, #000c);
  background: linear-gradient(to right, var(--card) 40%, transparent) 0 0,
    linear-gradient(to left, var(--card) 40%, transparent) 100% 0,
    radial-gradient(farthest-side at 0 50%, var(--shade), transparent) 0 0,
    radial-gradient(farthest-side at 100% 50%, var(--shade), transparent) 100% 0;
  background-attachment: local, local, scroll, scroll; background-repeat: no-repeat;
  background-size: 40px 100%, 40px 100%, 14px 100%, 14px 100%; }
table { border-collapse: collapse; font-size: 14px; min-width: 100%; }
th, td { text-align: left; padding: 4px 14px 4px 0; border-bottom: 1px solid var(--rule); vertical-align: top; }
th { color: var(--soft); font-weight: 600; }
.number { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
td.words { min-width: 11ch; max-width: 60ch; }
td.long { min-width: 24ch; }
figure { margin: 10px 0 0; max-width: 560px; }
figcaption { font-weight: 600; margin-bottom: 4px; }
svg { width: 100%; height: auto; display: block; }
svg text { fill: var(--ink); font-size: 13px; }
svg .strong { font-weight: 600; }
.grid { stroke: var(--rule); }
.line { fill: none; stroke-width: 2.5; }
.limit { stroke: var(--ink); stroke-dasharray: 4 3; }
.mark { fill: var(--ink); }
dt { font-weight: 600; }
dd { margin: 0 0 6px; color: var(--soft); overflow-wrap: anywhere; }
@media (max-width: 600px) { main { padding: 12px 8px 40px; } section { padding: 12px 10px; } }
"""
HEAD = (
    ("parameters", "parameters.Parameters"),
    ("active parameters", "parameters.Active parameters"),
    ("tokens", "tokens.Tokens planned"),
    ("FLOPs of the training", "flops.FLOPs of the training"),
    ("a step", "time.Step"),
    ("training time", "time.Days"),
    ("cost", "time.Cost"),
    ("memory per GPU", "memory.On a GPU, as planned"),
    ("KV cache per token", "storage.KV cache per token"),
    ("checkpoint", "storage.Checkpoint with optimizer"),
)


def page(plan: dict) -> str:
    """Return the HTML of a plan made by llm/plan/report.py. Equal plans give equal bytes."""
    sections = plan["sections"]
    found = {f"{part['place']}.{entry['name']}": entry for part in sections for entry in part["figures"]}
    cluster, title = plan["cluster"], f"Plan: {plan['preset']}"
    told = {key: shown(entry["value"], entry["unit"].removeprefix("exact ")) for key, entry in found.items()}
    head = [f"<div><b>{escape(told[key])}</b><span>{escape(name)}</span></div>" for name, key in HEAD if key in told]
    links = [f'<a href="#{part["place"]}">{escape(part["title"])}</a>' for part in sections]
    fits = "" if plan["fits"] else "<p><strong>The layout planned does not fit a GPU's memory.</strong></p>"
    idle = cluster["gpus"] - plan["working_gpus"]
    if idle:
        fits += f"<p><strong>{idle:,} GPUs are idle: see <a href=#layouts>the best layouts</a>.</strong></p>"
    shape = ", ".join(f"{key} {value}" for key, value in plan["shape"].items() if value not in (False, 0))
    sources = [f"<dt>{escape(name)}</dt><dd>{escape(told)}</dd>" for name, told in plan["sources"].items()]
    return "".join(
        [
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(title)}</title><style>{STYLE}</style></head><body><main>",
            f"<h1>{escape(title)}</h1><p>{cluster['gpus']:,} x {escape(cluster['gpu'])}. {escape(shape)}.</p>{fits}",
            f'<div class="head" style="--row: {-(-len(head) // 2)}">{"".join(head)}</div>',
            f'<nav>{"".join(links)}<a href="#sources">Sources</a></nav>',
            *(part_of(part) for part in sections),
            f'<section id="sources"><h2>Sources</h2><dl>{"".join(sources)}</dl></section>',
            "</main></body></html>\n",
        ]
    )


def part_of(part: dict) -> str:
    """Return a section's HTML: its note, its plots, its figures with formula and source, its tables."""
    figures = [
        [entry["name"], shown(entry["value"], entry["unit"]), entry["formula"], entry["source"]]
        for entry in part["figures"]
    ]
    plots = "".join(
        f"<figure><figcaption>{escape(plot['title'])}</figcaption>{drawn(plot)}</figure>" for plot in part["plots"]
    )
    tables = [rows_of(["figure", "value", "formula", "source"], figures, (1,))] if figures else []
    tables += [table_of(some) for some in part["tables"]]
    beside = f'<div class="both plotted"><div>{tables[0]}</div><div>{plots}</div></div>' if plots else tables[0]
    head = f"<h2>{escape(part['title'])}</h2><p>{escape(part['note'])}</p>"
    return f'<section id="{part["place"]}">{head}{beside}{"".join(tables[1:])}</section>'


def table_of(some: dict) -> str:
    columns = some["columns"]
    rows = [[shown(row[column["name"]], column["unit"]) for column in columns] for row in some["rows"]]
    numeric = [number for number, column in enumerate(columns) if column["unit"]]
    note = f"<p>{escape(some['note'])}</p>" if some["note"] else ""
    return f"<h3>{escape(some['title'])}</h3>{note}{rows_of([column['name'] for column in columns], rows, numeric)}"


def rows_of(columns: list[str], rows: list[list[str]], numeric) -> str:
    """Return a table's HTML. Numbers are right-aligned; a table that is too wide scrolls by itself, with a shade on the
    side where it continues.
    """
    heads = "".join(
        f"<th{' class=number' if number in numeric else ''}>{escape(name)}</th>" for number, name in enumerate(columns)
    )
    body = "".join(
        "<tr>"
        + "".join(
            f'<td class="{kind_of(number in numeric, cell)}">{escape(cell)}</td>' for number, cell in enumerate(row)
        )
        + "</tr>"
        for row in rows
    )
    return f'<div class="wide" tabindex="0"><table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>'


def kind_of(number: bool, cell: str) -> str:
    """Return the cell's CSS class, so that long text does not become a column of single words on a narrow screen."""
    if number and len(cell) < 36:
        return "number"
    return "words long" if len(cell) > 24 else "words"
