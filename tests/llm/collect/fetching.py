"""What the tests of fetching share: a fetch that must fail, a port where nobody listens."""

import socket
from pathlib import Path

import pytest

from llm.collect.fetch import Pin, fetch
from llm.errors import InputError


def closed_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def fails(tmp_path: Path, pin: Pin, match: str) -> str:
    with pytest.raises(InputError, match=match) as caught:
        fetch(pin, tmp_path / "archive")
    assert not (tmp_path / "archive").exists()
    assert "\n" not in str(caught.value)
    return str(caught.value)
