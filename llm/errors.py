"""The exceptions that are no defects. Anything else that is raised is one and shows its traceback."""


class InputError(Exception):
    """Input that cannot be used: the message is one line that says what, where, and what to do."""


class Stopped(Exception):
    """The work was asked to stop, has kept what it did, and goes on when it is run again: one line that says so."""
