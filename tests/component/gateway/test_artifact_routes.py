"""Files over HTTP: up, down, in ranges, listed, deleted; on a folder and on an object store."""

import hashlib
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from runstone.artifact.v1 import artifact_pb2 as pb
from runstone.artifact.v1.artifact_service_pb2_grpc import ArtifactServiceStub
from runstone.registry.v1 import model_pb2, model_version_pb2
from runstone.registry.v1.registry_service_pb2_grpc import RegistryServiceStub
from runstone_gateway.upload import SMALL_BYTES
from support.artifact import MIB, noise
from support.http_gateway import MLFLOW, PROXY, Answer, Gateway, root
from support.processes import wait_until
from support.suites import channel

BIG = noise(9 * MIB + 123)


@pytest.fixture
def run(server: Gateway) -> str:
    return server.new_run()


def at(run: str, path: str) -> str:
    return f"{PROXY}/artifacts/{root(run)}/{path}"


def put(server: Gateway, run: str, path: str, data: bytes) -> None:
    answer = server.ask("PUT", at(run, path), data)
    assert (answer.status, answer.json) == (200, {})


def listed(server: Gateway, run: str, path: str = "") -> list[object]:
    below = f"{root(run)}/{path}" if path else root(run)
    found: list[object] = server.ask("GET", f"{PROXY}/artifacts?path={below}").json.get("files", [])
    return found


def file(path: str, size: int) -> dict[str, object]:
    return {"path": path, "is_dir": False, "file_size": size}


@pytest.mark.parametrize("size", [0, 1, MIB, SMALL_BYTES, SMALL_BYTES + 1, len(BIG)])
def test_a_file_goes_up_and_comes_down(server: Gateway, run: str, size: int) -> None:
    data = BIG[:size]
    put(server, run, "a/f.bin", data)
    answer = server.ask("GET", at(run, "a/f.bin"))
    assert (answer.status, answer.body) == (200, data)
    assert answer.headers["etag"] == f'"{hashlib.sha256(data).hexdigest()}"'
    assert answer.headers["content-length"] == str(size)
    assert server.open_uploads() == []


def test_a_file_without_a_length_before_it(server: Gateway, run: str) -> None:
    # An empty file of Python's requests comes so.
    for name, pieces in (("empty", []), ("small", [b"abc", b"def"])):
        answer = server.ask("PUT", at(run, name), iter(pieces), encode_chunked=True,
                            headers={"Transfer-Encoding": "chunked"})  # fmt: skip
        assert answer.status == 200
        assert server.ask("GET", at(run, name)).body == b"".join(pieces)


def test_a_large_file_needs_its_length(server: Gateway, run: str) -> None:
    answer = server.ask("PUT", at(run, "f"), iter([BIG]), encode_chunked=True,
                        headers={"Transfer-Encoding": "chunked"})  # fmt: skip
    assert answer.error == (411, "BAD_REQUEST")
    assert listed(server, run) == []


@pytest.mark.parametrize("first", [b"old", BIG])
def test_a_second_file_replaces_the_first(server: Gateway, run: str, first: bytes) -> None:
    for data in (first, b"new", BIG, b""):
        put(server, run, "f", data)
        assert server.ask("GET", at(run, "f")).body == data
    assert listed(server, run) == [file("f", 0)]


RANGES = [
    ("bytes=0-0", 0, 1),
    ("bytes=3-5", 3, 6),
    ("bytes=7-", 7, 10),
    ("bytes=-3", 7, 10),
    ("bytes=-30", 0, 10),
    ("bytes=5-100", 5, 10),
    ("bytes=0-9", 0, 10),
]


@pytest.mark.parametrize(("asked", "first", "end"), RANGES)
def test_a_range_is_what_is_sent(
    server: Gateway, run: str, asked: str, first: int, end: int
) -> None:
    put(server, run, "f", b"0123456789")
    answer = server.ask("GET", at(run, "f"), headers={"Range": asked})
    assert (answer.status, answer.body) == (206, b"0123456789"[first:end])
    assert answer.headers["content-range"] == f"bytes {first}-{end - 1}/10"
    assert answer.headers["content-length"] == str(end - first)


@pytest.mark.parametrize("asked", ["bytes=10-", "bytes=100-200", "bytes=-0"])
def test_a_range_behind_the_end_is_none(server: Gateway, run: str, asked: str) -> None:
    put(server, run, "f", b"0123456789")
    answer = server.ask("GET", at(run, "f"), headers={"Range": asked})
    assert (answer.status, answer.body) == (416, b"")
    assert answer.headers["content-range"] == "bytes */10"


