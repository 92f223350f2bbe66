"""One folder, one suite: how it starts, how it is found, how it changes hands, how it ends."""

import fcntl
import http.client
import os
import queue
import shutil
import signal
import socket
import stat
import subprocess
import zlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from runstone.artifact.v1 import artifact_pb2, artifact_service_pb2_grpc
from runstone.tracking.v1 import experiment_pb2, run_pb2, tracking_service_pb2_grpc
from support.processes import free_port, wait_until
from support.suites import SuiteProcess, channel, read_status, suite

CALL_SECONDS = 20.0


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


def create_experiment(address: str, name: str) -> str:
    with channel(address) as opened:
        stub = tracking_service_pb2_grpc.TrackingServiceStub(opened)
        request = experiment_pb2.CreateExperimentRequest(name=name)
        answer = stub.CreateExperiment(request, timeout=CALL_SECONDS, wait_for_ready=True)
        return answer.experiment.experiment_id


def experiment_name(address: str, experiment_id: str) -> str:
    with channel(address) as opened:
        stub = tracking_service_pb2_grpc.TrackingServiceStub(opened)
        request = experiment_pb2.GetExperimentRequest(experiment_id=experiment_id)
        answer = stub.GetExperiment(request, timeout=CALL_SECONDS, wait_for_ready=True)
        return answer.experiment.name


def test_two_started_at_once_become_one(data: Path) -> None:
    both = [SuiteProcess(data, background=True) for _ in range(2)]
    try:
        [loser] = wait_until(
            lambda: [each for each in both if each.process.poll() is not None], 30.0, "one leaving"
        )
        [winner] = [each for each in both if each is not loser]
        # Not an error: somebody serves the folder, which is all that was wanted.
        assert loser.process.returncode == 0
        status = winner.wait_serving()
        assert create_experiment(status["address"], "one")
    finally:
        for each in both:
            each.kill()


def test_idle_it_ends_and_leaves_nothing_behind(data: Path) -> None:
    started = SuiteProcess(data, "--idle-timeout", "0.4", background=True)
    try:
        assert started.wait_end(30.0) == 0
    finally:
        started.kill()
    assert read_status(data) == {}
    assert not (data / "runstone.sock").exists()


@pytest.mark.parametrize("background", [True, False])
def test_what_it_makes_is_its_users_alone(
    data: Path, background: bool, request: pytest.FixtureRequest
) -> None:
    request.addfinalizer(partial(os.umask, os.umask(0)))
    arguments = [] if background else ["--grpc-port", "0"]
    with suite(data, *arguments, background=background):
        open_to_others = [
            path.name for path in (data, *data.rglob("*")) if path.stat().st_mode & 0o077
        ]
        assert open_to_others == []
        assert stat.S_IMODE((data / "runstone.sock").stat().st_mode) == 0o600


def test_a_folder_that_is_there_keeps_its_mode(data: Path) -> None:
    data.mkdir()
    data.chmod(0o755)
    with suite(data, background=True):
        assert stat.S_IMODE(data.stat().st_mode) == 0o755
        assert stat.S_IMODE((data / "tracking.db").stat().st_mode) == 0o600


def test_it_ends_when_its_folder_is_removed(data: Path) -> None:
    with suite(data, background=True) as removed:
        shutil.rmtree(data)
        with suite(data, background=True) as another:
            assert removed.wait_end() == 0
            # The one that went has left the files of the other alone.
            assert create_experiment(another.status["address"], "one")


def test_a_client_keeps_it_alive(data: Path) -> None:
    data.mkdir()
    with (data / "clients.lock").open("w") as client:
        fcntl.flock(client, fcntl.LOCK_SH)
        with suite(data, "--idle-timeout", "0.2", background=True) as started:
            with pytest.raises(subprocess.TimeoutExpired):
                started.wait_end(1.5)
            fcntl.flock(client, fcntl.LOCK_UN)
            assert started.wait_end() == 0


def test_a_server_takes_over_from_a_background_suite(data: Path) -> None:
    with suite(data, background=True) as background:
        kept = create_experiment(background.status["address"], "kept")
        with suite(data, "--grpc-port", "0") as server:
            assert background.wait_end() == 0
            status = server.status
            assert status["mode"] == "foreground"
            assert experiment_name(status["address"], kept) == "kept"
            assert experiment_name(status["tcp"], kept) == "kept"


def test_a_second_server_is_told_of_the_first(data: Path) -> None:
    with suite(data, "--grpc-port", "0") as first:
        second = SuiteProcess(data, "--grpc-port", "0")
        assert second.wait_end() == 1
        assert f"pid {first.process.pid}" in second.said
        assert first.status["tcp"] in second.said
        assert first.process.poll() is None
        # A client's suite finds the folder served, and has nothing to do.
        assert SuiteProcess(data, background=True).wait_end() == 0


