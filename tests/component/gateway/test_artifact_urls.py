"""Parts and files by the object store's own URLs, as MLflow's clients use them."""

import math
from typing import Any

import pytest
from urllib3 import PoolManager

from runstone.artifact.v1 import artifact_pb2 as pb
from runstone.artifact.v1.artifact_service_pb2_grpc import ArtifactServiceStub
from support.artifact import MIB, noise
from support.http_gateway import MLFLOW, PROXY, Answer, Gateway, root
from support.suites import channel

PART = 5 * MIB
FILE = noise(2 * PART + 77)
INVALID = (400, "INVALID_PARAMETER_VALUE")
MISSING = (404, "RESOURCE_DOES_NOT_EXIST")


def mpu(to: Gateway, what: str, run: str, directory: str = "d", **more: Any) -> Answer:
    below = f"{root(run)}/{directory}" if directory else root(run)
    return to.post(f"{PROXY}/mpu/{what}/{below}", path="/home/somebody/big.bin", **more)


def begin(to: Gateway, run: str, directory: str = "d") -> Any:
    parts = math.ceil(len(FILE) / PART)
    return mpu(to, "create", run, directory, num_parts=parts).json


def send(begun: Any) -> list[dict[str, Any]]:
    """The parts, sent as MLflow's clients send them: ETags as they stand in the headers."""
    http, sent = PoolManager(), []
    for each in begun["credentials"]:
        number = each["part_number"]
        data = FILE[(number - 1) * PART : number * PART]
        answer = http.request("PUT", each["url"], body=data, headers=each["headers"])
        assert answer.status == 200
        etag = answer.headers["ETag"]
        sent.append({"part_number": number, "etag": etag, "url": each["url"]})
    http.clear()
    return sent


@pytest.mark.parametrize(("directory", "path"), [("d", "d/big.bin"), ("", "big.bin")])
def test_parts_become_a_file(on_s3: Gateway, directory: str, path: str) -> None:
    run = on_s3.new_run()
    begun = begin(on_s3, run, directory)
    parts = send(begun)
    for _ in range(2):
        done = mpu(
            on_s3, "complete", run, directory, upload_id=begun["upload_id"], parts=parts[::-1]
        )
        assert (done.status, done.json) == (200, {})
    assert on_s3.ask("GET", f"{PROXY}/artifacts/{root(run)}/{path}").body == FILE
    assert on_s3.open_uploads() == []


def test_a_file_of_another_system_has_its_name_here(on_s3: Gateway) -> None:
    run = on_s3.new_run()
    begun = on_s3.post(f"{PROXY}/mpu/create/{root(run)}", path="C:\\data\\big.bin", num_parts=3)
    parts = send(begun.json)
    body = {"path": "C:\\data\\big.bin", "upload_id": begun.json["upload_id"], "parts": parts}
    assert on_s3.post(f"{PROXY}/mpu/complete/{root(run)}", **body).status == 200
    assert on_s3.ask("HEAD", f"{PROXY}/artifacts/{root(run)}/big.bin").status == 200


def test_an_aborted_upload_leaves_nothing(on_s3: Gateway) -> None:
    run = on_s3.new_run()
    begun = begin(on_s3, run)
    parts = send(begun)
    for _ in range(2):
        assert mpu(on_s3, "abort", run, upload_id=begun["upload_id"]).json == {}
    assert on_s3.open_uploads() == []
    answer = mpu(on_s3, "complete", run, upload_id=begun["upload_id"], parts=parts)
    assert answer.error == MISSING


def test_an_upload_belongs_to_its_file(on_s3: Gateway) -> None:
    run, other = on_s3.new_run(), on_s3.new_run()
    begun = begin(on_s3, run)
    parts = send(begun)
    for what in ("complete", "abort"):
        for where in ((run, "e"), (run, ""), (other, "d")):
            answer = mpu(on_s3, what, *where, upload_id=begun["upload_id"], parts=parts)
            assert answer.error == MISSING
        for wrong in ("", "x", begun["upload_id"][:32], begun["upload_id"] + "0"):
            answer = mpu(on_s3, what, run, upload_id=wrong, parts=parts)
            assert answer.error == MISSING
    assert on_s3.open_uploads() == ["d/big.bin"]
    assert mpu(on_s3, "abort", run, upload_id=begun["upload_id"]).status == 200