@pytest.mark.parametrize(
    "asked", ["bytes=", "bytes=-", "bytes=5-3", "bytes=0-1,3-4", "items=0-1", "bytes=a-b", "x"]
)
def test_what_is_no_range_is_passed_over(server: Gateway, run: str, asked: str) -> None:
    put(server, run, "f", b"0123456789")
    answer = server.ask("GET", at(run, "f"), headers={"Range": asked})
    assert (answer.status, answer.body) == (200, b"0123456789")


def test_a_range_of_other_bytes_is_the_whole_file(server: Gateway, run: str) -> None:
    put(server, run, "f", b"0123456789")
    etag = server.ask("GET", at(run, "f")).headers["etag"]
    ranged = {"Range": "bytes=1-2", "If-Range": etag}
    assert server.ask("GET", at(run, "f"), headers=ranged).body == b"12"
    put(server, run, "f", b"abcdefghij")
    assert server.ask("GET", at(run, "f"), headers=ranged).body == b"abcdefghij"


def test_what_a_client_has_already_is_not_sent(server: Gateway, run: str) -> None:
    put(server, run, "f", BIG)
    etag = server.ask("HEAD", at(run, "f")).headers["etag"]
    answer = server.ask("GET", at(run, "f"), headers={"If-None-Match": f'"x", W/{etag}'})
    assert (answer.status, answer.body) == (304, b"")
    assert server.ask("GET", at(run, "f"), headers={"If-None-Match": '"x"'}).body == BIG


def test_a_head_tells_what_a_get_would(server: Gateway, run: str) -> None:
    put(server, run, "f", BIG)
    for headers in ({}, {"Range": "bytes=5-9"}):
        got = server.ask("GET", at(run, "f"), headers=headers)
        told = server.ask("HEAD", at(run, "f"), headers=headers)
        assert (told.status, told.body) == (got.status, b"")
        changing = {"date", "x-request-id"}
        assert {k: v for k, v in told.headers.items() if k not in changing} == {
            k: v for k, v in got.headers.items() if k not in changing
        }


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("page.html", "text/html"),
        ("notes.txt", "text/plain"),
        ("script.js", "text/plain"),
        ("MLmodel", "text/plain"),
        ("a.json", "text/plain"),
        ("plot.png", "image/png"),
        ("model.pkl", "application/octet-stream"),
        ("weights", "application/octet-stream"),
    ],
)
def test_nothing_opens_as_a_page(embedded: Gateway, name: str, kind: str) -> None:
    run = embedded.new_run()
    put(embedded, run, f"d/{name}", b"<script>")
    for path in (at(run, f"d/{name}"), f"/get-artifact?run_id={run}&path=d/{name}"):
        headers = embedded.ask("GET", path).headers
        assert headers["content-type"] == kind
        assert headers["content-disposition"] == f'attachment; filename="{name}"'
        assert headers["x-content-type-options"] == "nosniff"


def test_names_of_any_script_are_told(embedded: Gateway) -> None:
    run = embedded.new_run()
    put(embedded, run, "%e6%97%a5%22.t", b"x")
    told = embedded.ask("GET", at(run, "%e6%97%a5%22.t")).headers["content-disposition"]
    assert told == 'attachment; filename="\\".t"; filename*=UTF-8\'\'%E6%97%A5%22.t'


def test_directories_are_listed_by_level(server: Gateway, run: str) -> None:
    for path in ("z.txt", "d/a.txt", "d/e/b.txt"):
        put(server, run, path, path.encode())
    assert listed(server, run) == [{"path": "d", "is_dir": True}, file("z.txt", 5)]
    assert listed(server, run, "d") == [file("a.txt", 7), {"path": "e", "is_dir": True}]
    assert listed(server, run, "d/e/") == [file("b.txt", 9)]
    assert listed(server, run, "z.txt") == []
    assert listed(server, run, "none") == []
    found = server.ask("GET", f"/ajax-api/2.0/mlflow/artifacts/list?run_uuid={run}&path=d").json
    assert found == {
        "root_uri": f"mlflow-artifacts:/{root(run)}",
        "files": [file("d/a.txt", 7), {"path": "d/e", "is_dir": True}],
    }


def test_a_directory_is_listed_whole_however_large(embedded: Gateway) -> None:
    run = embedded.new_run()
    with channel(embedded.address) as opened:
        stub = ArtifactServiceStub(opened)
        for first in range(0, 11_000, 1000):
            names = [f"d/{number:05}" for number in range(first, first + 1000)]
            files = [pb.SmallFile(path=name, content=b"x") for name in names]
            stub.PutArtifacts(pb.PutArtifactsRequest(owner=pb.Owner(run_id=run), files=files))
    names = [f"{number:05}" for number in range(11_000)]
    assert listed(embedded, run, "d") == [file(name, 1) for name in names]
    found = embedded.ask("GET", f"{MLFLOW}/artifacts/list?run_id={run}&path=d").json
    assert found["files"] == [file(f"d/{name}", 1) for name in names]
    assert "next_page_token" not in found


