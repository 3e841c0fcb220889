"""Gives all the text of an HTML tree, for formats whose pages have no boilerplate: books and posts."""

import re
from collections.abc import Sequence

from resiliparse.extract.html2text import extract_plain_text
from resiliparse.parse.html import DOMContext, HTMLTree, traverse_dom

LISTS = ("ul", "ol")
LONG = 4_000  # characters: the attributes of a shorter tag cost nothing
LONG_TAG = re.compile(rf"<([a-zA-Z][^\s/<>]{{0,40}}+)(?:=\s*+(?:\"[^\"]*+\"|'[^']*+')|[^>]){{{LONG},}}+")
ATTRIBUTE = re.compile(r"=\s*+(?:\"[^\"]*+\"|'[^']*+')|[\s/]+")
MOST_ATTRIBUTES = 1_000
DEEPEST = 64  # lists within each other: each line of such a list is indented by as much


def whole_text(html: str, without: Sequence[str] = ()) -> str:
    """Return the text of a page without a guess at its main content and without what the selectors `without` choose; at
    most one blank line stands between paragraphs. Lists within more than DEEPEST others make a text without line ends:
    their indentation would be the square of the page."""
    tree = HTMLTree.parse(LONG_TAG.sub(without_attributes, html) if len(html) > LONG else html)
    text = extract_plain_text(
        tree,
        main_content=False,
        links=False,
        alt_texts=False,
        form_fields=False,
        noscript=False,
        preserve_formatting=not is_deep(tree),
        skip_elements=list(without),
    )
    return re.sub(r"\n{3,}", "\n\n", text).strip()


def without_attributes(tag: re.Match[str]) -> str:
    """Return a tag, or its name alone if it has so many attributes that comparing them all would take minutes."""
    return tag[0] if len(ATTRIBUTE.findall(tag[0], 0)) <= MOST_ATTRIBUTES else f"<{tag[1]} "


def is_deep(tree: HTMLTree) -> bool:
    """Do lists stand within more than DEEPEST others, as resiliparse counts them? An empty one never ends for it."""
    body = tree.body
    if body is None or sum(len(body.get_elements_by_tag_name(tag)) for tag in LISTS) <= DEEPEST:
        return False
    depth = deepest = 0

    def begin(context: DOMContext) -> None:
        nonlocal depth, deepest
        depth += context.node.tag in LISTS  # type: ignore[attr-defined]
        deepest = max(deepest, depth)

    def end(context: DOMContext) -> None:
        nonlocal depth
        depth -= context.node.tag in LISTS  # type: ignore[attr-defined]

    traverse_dom(body, begin, end)
    return deepest > DEEPEST
