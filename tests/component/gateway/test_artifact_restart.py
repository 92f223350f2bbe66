"""The artifact service killed and started again under a file that passes through the gateway."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from runstone_gateway.upstream import Addresses
from support import http_gateway
from support.artifact import MIB, noise
from support.http_gateway import PROXY, Front, root
from support.services import Cluster, cluster

FILE = noise(48 * MIB)
"""More than lies in sockets and windows between service and reader."""


@pytest.fixture
def services(tmp_path: Path, postgres_url: str) -> Iterator[Cluster]:
    with cluster(tmp_path, postgres_url, str(tmp_path / "objects")) as started:
        yield started


@pytest.fixture
def front(services: Cluster) -> Iterator[Front]:
    named = services.services
    addresses = Addresses(*(named[name].address for name in Addresses._fields))
    with http_gateway.front(addresses) as started:
        yield started


def test_a_download_goes_on_where_it_broke(services: Cluster, front: Front) -> None:
    path = f"{PROXY}/artifacts/{root(front.new_run())}/f"
    assert front.ask("PUT", path, FILE).status == 200
    connection = front.connect()
    connection.request("GET", path)
    answer = connection.getresponse()
    began = answer.read(MIB)
    services.services["artifact"].restart()
    assert began + answer.read() == FILE
    connection.close()


def test_an_upload_that_broke_off_is_told_and_can_be_repeated(
    services: Cluster, front: Front
) -> None:
    path = f"{PROXY}/artifacts/{root(front.new_run())}/f"

    def body() -> Iterator[bytes]:
        for number in range(48):
            if number == 24:
                services.services["artifact"].restart()
                services.services["artifact"].wait_serving()
            yield FILE[number * MIB : (number + 1) * MIB]

    answer = front.ask("PUT", path, body(), {"Content-Length": str(len(FILE))})
    assert answer.error == (503, "TEMPORARILY_UNAVAILABLE")
    assert front.ask("GET", path).error == (404, "RESOURCE_DOES_NOT_EXIST")
    assert front.ask("PUT", path, FILE).status == 200
    assert front.ask("GET", path).body == FILE