def test_a_long_path_is_served_through_a_short_one(tmp_path: Path) -> None:
    data = tmp_path / ("long" * 30)
    with suite(data, background=True) as started:
        address = started.status["address"]
        assert not address.startswith(f"unix:{data}")
        assert create_experiment(address, "one")


def test_killed_it_starts_again_with_all_it_acknowledged(data: Path) -> None:
    with suite(data, background=True) as started:
        kept = create_experiment(started.status["address"], "kept")
        started.restart()
        status = started.wait_serving()
        assert experiment_name(status["address"], kept) == "kept"


def test_sigterm_lets_a_call_in_progress_end(data: Path) -> None:
    content = b"x" * 1000
    with suite(data, "--grpc-port", "0") as started, channel(started.status["tcp"]) as opened:
        owner = artifact_pb2.Owner(run_id=new_run(started.status["tcp"]))
        stub = artifact_service_pb2_grpc.ArtifactServiceStub(opened)
        request = artifact_pb2.BeginUploadRequest(owner=owner, path="f", size=2 * len(content))
        upload_id = stub.BeginUpload(request, timeout=CALL_SECONDS).upload.upload_id
        chunks: queue.Queue[artifact_pb2.UploadChunksRequest | None] = queue.Queue()

        def sent() -> Iterator[artifact_pb2.UploadChunksRequest]:
            while (chunk := chunks.get()) is not None:
                yield chunk

        def send(offset: int) -> None:
            chunks.put(
                artifact_pb2.UploadChunksRequest(
                    upload_id=upload_id, offset=offset, data=content, crc32=zlib.crc32(content)
                )
            )

        send(0)
        call = stub.UploadChunks.future(sent(), timeout=CALL_SECONDS)
        wait_until(lambda: started_writing(data), 10.0, "the first chunk arriving")
        started.process.send_signal(signal.SIGTERM)
        wait_until(lambda: not read_status(data), 10.0, "the suite saying goodbye")
        send(len(content))
        chunks.put(None)
        assert call.result().upload.offset == 2 * len(content)
        assert started.wait_end() == 0


def new_run(address: str) -> str:
    with channel(address) as opened:
        stub = tracking_service_pb2_grpc.TrackingServiceStub(opened)
        request = run_pb2.CreateRunRequest(experiment_id="0")
        return stub.CreateRun(request, timeout=CALL_SECONDS, wait_for_ready=True).run.run_id


def started_writing(data: Path) -> bool:
    staging = data / "objects" / "staging"
    return any(path.is_file() and path.stat().st_size for path in staging.rglob("*"))


def test_a_port_in_use_is_named(data: Path) -> None:
    port = free_port()
    with suite(data, "--grpc-port", str(port)):
        other = SuiteProcess(data.parent / "other", "--grpc-port", str(port))
        assert other.wait_end() == 1
        assert f"port {port} on 127.0.0.1 is in use" in other.said
        other = SuiteProcess(data.parent / "other", "--grpc-port", "0", "--metrics-port", str(port))
        assert other.wait_end() == 1
        assert f"port {port} on 127.0.0.1 is in use; choose another with --metrics" in other.said
        # What does not start leaves nothing behind.
        assert not (data.parent / "other").exists()


def test_a_server_on_every_interface_names_one_that_clients_can_use(data: Path) -> None:
    with suite(data, "--grpc-port", "0", "--host", "0.0.0.0") as started:
        port = started.status["tcp"].rpartition(":")[2]
        assert f"RUNSTONE_TRACKING_URI=runstone://{socket.gethostname()}:{port}\n" in started.said
        # And its own name is none that a stranger's web page made up.
        asked = http.client.HTTPConnection(
            "127.0.0.1", int(started.status["http"].rpartition(":")[2])
        )
        for host, status in ((socket.gethostname(), 200), ("elsewhere.example", 403)):
            asked.request("GET", "/version", headers={"host": host})
            answer = asked.getresponse()
            assert (answer.status, answer.read() != b"") == (status, True)
        asked.close()


def test_a_background_suite_serves_its_folder_whatever_a_server_was_told(data: Path) -> None:
    told = {
        "RUNSTONE_DATABASE_URL": "postgresql://nobody:secret@127.0.0.1:1/none",
        "RUNSTONE_OBJECTS_URL": "s3+http://key:secret@127.0.0.1:1/bucket",
        "RUNSTONE_WORKERS": "2",
        "RUNSTONE_LISTEN": "everywhere",
    }
    with suite(data, background=True, environment=told) as started:
        assert create_experiment(started.status["address"], "here")
    assert (data / "tracking.db").exists()


def test_sqlite_takes_one_process(data: Path) -> None:
    refused = SuiteProcess(data, "--workers", "2")
    assert refused.wait_end() == 1
    assert "set RUNSTONE_DATABASE_URL" in refused.said
    assert not data.exists()


def test_a_folder_that_cannot_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file", "utf-8")
    refused = SuiteProcess(tmp_path / "data")
    assert refused.wait_end() == 1
    assert "is no folder" in refused.said
