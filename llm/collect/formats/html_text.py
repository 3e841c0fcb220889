"""Gives all the text of an HTML tree, for formats whose pages have no boilerplate: books and posts."""

import re

from resiliparse.extract.html2text import extract_plain_text
from resiliparse.parse.html import DOMContext, HTMLTree, traverse_dom

LISTS = ("ul", "ol")
DEEPEST = 64  # lists within each other: each line of such a list is indented by as much


def whole_text(tree: HTMLTree) -> str:
    """Return the text without a guess at the main content; at most one blank line stands between paragraphs. Lists
    within more than DEEPEST others make a text without line ends: their indentation would be the square of the page."""
    text = extract_plain_text(
        tree,
        main_content=False,
        links=False,
        alt_texts=False,
        form_fields=False,
        noscript=False,
        preserve_formatting=not is_deep(tree),
    )
    return re.sub(r"\n{3,}", "\n\n", text).strip()


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
