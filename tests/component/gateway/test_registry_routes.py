"""Registered models and their versions over HTTP, as MLflow's clients ask for them."""

import json
import uuid
from typing import Any

import pytest

from runstone.artifact.v1 import artifact_pb2 as artifacts
from runstone.artifact.v1.artifact_service_pb2_grpc import ArtifactServiceStub
from support.http_gateway import MLFLOW, Answer, Gateway
from support.suites import channel

MODELS = f"{MLFLOW}/registered-models"
VERSIONS = f"{MLFLOW}/model-versions"
ABSENT = (404, "RESOURCE_DOES_NOT_EXIST")
INVALID = (400, "INVALID_PARAMETER_VALUE")
TAKEN = (400, "RESOURCE_ALREADY_EXISTS")


def send(server: Gateway, method: str, path: str, /, **body: Any) -> Answer:
    headers = {"Content-Type": "application/json", "X-Runstone-User": "ada"}
    return server.ask(method, path, json.dumps(body), headers)


def done(answer: Answer) -> Any:
    assert answer.status == 200, answer.body
    return answer.json


def new_model(server: Gateway, **values: Any) -> str:
    name = f"m {uuid.uuid4().hex}"
    done(send(server, "POST", f"{MODELS}/create", name=name, **values))
    return name


def new_version(server: Gateway, name: str, source: str = "s3://b/x", **values: Any) -> Any:
    made = send(server, "POST", f"{VERSIONS}/create", name=name, source=source, **values)
    return done(made)["model_version"]


def get_model(server: Gateway, name: str) -> Any:
    return done(send(server, "GET", f"{MODELS}/get", name=name))["registered_model"]


def get_version(server: Gateway, name: str, version: str = "1") -> Any:
    found = send(server, "GET", f"{VERSIONS}/get", name=name, version=version)
    return done(found)["model_version"]


def run_with_files(server: Gateway, *paths: str) -> str:
    run_id = server.new_run()
    files = [artifacts.SmallFile(path=path, content=path.encode()) for path in paths]
    with channel(server.address) as opened:
        ArtifactServiceStub(opened).PutArtifacts(
            artifacts.PutArtifactsRequest(owner=artifacts.Owner(run_id=run_id), files=files)
        )
    return run_id


def files_at(server: Gateway, uri: str) -> list[str]:
    """The files of a version, found as the proxy finds them."""
    place, version_id, last = uri.removeprefix("mlflow-artifacts:/").split("/")
    assert (place, last) == ("model-versions", "artifacts")
    request = artifacts.ListArtifactsRequest(
        owner=artifacts.Owner(model_version_id=version_id), recursive=True
    )
    with channel(server.address) as opened:
        found = ArtifactServiceStub(opened).ListArtifacts(request).artifacts
    return [each.path for each in found if not each.is_directory]


def download_uri(server: Gateway, name: str, version: str = "1") -> str:
    found = send(server, "GET", f"{VERSIONS}/get-download-uri", name=name, version=version)
    return str(done(found)["artifact_uri"])


def test_a_model_is_created_changed_and_deleted(embedded: Gateway) -> None:
    tags = [{"key": "b", "value": "2"}, {"key": "a", "value": "1"}]
    name = new_model(embedded, tags=tags, description="d")
    model = get_model(embedded, name)
    assert model == {
        "name": name,
        "creation_timestamp": model["creation_timestamp"],
        "last_updated_timestamp": model["creation_timestamp"],
        "user_id": "ada",
        "description": "d",
        "tags": [{"key": "a", "value": "1"}, {"key": "b", "value": "2"}],
    }
    assert model["creation_timestamp"] > 1_700_000_000_000
    changed = done(send(embedded, "PATCH", f"{MODELS}/update", name=name, description="new"))
    assert changed["registered_model"]["description"] == "new"
    done(embedded.post(f"{MODELS}/set-tag", name=name, key="c", value="3"))
    for _ in range(2):
        # As with MLflow, it is no mistake to delete what is not there.
        done(send(embedded, "DELETE", f"{MODELS}/delete-tag", name=name, key="a"))
    assert get_model(embedded, name)["tags"] == [
        {"key": "b", "value": "2"},
        {"key": "c", "value": "3"},
    ]
    renamed = done(embedded.post(f"{MODELS}/rename", name=name, new_name=f"{name} 2"))
    assert renamed["registered_model"]["name"] == f"{name} 2"
    same = embedded.post(f"{MODELS}/rename", name=f"{name} 2", new_name=f"{name} 2")
    assert done(same)["registered_model"]["name"] == f"{name} 2"
    assert send(embedded, "GET", f"{MODELS}/get", name=name).error == ABSENT
    assert done(send(embedded, "DELETE", f"{MODELS}/delete", name=f"{name} 2")) == {}
    assert send(embedded, "DELETE", f"{MODELS}/delete", name=f"{name} 2").error == ABSENT


