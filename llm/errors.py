"""The one exception for bad input. Anything else that is raised is a defect and shows its traceback."""


class InputError(Exception):
    """Input that cannot be used: the message is one line that says what, where, and what to do."""
