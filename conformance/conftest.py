"""A server of our own for the session of each suite."""

import pytest
from server import Server


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    s = Server(tmp_path_factory.mktemp("data")).start()
    yield s
    s.stop()