def test_what_models_refuse(embedded: Gateway) -> None:
    name, other = new_model(embedded), new_model(embedded)
    assert embedded.post(f"{MODELS}/create", name=name).error == TAKEN
    assert embedded.post(f"{MODELS}/rename", name=name, new_name=other).error == TAKEN
    assert embedded.post(f"{MODELS}/rename", name=f"{name}x", new_name="y").error == ABSENT
    assert embedded.post(f"{MODELS}/rename", name=name, new_name="a/b").error == INVALID
    for bad in ("a/b", "a:b", "a\x00b", "a" * 257):
        assert embedded.post(f"{MODELS}/create", name=bad).error == INVALID, bad
    long = [{"key": "a", "value": "x" * 100_001}]
    assert embedded.post(f"{MODELS}/create", name=f"{name}t", tags=long).error == INVALID
    absent = f"{name}x"
    assert send(embedded, "PATCH", f"{MODELS}/update", name=absent).error == ABSENT
    assert embedded.post(f"{MODELS}/set-tag", name=absent, key="a").error == ABSENT
    assert send(embedded, "DELETE", f"{MODELS}/delete-tag", name=absent, key="a").error == ABSENT
    assert embedded.post(f"{MODELS}/get-latest-versions", name=absent).error == ABSENT


def test_a_version_is_created_changed_and_deleted(embedded: Gateway) -> None:
    name = new_model(embedded)
    made = new_version(
        embedded,
        name,
        run_id="r1",
        run_link="http://example.com/r1",
        description="d",
        tags=[{"key": "a", "value": "1"}],
        model_id="m-1",
    )
    assert made == {
        "name": name,
        "version": "1",
        "creation_timestamp": made["creation_timestamp"],
        "last_updated_timestamp": made["creation_timestamp"],
        "user_id": "ada",
        "current_stage": "None",
        "description": "d",
        "source": "s3://b/x",
        "run_id": "r1",
        "run_link": "http://example.com/r1",
        "status": "READY",
        "tags": [{"key": "a", "value": "1"}],
    }
    assert get_version(embedded, name) == made
    assert get_model(embedded, name)["latest_versions"] == [made]
    assert download_uri(embedded, name) == "s3://b/x"
    at = {"name": name, "version": "1"}
    changed = done(send(embedded, "PATCH", f"{VERSIONS}/update", **at, description="new"))
    assert changed["model_version"]["description"] == "new"
    done(embedded.post(f"{VERSIONS}/set-tag", **at, key="b", value="2"))
    for _ in range(2):
        done(send(embedded, "DELETE", f"{VERSIONS}/delete-tag", **at, key="a"))
    assert get_version(embedded, name)["tags"] == [{"key": "b", "value": "2"}]
    assert done(send(embedded, "DELETE", f"{VERSIONS}/delete", **at)) == {}
    assert send(embedded, "GET", f"{VERSIONS}/get", **at).error == ABSENT
    assert new_version(embedded, name)["version"] == "2"


