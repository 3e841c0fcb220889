"""Turns character references of HTML (&amp; &#228;) into characters, whatever numbers they hold."""

import html
import re

# far more digits than any character's number has; int() refuses thousands of them
ENDLESS = re.compile(r"&#(?:[0-9]{20,}+|[xX][0-9a-fA-F]{20,}+);?")


def unescaped(text: str) -> str:
    """Return the text with its references resolved; numbers that no character has become U+FFFD."""
    if "&" not in text:
        return text
    return html.unescape(ENDLESS.sub("\ufffd", text))