def test_a_token_of_another_list_is_refused(embedded: Gateway) -> None:
    run = embedded.new_run()
    answer = embedded.ask("GET", f"{MLFLOW}/artifacts/list?run_id={run}&page_token=x")
    assert answer.error == (400, "INVALID_PARAMETER_VALUE")


def test_files_and_directories_are_deleted(server: Gateway, run: str) -> None:
    for path in ("z.txt", "d/a.txt", "d/e/b.txt", "dx"):
        put(server, run, path, b"x")
    for path, left in (("none", 3), ("z.txt", 2), ("d/", 1), ("d", 1)):
        answer = server.ask("DELETE", at(run, path))
        assert (answer.status, answer.json) == (200, {})
        assert len(listed(server, run)) == left
    assert listed(server, run) == [file("dx", 1)]
    # What MLflow's delete_artifacts() without a path sends.
    assert server.ask("DELETE", at(run, "")).status == 200
    assert listed(server, run) == []


def test_a_directory_is_no_file(server: Gateway, run: str) -> None:
    put(server, run, "d/f", b"x")
    wrong = (400, "INVALID_PARAMETER_VALUE")
    for headers in ({}, {"Range": "bytes=0-1"}):
        assert server.ask("GET", at(run, "d"), headers=headers).error == wrong
    for data in (b"x", BIG):
        assert server.ask("PUT", at(run, "d"), data).error == wrong
        assert server.ask("PUT", at(run, "d/f/g"), data).error == wrong
    assert listed(server, run, "d") == [file("f", 1)]
    assert server.open_uploads() == []


@pytest.mark.parametrize("data", [b"x", BIG], ids=["small", "large"])
def test_a_deleted_run_takes_no_files_and_shows_its_own(
    server: Gateway, run: str, data: bytes
) -> None:
    put(server, run, "f", b"kept")
    assert server.post(f"{MLFLOW}/runs/delete", run_id=run).status == 200
    assert server.ask("PUT", at(run, "g"), data).error == (400, "INVALID_PARAMETER_VALUE")
    assert server.ask("GET", at(run, "f")).body == b"kept"
    # The service asks tracking again at the commit only; what was begun is then given up.
    wait_until(lambda: server.open_uploads() == [], 30, "the upload given up")


def head(run: str, path: str, *headers: str) -> bytes:
    """A PUT's first lines, as they go over a socket."""
    lines = [f"PUT {at(run, path)} HTTP/1.1", "Host: localhost", *headers]
    return "\r\n".join([*lines, "", ""]).encode()


@pytest.mark.parametrize("sent", [0, 1000, SMALL_BYTES, 8 * MIB])
def test_a_client_that_goes_away_leaves_nothing(server: Gateway, run: str, sent: int) -> None:
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        client.sendall(head(run, "f", f"Content-Length: {len(BIG)}"))
        client.sendall(BIG[:sent])
        wait_until(lambda: server.open_uploads() == ["f"], 30, "the upload begun")
    wait_until(lambda: server.open_uploads() == [], 30, "the upload given up")
    assert listed(server, run) == []


def test_a_cut_small_body_leaves_nothing(server: Gateway, run: str) -> None:
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        client.sendall(head(run, "f", "Content-Length: 1000"))
        client.sendall(b"x" * 999)
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        client.sendall(head(run, "g", "Transfer-Encoding: chunked"))
        client.sendall(b"5\r\nabcde\r\n")
    put(server, run, "after", b"x")
    assert listed(server, run) == [file("after", 1)]


def test_a_reader_that_goes_away_does_not_keep_its_place(embedded: Gateway) -> None:
    run = embedded.new_run()
    put(embedded, run, "f", BIG)
    # More of them than may be under way at once.
    for _ in range(20):
        connection = embedded.connect()
        connection.request("GET", at(run, "f"))
        connection.getresponse().read(1)
        connection.close()
    assert embedded.ask("GET", at(run, "f")).body == BIG


def test_more_at_once_than_the_service_takes_wait_for_each_other(server: Gateway, run: str) -> None:
    def there_and_back(number: int) -> bool:
        data = number.to_bytes(4, "big") + BIG[: 5 * MIB]
        put(server, run, f"f{number}", data)
        return server.ask("GET", at(run, f"f{number}")).body == data

    with ThreadPoolExecutor(24) as pool:
        assert all(pool.map(there_and_back, range(24)))