def test_what_versions_refuse(embedded: Gateway) -> None:
    name = new_model(embedded)
    new_version(embedded, name)
    for version in ("2", "0", "-1", str(2**63), "9" * 30):
        at = {"name": name, "version": version}
        assert send(embedded, "GET", f"{VERSIONS}/get", **at).error == ABSENT
        assert send(embedded, "GET", f"{VERSIONS}/get-download-uri", **at).error == ABSENT
        assert send(embedded, "PATCH", f"{VERSIONS}/update", **at).error == ABSENT
        assert send(embedded, "DELETE", f"{VERSIONS}/delete", **at).error == ABSENT
        assert send(embedded, "DELETE", f"{VERSIONS}/delete-tag", **at, key="a").error == ABSENT
        assert embedded.post(f"{VERSIONS}/set-tag", **at, key="a").error == ABSENT
        assert embedded.post(f"{VERSIONS}/transition-stage", **at, stage="None").error == ABSENT
        assert embedded.post(f"{MODELS}/alias", **at, alias="a").error == ABSENT
    for version in ("x", "1.0", "٣", "--1", "-"):
        assert send(embedded, "GET", f"{VERSIONS}/get", name=name, version=version).error == INVALID
    absent = embedded.post(f"{VERSIONS}/create", name=f"{name}x", source="s3://b/x")
    assert absent.error == ABSENT


def test_stages_are_read_in_any_case(embedded: Gateway) -> None:
    name = new_model(embedded)
    for _ in range(3):
        new_version(embedded, name)
    move = f"{VERSIONS}/transition-stage"
    first = done(embedded.post(move, name=name, version="1", stage="production"))
    assert first["model_version"]["current_stage"] == "Production"
    done(
        embedded.post(
            move, name=name, version="2", stage="Production", archive_existing_versions=True
        )
    )
    for method in ("GET", "POST"):
        ask = {"name": name, "stages": ["PRODUCTION", "none"]}
        latest = done(send(embedded, method, f"{MODELS}/get-latest-versions", **ask))
        found = {each["current_stage"]: each["version"] for each in latest["model_versions"]}
        assert found == {"Production": "2", "None": "3"}
    every = done(embedded.post(f"{MODELS}/get-latest-versions", name=name))["model_versions"]
    assert {each["version"] for each in every} == {"1", "2", "3"}
    lacking = embedded.post(f"{MODELS}/get-latest-versions", name=name, stages=["Staging"])
    assert done(lacking) == {}
    wrong = embedded.post(f"{MODELS}/get-latest-versions", name=name, stages=["Moon"])
    assert wrong.error == INVALID
    assert embedded.post(move, name=name, version="1", stage="Moon").error == INVALID
    archive = {"stage": "Archived", "archive_existing_versions": True}
    assert embedded.post(move, name=name, version="1", **archive).error == INVALID
    # MLflow knows no protection of what is in use.
    done(send(embedded, "DELETE", f"{VERSIONS}/delete", name=name, version="2"))
    done(embedded.post(move, name=name, version="3", stage="Staging"))
    done(send(embedded, "DELETE", f"{MODELS}/delete", name=name))


def test_aliases(embedded: Gateway) -> None:
    name = new_model(embedded)
    new_version(embedded, name)
    new_version(embedded, name)
    alias = f"{MODELS}/alias"
    done(embedded.post(alias, name=name, alias="best", version="1"))
    done(embedded.post(alias, name=name, alias="also", version="2"))
    done(embedded.post(alias, name=name, alias="best", version="2"))
    found = done(send(embedded, "GET", alias, name=name, alias="best"))["model_version"]
    assert (found["version"], found["aliases"]) == ("2", ["also", "best"])
    assert get_model(embedded, name)["aliases"] == [
        {"alias": "also", "version": "2"},
        {"alias": "best", "version": "2"},
    ]
    for _ in range(2):
        done(send(embedded, "DELETE", alias, name=name, alias="best"))
    assert send(embedded, "GET", alias, name=name, alias="best").error == INVALID
    assert send(embedded, "GET", alias, name=f"{name}x", alias="best").error == ABSENT
    assert send(embedded, "DELETE", alias, name=f"{name}x", alias="best").error == ABSENT
    for bad in ("latest", "v1", "a b", "a" * 256):
        assert embedded.post(alias, name=name, alias=bad, version="1").error == INVALID, bad


