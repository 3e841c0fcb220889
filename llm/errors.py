"""The exceptions that are not defects; any other exception is one, and shows its traceback."""


def one_line(message: str) -> str:
    """Return a message in one line: line ends and other unprintable characters, which names in archives and messages of
    libraries may contain, are escaped."""
    characters = message.strip()
    if characters.isprintable():
        return characters
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in characters)


class InputError(Exception):
    """Input that cannot be used: the message is one line that says what, where, and what to do."""

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))


class Stopped(Exception):
    """The work was told to stop, has saved what it did, and resumes when it is run again. The message is one line."""
