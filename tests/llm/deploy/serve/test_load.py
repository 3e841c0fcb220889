"""The server under ten times the requests that it admits, some seconds of what benchmarks/serve_load.py does."""

import pytest

from benchmarks.serve_load import main


@pytest.mark.slow
def test_an_overloaded_server_answers_right_or_refuses(directories) -> None:
    """No wrong answer, no status that does not fit; blocks, requests and files come back; memory stays."""
    came = main(directories["base"], seconds=20, max_open=8)
    assert not came["failed"], came
    assert came["compared"] > 10
    assert {"answer 200", "answer 429", "malformed 400", "huge 413", "wrong 400", "no call 404"} <= came[
        "statuses"
    ].keys()
    assert came["rss_mb"]["last third"] < came["rss_mb"]["first third"] + 64