@pytest.mark.parametrize(
    "parts",
    [
        None,
        [],
        "x",
        [1],
        [{}],
        [{"etag": "x"}],
        [{"part_number": "x"}],
        [{"part_number": 1, "etag": 1}],
        [{"part_number": 0, "etag": "x"}],
        [{"part_number": 1, "etag": "x"}, {"part_number": 1, "etag": "x"}],
        [{"part_number": 1}],
        [{"part_number": number, "etag": "0" * 32} for number in (1, 2, 3)],
        [{"part_number": number, "etag": "0" * 32} for number in range(1, 10_002)],
    ],
)
def test_parts_that_are_none_are_refused(on_s3: Gateway, parts: Any) -> None:
    run = on_s3.new_run()
    begun = begin(on_s3, run)
    send(begun)
    answer = mpu(on_s3, "complete", run, upload_id=begun["upload_id"], parts=parts)
    assert answer.error == INVALID
    assert on_s3.files() == [each for each in on_s3.files() if not each.startswith(run)]
    assert mpu(on_s3, "abort", run, upload_id=begun["upload_id"]).status == 200


@pytest.mark.parametrize("count", [0, -1, 10_001, 2**40, "x", 1.5, True])
def test_a_count_of_parts_that_is_none_is_refused(on_s3: Gateway, count: Any) -> None:
    assert mpu(on_s3, "create", on_s3.new_run(), num_parts=count).error == INVALID
    assert on_s3.open_uploads() == []


def test_a_file_has_a_url(on_s3: Gateway) -> None:
    run = on_s3.new_run()
    assert on_s3.ask("PUT", f"{PROXY}/artifacts/{root(run)}/big", FILE).status == 200
    told = on_s3.ask("GET", f"{PROXY}/presigned/{root(run)}/big").json
    assert told["file_size"] == len(FILE)
    http = PoolManager()
    answer = http.request("GET", told["url"], headers={**told["headers"], "Range": "bytes=5-9"})
    assert (answer.status, answer.data) == (206, FILE[5:10])
    http.clear()
    assert on_s3.ask("GET", f"{PROXY}/presigned/{root(run)}/none").error == MISSING


def test_small_files_that_share_an_object_come_through_here(on_s3: Gateway) -> None:
    run = on_s3.new_run()
    files = [pb.SmallFile(path=name, content=name.encode()) for name in ("a", "b")]
    with channel(on_s3.address) as opened:
        request = pb.PutArtifactsRequest(owner=pb.Owner(run_id=run), files=files)
        ArtifactServiceStub(opened).PutArtifacts(request)
    # No size: MLflow's clients then ask the proxy.
    told = on_s3.ask("GET", f"{PROXY}/presigned/{root(run)}/a").json
    assert told == {"url": "", "headers": {}}


@pytest.mark.parametrize(("which", "enabled"), [("embedded", False), ("on_s3", True)])
def test_clients_are_told_what_the_store_can(
    request: pytest.FixtureRequest, which: str, enabled: bool
) -> None:
    told = request.getfixturevalue(which).ask("GET", "/api/3.0/mlflow/server-info").json
    assert told["multipart_uploads_enabled"] is enabled
    assert told["multipart_downloads_enabled"] is enabled


def test_a_folder_has_no_urls(embedded: Gateway) -> None:
    run = embedded.new_run()
    for answer, what in (
        (mpu(embedded, "create", run, num_parts=3), "upload"),
        (embedded.ask("GET", f"{PROXY}/presigned/{root(run)}/f"), "download"),
    ):
        assert answer.error == (501, "NOT_IMPLEMENTED")
        said = answer.json["message"]
        assert said.startswith(f"Multipart {what} is not supported for the current artifact")


def test_urls_of_clouds_are_not_for_a_proxys_files(server: Gateway) -> None:
    run = server.new_run()
    for what in ("upload", "download"):
        path = f"{MLFLOW}/artifacts/presigned-{what}-url"
        body = {"path": "f", "expiration": 900}
        answer = server.post(path, run_id=run, **body)
        assert answer.error == INVALID
        assert "not supported for proxied artifact storage" in answer.json["message"]
        assert server.post(path, run_id="0" * 32, **body).error == MISSING
        assert server.post(path, **body).error == INVALID
        assert server.post(path, run_id=run).error == INVALID
    both = {"run_id": run, "model_id": "m-1", "path": "f"}
    assert server.post(f"{MLFLOW}/artifacts/presigned-upload-url", **both).error == INVALID
