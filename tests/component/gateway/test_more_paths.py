"""Paths that lead elsewhere, over the routes of logged models, of versions, and of traces' files.

Those of runs are in test_paths.py, sources of versions in test_registry_routes.py.
"""

from collections.abc import Callable, Iterator
from urllib.parse import unquote

import pytest

from component.gateway.test_paths import LONG, REFUSED, UNREADABLE, query
from support.http_gateway import MLFLOW, PROXY, Answer, Gateway, root

INVALID = (400, "INVALID_PARAMETER_VALUE")
ABSENT = (404, "RESOURCE_DOES_NOT_EXIST")

Ask = Callable[[str], Answer]


class Places:
    """A logged model and a registered version, each with a file."""

    def __init__(self, server: Gateway) -> None:
        self.server = server
        run_id = server.new_run()
        made = server.post(f"{MLFLOW}/logged-models", experiment_id="0").json
        self.model = str(made["model"]["info"]["model_id"])
        self.of_model = f"{PROXY}/artifacts/0/models/{self.model}/artifacts"
        for path in (f"{PROXY}/artifacts/{root(run_id)}/m/kept", f"{self.of_model}/kept"):
            assert server.ask("PUT", path, b"kept").status == 200
        server.post(f"{MLFLOW}/registered-models/create", name="paths")
        source = f"runs:/{run_id}/m"
        server.post(f"{MLFLOW}/model-versions/create", name="paths", source=source, run_id=run_id)
        found = server.ask(
            "GET", f"{MLFLOW}/model-versions/get-download-uri?name=paths&version=1"
        ).json["artifact_uri"]
        self.of_version = f"{PROXY}/artifacts/{found.partition(':/')[2]}"

    @property
    def reads(self) -> dict[str, Ask]:
        """The routes that read a file at a path."""
        ask = self.server.ask
        return {
            "model's file by the proxy": lambda path: ask("GET", f"{self.of_model}/{path}"),
            "model's file": lambda path: ask(
                "GET",
                f"{MLFLOW}/logged-models/{self.model}/artifacts/files"
                f"?artifact_file_path={query(path)}",
            ),
            "version's file by the proxy": lambda path: ask("GET", f"{self.of_version}/{path}"),
            "version's file": lambda path: ask(
                "GET", f"/model-versions/get-artifact?name=paths&version=1&path={query(path)}"
            ),
        }

    @property
    def lists(self) -> dict[str, Ask]:
        """The routes that list what is at a path."""
        ask = self.server.ask
        below = f"{PROXY}/artifacts?path="
        return {
            "model's files": lambda path: ask(
                "GET",
                f"{MLFLOW}/logged-models/{self.model}/artifacts/directories"
                f"?artifact_directory_path={query(path)}",
            ),
            "model's files by the proxy": lambda path: ask(
                "GET", self.of_model.replace(f"{PROXY}/artifacts/", below) + f"/{query(path)}"
            ),
            "version's files by the proxy": lambda path: ask(
                "GET", self.of_version.replace(f"{PROXY}/artifacts/", below) + f"/{query(path)}"
            ),
        }

    @property
    def writes(self) -> dict[str, Ask]:
        """The routes that make a file, or take it away."""
        ask = self.server.ask
        return {
            "put to a model": lambda path: ask("PUT", f"{self.of_model}/{path}", b"x"),
            "put to a version": lambda path: ask("PUT", f"{self.of_version}/{path}", b"x"),
            "delete of a version": lambda path: ask("DELETE", f"{self.of_version}/{path}"),
        }

    def delete(self, path: str) -> Answer:
        return self.server.ask("DELETE", f"{self.of_model}/{path}")


@pytest.fixture(scope="module")
def places(embedded: Gateway) -> Places:
    return Places(embedded)


@pytest.fixture
def untouched(embedded: Gateway, places: Places) -> Iterator[None]:
    """Nothing is there afterwards that was not there before, and nothing is gone."""
    before = embedded.files()
    yield
    assert embedded.files() == before
    assert {name: ask("kept").body for name, ask in places.reads.items()} == dict.fromkeys(
        places.reads, b"kept"
    )


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("path", REFUSED)
def test_what_is_no_path_is_refused_everywhere(places: Places, path: str) -> None:
    routes = {**places.reads, **places.lists, **places.writes, "delete of a model": places.delete}
    told = {name: ask(path).error for name, ask in routes.items()}
    assert told == dict.fromkeys(routes, INVALID)


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("path", UNREADABLE)
def test_what_clients_could_not_read_back_is_not_taken(places: Places, path: str) -> None:
    assert {ask(path).error for ask in places.writes.values()} == {INVALID}
    assert {ask(path).error for ask in places.reads.values()} == {ABSENT}
    assert [ask(path).json.get("files", []) for ask in places.lists.values()] == [[], [], []]


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("path", [*REFUSED, *UNREADABLE])
def test_ids_are_no_paths(embedded: Gateway, path: str) -> None:
    """What stands where an id does, in a path or as a parameter, names nothing."""
    asked = [
        f"{MLFLOW}/logged-models/{path}/artifacts/directories",
        f"{MLFLOW}/logged-models/{path}/artifacts/files?artifact_file_path=kept",
        f"{PROXY}/artifacts/0/models/{path}/artifacts/kept",
        f"{PROXY}/artifacts/0/{path}/artifacts/kept",
        f"{PROXY}/artifacts/model-versions/{path}/artifacts/kept",
        f"/get-artifact?path=kept&run_id={query(path)}",
        f"/model-versions/get-artifact?version=1&path=kept&name={query(path)}",
        f"{MLFLOW}/artifacts/list?run_id={query(path)}",
        # Traces have no files but their spans.
        f"/ajax-api/3.0/mlflow/get-trace-artifact?request_id=tr-1&path={query(path)}",
    ]
    for each in asked:
        answer = embedded.ask("GET", each)
        assert answer.status in (400, 404), each
        assert answer.error[1] in (INVALID[1], ABSENT[1], "ENDPOINT_NOT_FOUND"), each


def test_a_location_is_never_taken(embedded: Gateway) -> None:
    """An experiment's files are where the server has them, whatever a client says."""
    starts = ("", "/", "file:///", "s3://bucket/", "mlflow-artifacts:/", "mlflow-artifacts:/0/")
    for start in starts:
        for path in sorted({*REFUSED, *UNREADABLE} - {*LONG}):
            location = start + unquote(path)
            answer = embedded.post(
                f"{MLFLOW}/experiments/create", name="located", artifact_location=location
            )
            assert answer.error == INVALID, location
    found = embedded.ask("GET", f"{MLFLOW}/experiments/get-by-name?experiment_name=located")
    assert found.error == ABSENT
