"""Shows progress to the user by lines on stderr; whoever runs the script decides which of them to show."""

import sys

MARK = "… "


def progress(line: str) -> None:
    """Show one line at once, e.g. `step 100/800  loss 4.12  7,100 tokens/s  1:10 left`."""
    print(MARK + line, file=sys.stderr, flush=True)