def test_files_of_a_run_are_kept_with_the_version(embedded: Gateway) -> None:
    run_id = run_with_files(embedded, "model/MLmodel", "model/100%.txt", "other")
    name = new_model(embedded)
    uri = f"mlflow-artifacts:/0/{run_id}/artifacts"
    for source, files in (
        (f"runs:/{run_id}/model", ["100%.txt", "MLmodel"]),
        (f"{uri}/model", ["100%.txt", "MLmodel"]),
        (f"{uri}//model/", ["100%.txt", "MLmodel"]),
        (f"{uri}/model/100%.txt", ["100%.txt"]),
        (uri, ["model/100%.txt", "model/MLmodel", "other"]),
        (f"runs:/{run_id}", ["model/100%.txt", "model/MLmodel", "other"]),
    ):
        made = new_version(embedded, name, source, run_id=run_id)
        assert (made["source"], made["run_id"], made["status"]) == (source, run_id, "READY")
        kept = download_uri(embedded, name, made["version"])
        assert files_at(embedded, kept) == files, source
    copy = new_version(embedded, name, f"models:/{name}/1")
    assert (copy["source"], copy["run_id"]) == (f"models:/{name}/1", run_id)
    done(send(embedded, "DELETE", f"{VERSIONS}/delete", name=name, version="1"))
    kept = download_uri(embedded, name, copy["version"])
    assert files_at(embedded, kept) == ["100%.txt", "MLmodel"]


def test_files_of_a_run_may_come_later(embedded: Gateway) -> None:
    name = new_model(embedded)
    run_id = embedded.new_run()
    source = f"mlflow-artifacts:/0/{run_id}/artifacts/model"
    made = new_version(embedded, name, source, run_id=run_id)
    assert (made["source"], made["run_id"], made["status"]) == (source, run_id, "READY")
    assert download_uri(embedded, name) == source
    new_version(embedded, name, f"models:/{name}/1")
    assert download_uri(embedded, name, "2") == source


def test_a_version_may_be_a_copy_of_another(embedded: Gateway) -> None:
    origin = new_model(embedded)
    for index in range(3):
        new_version(embedded, origin, f"s3://b/{index + 1}", run_id=f"r{index + 1}")
    done(embedded.post(f"{MODELS}/alias", name=origin, alias="best", version="1"))
    move = {"name": origin, "version": "2", "stage": "Staging"}
    done(embedded.post(f"{VERSIONS}/transition-stage", **move))
    name = new_model(embedded)
    for suffix, number in (("/1", 1), ("@best", 1), ("/staging", 2), ("/latest", 3), ("/3", 3)):
        made = new_version(embedded, name, f"models:/{origin}{suffix}")
        assert (made["source"], made["run_id"]) == (f"models:/{origin}/{number}", f"r{number}")
        assert download_uri(embedded, name, made["version"]) == f"s3://b/{number}"
    create = f"{VERSIONS}/create"
    new_version(embedded, name, f"models:/{origin}/1", run_id="r1")
    for error, suffix, values in (
        (ABSENT, "/9", {}),
        (ABSENT, "x/1", {}),
        (INVALID, "@worst", {}),
        (INVALID, "/Moon", {}),
        (ABSENT, "/Production", {}),
        (INVALID, "/1", {"run_id": "r2"}),
        (INVALID, "/1", {"model_id": "m-2"}),
        (INVALID, "/1/2", {}),
        (INVALID, "/ ", {}),
    ):
        answer = embedded.post(create, name=name, source=f"models:/{origin}{suffix}", **values)
        assert answer.error == error, suffix


UP = [
    *("..", "../x", "x/..", "x/../y", "x/./y", "%2e%2e", "%2e%2e/x", "%2E%2e%2fx", "%252e%252e/x"),
    *(
        "%25252e%25252e",
        "..%2f..%2fetc",
        "..;/x",
        "..?x",
        "..#x",
        "a%5c..%5cb",
        "a\\..\\b",
        "a%00b",
    ),
    *("a\x00b", "a\nb", "%0d%0a", "x%2f..%2fy", ".", "a/%2e", "..%00/x", "\x7f", "..%23", "+/.."),
]
LOCAL = [
    *("/etc/passwd", "/", "etc", "./x", "../x", "~/x", "file:/etc", "file:///etc", "FILE:/etc"),
    *(
        "file://host/etc",
        "file:",
        "C:/x",
        "c:\\x",
        "\\\\host\\x",
        "//host/x",
        " /etc",
        ":/x",
        "a/b:c",
    ),
    *("?", "#", "model", "%2fetc", "/etc:x", "x"),
]
ELSEWHERE = [
    *("http://h/x", "https://h/x", "HTTP://h/x", "ftp://h/x", "sftp://h/x", "hdfs://h/x"),
    *("viewfs://h/x", "r2://a@h/x", "b2://a@h/x", "abfss://a@h/x", "mlflow-artifacts://h/0/x"),
    *("http:/x", "http://127.0.0.1/api/2.0/mlflow-artifacts/artifacts/0/x", "https:x"),
    *("runs://h/x", "models://h/x/1", "http://[", "s3://[/x", "s3://b", "s3://b/", "s3:", "s3:x"),
    *("runs:", "runs:/", "models:", "models:/", "mlflow-artifacts:", "mlflow-artifacts:/"),
]


