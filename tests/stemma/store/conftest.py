"""What tests of the stores share: an S3 server."""

import pytest


@pytest.fixture(scope="module")
def s3():
    """A server of the module's own on a free port."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    yield "http://{}:{}".format(*server.get_host_and_port())
    server.stop()
