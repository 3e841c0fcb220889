"""Give roc-validator the JSON-LD context of RO-Crate 1.1 without a network: put rocrate's own copy into its HTTP cache.

Run by the Python of .venv/validators: `python envs/contexts.py CACHE`; then `rocrate-validator --cache-path CACHE
--offline`. Only this context is needed: a crate spells out the terms of Workflow Run Crate itself.
"""

import io
import json
import sys
from importlib.resources import files

from requests import PreparedRequest, Response
from requests.adapters import BaseAdapter, HTTPAdapter
from requests_cache import CachedSession
from urllib3 import HTTPResponse

CONTEXT = "https://w3id.org/ro/crate/1.1/context"


class Shipped(BaseAdapter):
    """Answers every request with one document."""

    def __init__(self, document: bytes):
        super().__init__()
        self.document = document

    def send(self, request: PreparedRequest, **_: object) -> Response:
        """The document, as its server would send it."""
        headers = {"Content-Type": "application/ld+json"}
        body = HTTPResponse(io.BytesIO(self.document), headers=headers, status=200, preload_content=False)
        return HTTPAdapter().build_response(request, body)

    def close(self) -> None:
        """Nothing is held."""


def main(cache: str) -> None:
    """Fill the cache. AssertionError where rocrate ships another version of the context."""
    document = (files("rocrate") / "data/ro-crate.jsonld").read_bytes()
    assert json.loads(document)["@id"] == CONTEXT, "rocrate ships another context; pin 0.13.0 in envs/validators.in"
    session = CachedSession(cache_name=cache, expire_after=-1)
    session.mount("https://", Shipped(document))
    session.get(CONTEXT).raise_for_status()


if __name__ == "__main__":
    main(sys.argv[1])
