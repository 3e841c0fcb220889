"""stub"""


def available() -> bool:
    return False


def signatures(data, offsets, a, b, words=5):
    raise NotImplementedError
