"""The exceptions that are no defects. Anything else that is raised is one and shows its traceback."""


def one_line(message: str) -> str:
    """The message with line ends and other characters that are not to be printed as escapes: names in archives and
    messages of libraries hold some."""
    characters = message.strip()
    if characters.isprintable():
        return characters
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in characters)


class InputError(Exception):
    """Input that cannot be used: the message is one line that says what, where, and what to do."""

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))


class Stopped(Exception):
    """The work was asked to stop, has kept what it did, and goes on when it is run again: one line that says so."""
