"""Gives all the text of an HTML tree, for formats whose pages have no boilerplate: books and posts."""

import re

from resiliparse.extract.html2text import extract_plain_text
from resiliparse.parse.html import HTMLTree


def whole_text(tree: HTMLTree) -> str:
    """Return the text without a guess at the main content; at most one blank line stands between paragraphs."""
    text = extract_plain_text(
        tree,
        main_content=False,
        links=False,
        alt_texts=False,
        form_fields=False,
        noscript=False,
        preserve_formatting=True,
    )
    return re.sub(r"\n{3,}", "\n\n", text).strip()
