"""Artifact URIs for MLflow's client: what they name, and what they refuse."""

import pytest

from runstone._mlflow import places
from runstone.exceptions import InvalidUri

RUN = "0123456789abcdef0123456789abcdef"


def test_a_uri_of_a_run_is_read_back() -> None:
    place = places.parse(f"{places.uri(places.RUNS, RUN)}/model/data/")
    assert place.of == {"run_id": RUN}
    assert place.path == "model/data"


def test_a_uri_of_a_model_version_is_read_back() -> None:
    place = places.parse(places.uri(places.MODEL_VERSIONS, "7"))
    assert place.of == {"run_id": None, "model_version_id": "7"}
    assert place.path == ""


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "runs:/1/a",
        "runstone-artifacts:",
        "runstone-artifacts:/",
        "runstone-artifacts:/runs",
        "runstone-artifacts:/runs/",
        "runstone-artifacts:runs/1",
        "runstone-artifacts://host/runs/1",
        "runstone-artifacts:/experiments/1",
        "RUNSTONE-ARTIFACTS:/runs/1",
    ],
)
def test_another_uri_is_refused(uri: str) -> None:
    with pytest.raises(InvalidUri, match="names no files: use runstone-artifacts:/runs/"):
        places.parse(uri)


def test_the_source_of_a_version_is_what_the_client_takes() -> None:
    run = places.uri(places.RUNS, RUN)
    assert places.source(f"{run}/model") == f"runs:/{RUN}/model"
    assert places.source(run) == f"runs:/{RUN}"
    assert places.source("models:/other/3") == "models:/other/3"
    assert places.source("./folder") == "./folder"
    with pytest.raises(InvalidUri, match="use models:/<name>/<version>"):
        places.source(places.uri(places.MODEL_VERSIONS, "7"))


@pytest.mark.parametrize("uri", ["http://127.0.0.1:5000", "file:///tmp/x", "sqlite:///x.db"])
def test_files_are_on_a_runstone_server(uri: str) -> None:
    with pytest.raises(InvalidUri, match="the tracking URI must be runstone://host:port"):
        places.client_for_artifacts(uri)


def test_stores_share_a_client() -> None:
    uri = "runstone://tracking.example:5051"
    assert places.client(uri) is places.client_for_artifacts(uri)
    assert places.client(uri).registry_uri == uri