def test_sources_that_lead_elsewhere_are_refused(embedded: Gateway) -> None:
    run_id, other = run_with_files(embedded, "model/x"), run_with_files(embedded, "model/y")
    name = new_model(embedded)
    inside = f"mlflow-artifacts:/0/{run_id}/artifacts"
    starts = [
        inside,
        f"runs:/{run_id}",
        "s3://b",
        "models:/m",
        "dbfs:",
        f"MLFLOW-ARTIFACTS:/0/{run_id}",
    ]
    outside = [
        *(f"runs:/{other}/model", "runs:/x/model", f"mlflow-artifacts:/0/{other}/artifacts/model"),
        *(f"mlflow-artifacts:/1/{run_id}/artifacts/model", f"mlflow-artifacts:/0/{run_id}/model"),
        *(f"mlflow-artifacts:/0/{run_id}", f"mlflow-artifacts:/x/0/{run_id}/artifacts/model"),
        *(f"{inside}x/model", f"mlflow-artifacts:/{run_id}", "models:/m-1", "models:/m/x/1"),
        *(f"runs:/%30{run_id[1:]}", "mlflow-artifacts:/model-versions/x/artifacts"),
    ]
    # Each decoding takes two characters off the last one: it is not decoded at all.
    endless = "s3://b/%" + "25" * 500_000
    refused = [
        endless,
        *LOCAL,
        *ELSEWHERE,
        *outside,
        *(f"{start}/{up}" for start in starts for up in UP),
    ]
    for source in refused:
        for values in ({"run_id": run_id}, {}, {"run_id": ""}, {"model_id": "m-" + "0" * 32}):
            answer = embedded.post(f"{VERSIONS}/create", name=name, source=source, **values)
            assert answer.error == INVALID, (source, values, answer.body)
    for source in (f"runs:/{run_id}/model", f"{inside}/model"):
        for values in ({}, {"run_id": other}, {"model_id": "m-1"}, {"run_id": ""}):
            answer = embedded.post(f"{VERSIONS}/create", name=name, source=source, **values)
            assert answer.error == INVALID, (source, values)
            assert "request parameter must identify the resource" in answer.json["message"]
    found = send(embedded, "GET", f"{VERSIONS}/search", filter=f"name = '{name}'")
    assert done(found) == {}


def test_searches_are_filtered_ordered_and_paged(embedded: Gateway) -> None:
    mark = uuid.uuid4().hex
    names = [f"{mark}-{index}" for index in range(5)]
    for name in names:
        done(embedded.post(f"{MODELS}/create", name=name, tags=[{"key": "at", "value": name[-1]}]))

    def search(**values: Any) -> tuple[list[str], str]:
        found = done(send(embedded, "GET", f"{MODELS}/search", **values))
        models = found.get("registered_models", [])
        return [each["name"] for each in models], found.get("next_page_token", "")

    like = f"name LIKE '{mark}%'"
    assert search(filter=like) == (names, "")
    assert search(filter=f"{like} AND tags.at = '3'")[0] == [names[3]]
    assert search(filter=f"{like} AND (tags.at = '3' OR tags.at = '4')")[0] == names[3:]
    assert search(filter=f"name = '{names[0]}' OR name = '{names[1]}'")[0] == names[:2]
    assert search(filter=like, order_by=["name DESC"])[0] == names[::-1]
    assert search(filter=like, order_by=["timestamp DESC", "name"])[0] == names[::-1]
    first, token = search(filter=like, max_results=2)
    second, token = search(filter=like, max_results=2, page_token=token)
    last, token = search(filter=like, max_results=2, page_token=token)
    assert (first + second + last, token) == (names, "")
    for values in (
        {"max_results": 0},
        {"max_results": 1001},
        {"max_results": -1},
        {"filter": "foo = 1"},
        {"filter": "name ="},
        {"filter": "name = 'a"},
        {"order_by": ["foo"]},
        {"page_token": "x"},
    ):
        assert send(embedded, "GET", f"{MODELS}/search", **values).error == INVALID, values


