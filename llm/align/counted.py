"""Random numbers that are counted, not drawn: each is a hash of what it is for, so nothing else changes it."""

import hashlib

BITS = 48  # a JSON reader that keeps numbers as doubles keeps them whole


def counted(*parts: object, size: int = BITS // 8) -> int:
    """Return a number of `size` bytes that the parts decide."""
    text = "\0".join(map(str, parts)).encode(errors="surrogatepass")
    return int.from_bytes(hashlib.blake2b(text, digest_size=size).digest())


def draw(choices: int, *parts: object) -> int:
    """Return one of 0 ... choices - 1, each as likely as the others to one part in 2^40."""
    return counted(*parts) % choices
