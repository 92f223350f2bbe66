"""What is said when there is nothing to fetch: to the files' service no run is an empty one."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runstone import Client
from runstone.artifact.v1 import artifact_pb2
from runstone.exceptions import ArtifactNotFound, RunNotFound
from runstone.tracking.v1 import run_pb2

RUN = "a" * 32


@pytest.fixture
def client(server: Any, refuse: Callable[..., Any]) -> Client:
    """Of a service that has no files."""
    server.answers["ListArtifacts"] = lambda *_: artifact_pb2.ListArtifactsResponse()
    server.answers["GetArtifact"] = refuse("NOT_FOUND", "ARTIFACT_NOT_FOUND", "no artifact")
    server.answers["GetRun"] = lambda request, _: run_pb2.GetRunResponse(
        run=run_pb2.Run(run_id=request.run_id)
    )
    return Client(server.uri)


@pytest.mark.parametrize("path", ["", "model", "model/"])
def test_of_an_unknown_run_the_run_is_named(
    client: Client, server: Any, refuse: Callable[..., Any], tmp_path: Path, path: str
) -> None:
    server.answers["GetRun"] = refuse("NOT_FOUND", "RUN_NOT_FOUND", f"there is no run {RUN}")
    with pytest.raises(RunNotFound, match=RUN):
        client.download_artifacts(RUN, path, tmp_path / "to")
    assert not (tmp_path / "to").exists()


def test_of_a_known_run_the_path_is_missing(client: Client, tmp_path: Path) -> None:
    with pytest.raises(ArtifactNotFound):
        client.download_artifacts(RUN, "model", tmp_path / "to")


def test_all_files_of_a_run_without_files_are_an_empty_folder(
    client: Client, tmp_path: Path
) -> None:
    assert client.download_artifacts(RUN, dst_path=tmp_path / "to") == str(tmp_path / "to")
    assert list((tmp_path / "to").iterdir()) == []


def test_a_version_asks_for_no_run(client: Client, server: Any, tmp_path: Path) -> None:
    with pytest.raises(ArtifactNotFound):
        client.download_artifacts(None, "model", tmp_path / "to", model_version_id="b" * 32)
    assert server.named("GetRun") == []