def test_versions_are_searched(embedded: Gateway) -> None:
    name = new_model(embedded)
    for index in range(5):
        new_version(embedded, name, f"s3://b/{index}", run_id=f"run-{index % 2}")

    def search(text: str = "", **values: Any) -> tuple[list[str], str]:
        text = f"name = '{name}'" + (f" AND {text}" if text else "")
        query = {"filter": text, "order_by": ["version_number ASC"], **values}
        found = done(send(embedded, "GET", f"{VERSIONS}/search", **query))
        versions = found.get("model_versions", [])
        return [each["version"] for each in versions], found.get("next_page_token", "")

    assert search() == (["1", "2", "3", "4", "5"], "")
    assert search("run_id = 'run-1'")[0] == ["2", "4"]
    assert search("run_id IN ('run-1', 'x')")[0] == ["2", "4"]
    assert search("source_path = 's3://b/2'")[0] == ["3"]
    assert search("version_number > 3", order_by=["version_number DESC"])[0] == ["5", "4"]
    first, token = search(max_results=3)
    assert (first, search(max_results=3, page_token=token)) == (["1", "2", "3"], (["4", "5"], ""))
    for values in ({"max_results": 0}, {"max_results": 200_001}, {"filter": "x"}):
        assert send(embedded, "GET", f"{VERSIONS}/search", **values).error == INVALID, values


PROMPT = "mlflow.prompt.is_prompt"


def test_prompts_are_left_out_of_searches_for_models(embedded: Gateway) -> None:
    mark = uuid.uuid4().hex
    tags = [{"key": PROMPT, "value": "true"}]
    model, prompt = f"{mark}-model", f"{mark}-prompt"
    done(embedded.post(f"{MODELS}/create", name=model))
    done(embedded.post(f"{MODELS}/create", name=prompt, tags=tags))
    new_version(embedded, model)
    for source in ("dummy-source", "prompt-template"):
        made = new_version(embedded, prompt, source, tags=tags)
        assert (made["status"], made["source"]) == ("READY", source)
    for source in ("s3://b/x", "/etc/passwd", ""):
        answer = embedded.post(f"{VERSIONS}/create", name=prompt, source=source, tags=tags)
        assert answer.error == INVALID, source
    copied = embedded.post(f"{VERSIONS}/create", name=model, source=f"models:/{prompt}/1")
    assert copied.error == INVALID
    like = f"name LIKE '{mark}%'"
    for also, found in (
        ("", [model]),
        (f" AND tags.`{PROMPT}` != 'true'", [model]),
        (f" AND tag.`{PROMPT}` = 'false'", [model]),
        (f" AND tags.`{PROMPT}` = 'true'", [prompt]),
        (f' AND tags."{PROMPT}" != "false"', [prompt]),
    ):
        for path, key in ((MODELS, "registered_models"), (VERSIONS, "model_versions")):
            answer = done(send(embedded, "GET", f"{path}/search", filter=like + also))
            assert {each["name"] for each in answer[key]} == set(found), also


@pytest.mark.parametrize("prefix", ["/api/", "/ajax-api/"])
def test_queries_do_as_well_as_bodies(embedded: Gateway, prefix: str) -> None:
    name = new_model(embedded)
    new_version(embedded, name)
    at = name.replace(" ", "%20")
    below = f"{prefix}2.0/mlflow"
    found = embedded.ask("GET", f"{below}/model-versions/get?name={at}&version=1")
    assert done(found)["model_version"]["version"] == "1"
    latest = f"{below}/registered-models/get-latest-versions"
    found = embedded.ask("GET", f"{latest}?name={at}&stages=None&stages=Staging")
    assert len(done(found)["model_versions"]) == 1
    found = embedded.ask(
        "GET", f"{below}/registered-models/search?max_results=1&filter=name%3D%27{at}%27"
    )
    assert [each["name"] for each in done(found)["registered_models"]] == [name]
