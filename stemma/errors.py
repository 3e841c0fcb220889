"""What the engine says when it cannot go on."""


class StemmaError(Exception):
    """One line: what is wrong, where, and what to do."""