def test_get_artifact_is_a_runs_file(server: Gateway, run: str) -> None:
    put(server, run, "d/f", BIG)
    for name in ("run_id", "run_uuid"):
        answer = server.ask("GET", f"/get-artifact?{name}={run}&path=d/f")
        assert (answer.status, answer.body) == (200, BIG)
    ranged = {"Range": "bytes=1-3"}
    answer = server.ask("GET", f"/get-artifact?run_id={run}&path=d/f", headers=ranged)
    assert (answer.status, answer.body) == (206, BIG[1:4])
    missing = (404, "RESOURCE_DOES_NOT_EXIST")
    assert server.ask("GET", f"/get-artifact?run_id={run}&path=x").error == missing
    assert server.ask("GET", f"/get-artifact?run_id={'0' * 32}&path=x").error == missing
    for query in (f"run_id={run}", f"run_id={run}&path=", "path=x"):
        answer = server.ask("GET", f"/get-artifact?{query}")
        assert answer.error == (400, "INVALID_PARAMETER_VALUE")
        assert "Missing value for required parameter" in answer.json["message"]


def post_file(server: Gateway, run: str, path: str, data: bytes) -> Answer:
    query = f"run_uuid={run}&path={path}"
    return server.ask("POST", f"/ajax-api/2.0/mlflow/upload-artifact?{query}", data)


@pytest.mark.parametrize("size", [1, SMALL_BYTES + 1, 10 * MIB])
def test_upload_artifact_takes_ten_megabytes(server: Gateway, run: str, size: int) -> None:
    data = noise(size)
    assert post_file(server, run, "d/f", data).status == 200
    assert server.ask("GET", at(run, "d/f")).body == data


def test_upload_artifact_takes_neither_nothing_nor_more(server: Gateway, run: str) -> None:
    for data, said in ((b"", "must specify data"), (bytes(10 * MIB + 1), "Max size is 10MB")):
        answer = post_file(server, run, "f", data)
        assert answer.error == (400, "INVALID_PARAMETER_VALUE")
        assert said in answer.json["message"]
    for query in (f"run_uuid={run}", "path=x", f"run_uuid={run}&path="):
        answer = server.ask("POST", f"/ajax-api/2.0/mlflow/upload-artifact?{query}", b"x")
        assert answer.error == (400, "INVALID_PARAMETER_VALUE")
    assert listed(server, run) == []


@pytest.fixture
def version(server: Gateway, run: str) -> Iterator[str]:
    """The id of version 1 of a model ``m-<run>`` with a file."""
    put(server, run, "model/MLmodel", b"flavors: {}")
    with channel(server.address) as opened:
        stub = RegistryServiceStub(opened)
        stub.CreateRegisteredModel(model_pb2.CreateRegisteredModelRequest(name=f"m-{run}"))
        request = model_version_pb2.CreateModelVersionRequest(
            name=f"m-{run}", run=model_version_pb2.RunSource(run_id=run, path="model")
        )
        yield stub.CreateModelVersion(request).model_version.model_version_id


def test_files_of_a_registered_version(server: Gateway, run: str, version: str) -> None:
    for path in (
        f"/model-versions/get-artifact?name=m-{run}&version=1&path=MLmodel",
        f"{PROXY}/artifacts/model-versions/{version}/artifacts/MLmodel",
    ):
        answer = server.ask("GET", path)
        assert (answer.status, answer.body) == (200, b"flavors: {}")
    found = server.ask("GET", f"{PROXY}/artifacts?path=model-versions/{version}/artifacts").json
    assert found == {"files": [file("MLmodel", 11)]}
    for query, code in (
        (f"name=m-{run}&version=2&path=MLmodel", (404, "RESOURCE_DOES_NOT_EXIST")),
        (f"name=m-{run}&version=0&path=MLmodel", (404, "RESOURCE_DOES_NOT_EXIST")),
        (f"name=m-{run}&version=x&path=MLmodel", (400, "INVALID_PARAMETER_VALUE")),
        (f"name=m-{run}&version=1&path=../MLmodel", (400, "INVALID_PARAMETER_VALUE")),
        (f"name=m-{run}&version=1", (400, "INVALID_PARAMETER_VALUE")),
    ):
        assert server.ask("GET", f"/model-versions/get-artifact?{query}").error == code


def test_an_answer_that_was_refused_leaves_the_connection_usable(server: Gateway, run: str) -> None:
    connection = server.connect()
    for path, status in (("..", 400), ("f", 200)):
        connection.request("PUT", at(run, path), BIG)
        answer = connection.getresponse()
        answer.read()
        assert answer.status == status
    connection.close()


def test_a_length_that_is_no_number_is_refused(server: Gateway, run: str) -> None:
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        client.sendall(head(run, "f", "Content-Length: x"))
        assert client.recv(100).startswith(b"HTTP/1.1 400")
