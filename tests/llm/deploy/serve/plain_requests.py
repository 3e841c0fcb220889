"""Requests without a client library, for tests of what the server answers."""

import httpx


def post(url: str, path: str, body: object, **options: object) -> httpx.Response:
    return httpx.post(url + path, json=body, timeout=60, **options)
