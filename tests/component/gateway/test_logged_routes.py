"""Logged models over HTTP, as MLflow's clients ask for them."""

import json
import uuid
from typing import Any

from support.http_gateway import MLFLOW, PROXY, Answer, Gateway

MODELS = f"{MLFLOW}/logged-models"
ABSENT = (404, "RESOURCE_DOES_NOT_EXIST")
INVALID = (400, "INVALID_PARAMETER_VALUE")
NOWHERE = "m-" + "0" * 32


def send(server: Gateway, method: str, path: str, /, **body: Any) -> Answer:
    return server.ask(method, path, json.dumps(body), {"Content-Type": "application/json"})


def done(answer: Answer) -> Any:
    assert answer.status == 200, answer.body
    return answer.json


def new_model(server: Gateway, experiment_id: str = "0", **values: Any) -> Any:
    return done(server.post(MODELS, experiment_id=experiment_id, **values))["model"]


def new_experiment(server: Gateway) -> str:
    made = server.post(f"{MLFLOW}/experiments/create", name=uuid.uuid4().hex)
    return str(done(made)["experiment_id"])


def id_of(model: Any) -> str:
    return str(model["info"]["model_id"])


def get_model(server: Gateway, model_id: str) -> Any:
    return done(server.ask("GET", f"{MODELS}/{model_id}"))["model"]


def get_run(server: Gateway, run_id: str) -> Any:
    return done(server.ask("GET", f"{MLFLOW}/runs/get?run_id={run_id}"))["run"]


def root(model_id: str, experiment_id: str = "0") -> str:
    return f"{experiment_id}/models/{model_id}/artifacts"


def put(server: Gateway, model_id: str, path: str, data: bytes) -> None:
    done(server.ask("PUT", f"{PROXY}/artifacts/{root(model_id)}/{path}", data))


def pair(key: str, value: str) -> dict[str, str]:
    return {"key": key, "value": value}


def test_a_model_is_created_finalized_and_deleted(server: Gateway) -> None:
    made = new_model(
        server,
        name="m",
        model_type="classifier",
        source_run_id="r1",
        params=[pair("b", "2"), pair("a", "1")],
        tags=[pair("t", "ü")],
    )
    model_id = id_of(made)
    created = made["info"]["creation_timestamp_ms"]
    assert created > 1_700_000_000_000
    assert made == {
        "info": {
            "model_id": model_id,
            "experiment_id": "0",
            "name": "m",
            "creation_timestamp_ms": created,
            "last_updated_timestamp_ms": created,
            "artifact_uri": f"mlflow-artifacts:/0/models/{model_id}/artifacts",
            "status": "LOGGED_MODEL_PENDING",
            "model_type": "classifier",
            "source_run_id": "r1",
            "tags": [pair("t", "ü")],
        },
        "data": {"params": [pair("a", "1"), pair("b", "2")]},
    }
    assert get_model(server, model_id) == made
    for status in ("LOGGED_MODEL_UPLOAD_FAILED", "LOGGED_MODEL_READY"):
        ended = send(server, "PATCH", f"{MODELS}/{model_id}", model_id=model_id, status=status)
        assert done(ended)["model"]["info"]["status"] == status
    pending = send(server, "PATCH", f"{MODELS}/{model_id}", status="LOGGED_MODEL_PENDING")
    assert pending.error == INVALID
    assert done(send(server, "DELETE", f"{MODELS}/{model_id}", model_id=model_id)) == {}
    assert server.ask("GET", f"{MODELS}/{model_id}").error == ABSENT
    assert server.ask("GET", f"{MODELS}/{model_id}?allow_deleted=false").error == ABSENT
    kept = done(server.ask("GET", f"{MODELS}/{model_id}?allow_deleted=true"))
    assert kept["model"]["info"]["name"] == "m"


def test_tags_and_params(embedded: Gateway) -> None:
    model_id = id_of(new_model(embedded))
    one = f"{MODELS}/{model_id}"
    done(send(embedded, "PATCH", f"{one}/tags", tags=[pair("a", "1"), pair("x/y", "2")]))
    done(send(embedded, "PATCH", f"{one}/tags", tags=[pair("a", "3")]))
    done(embedded.post(f"{one}/params", model_id=model_id, params=[pair("p", "1")]))
    found = get_model(embedded, model_id)
    assert found["info"]["tags"] == [pair("a", "3"), pair("x/y", "2")]
    assert found["data"] == {"params": [pair("p", "1")]}
    for key in ("a", "x/y"):
        done(embedded.ask("DELETE", f"{one}/tags/{key}"))
        assert embedded.ask("DELETE", f"{one}/tags/{key}").error == ABSENT
    assert "tags" not in get_model(embedded, model_id)["info"]
    assert embedded.post(f"{one}/params", params=[pair("p", "2")]).error == INVALID
    # Nothing is a mistake only where there is no model.
    assert done(send(embedded, "PATCH", f"{one}/tags", tags=[])) == {}
    assert done(embedded.post(f"{one}/params")) == {}
    assert send(embedded, "PATCH", f"{MODELS}/{NOWHERE}/tags", tags=[]).error == ABSENT
    assert embedded.post(f"{MODELS}/{NOWHERE}/params").error == ABSENT


def test_what_is_not_there_is_absent(embedded: Gateway) -> None:
    one = f"{MODELS}/{NOWHERE}"
    assert embedded.ask("GET", one).error == ABSENT
    assert send(embedded, "PATCH", one, status="LOGGED_MODEL_READY").error == ABSENT
    assert send(embedded, "DELETE", one).error == ABSENT
    assert send(embedded, "PATCH", f"{one}/tags", tags=[pair("a", "1")]).error == ABSENT
    assert embedded.ask("GET", f"{one}/artifacts/directories").error == ABSENT
    assert embedded.ask("GET", f"{one}/artifacts/files?artifact_file_path=f").error == ABSENT
    assert embedded.post(MODELS, experiment_id="999999").error == ABSENT
    assert embedded.post(MODELS, experiment_id="0", name="a/b").error == INVALID


def test_models_are_searched(server: Gateway) -> None:
    experiment_id = new_experiment(server)
    run_id = server.new_run(experiment_id)
    ids = [id_of(new_model(server, experiment_id, name=f"m{place}")) for place in range(3)]
    for place, model_id in enumerate(ids):
        values: dict[str, Any] = {"key": "acc", "timestamp": 1, "model_id": model_id}
        on = {"dataset_name": "d", "dataset_digest": str(place)}
        logged = server.post(
            f"{MLFLOW}/runs/log-metric", run_id=run_id, value=place / 2, **values, **on
        )
        done(logged)

    def search(**asked: Any) -> tuple[list[int], str]:
        told = done(server.post(f"{MODELS}/search", experiment_ids=[experiment_id], **asked))
        found = [ids.index(id_of(each)) for each in told.get("models", [])]
        return found, told.get("next_page_token", "")

    assert search() == ([2, 1, 0], "")
    by_accuracy = [{"field_name": "metrics.acc", "ascending": True}]
    first, token = search(order_by=by_accuracy, max_results=2)
    assert first == [0, 1]
    assert search(order_by=by_accuracy, max_results=2, page_token=token) == ([2], "")
    on_one = [{"field_name": "metrics.acc", "dataset_name": "d", "dataset_digest": "1"}]
    assert search(order_by=on_one)[0][0] == 1
    assert search(filter="metrics.acc > 0.2 AND name != 'm1'") == ([2], "")
    at_one = [{"dataset_name": "d", "dataset_digest": "1"}]
    assert search(filter="metrics.acc >= 0", datasets=at_one) == ([1], "")
    assert search(filter="name = 'none'") == ([], "")
    wrong = server.post(f"{MODELS}/search", experiment_ids=[experiment_id], max_results=-1)
    assert wrong.error == INVALID


def test_a_wrong_point_of_a_model_is_told_by_its_place(embedded: Gateway) -> None:
    run_id, model_id = embedded.new_run(), id_of(new_model(embedded))
    plain = {"key": "a", "value": 1.0, "timestamp": 5}
    for wrong, name in (
        ({"key": "../x"}, "name"),
        ({"timestamp": -1}, "timestamp"),
        ({"model_id": "no id"}, "model_id"),
        ({"dataset_name": "d" * 501}, "dataset_name"),
        ({"dataset_digest": "1"}, "dataset_digest"),
    ):
        point = {**plain, "model_id": model_id, **wrong}
        refused = embedded.post(
            f"{MLFLOW}/runs/log-batch", run_id=run_id, metrics=[plain, plain, point]
        )
        assert refused.error == INVALID
        assert f"for parameter 'metrics[2].{name}' supplied" in refused.json["message"]
        refused = embedded.post(f"{MLFLOW}/runs/log-metric", run_id=run_id, **point)
        assert refused.error == INVALID
        assert f"for parameter '{name}' supplied" in refused.json["message"]
    assert "metrics" not in get_run(embedded, run_id)["data"]
    assert "metrics" not in get_model(embedded, model_id)["data"]


def test_the_model_of_the_path_may_be_named_once_more_and_no_other(embedded: Gateway) -> None:
    model_id, other = (id_of(new_model(embedded, tags=[pair("t", "1")])) for _ in range(2))
    one = f"{MODELS}/{model_id}"
    requests: list[tuple[str, str, dict[str, Any]]] = [
        ("PATCH", f"{one}/tags", {"tags": [pair("a", "1")]}),
        ("POST", f"{one}/params", {"params": [pair("p", "1")]}),
        ("PATCH", one, {"status": "LOGGED_MODEL_READY"}),
        ("DELETE", one, {}),
    ]
    for method, path, body in requests:
        refused = send(embedded, method, path, model_id=other, **body)
        assert refused.error == INVALID
        assert "for parameter 'model_id' supplied" in refused.json["message"]
        done(send(embedded, method, path, model_id=model_id, **body))
    assert get_model(embedded, other)["info"]["tags"] == [pair("t", "1")]


def test_points_are_the_runs_and_the_models(server: Gateway) -> None:
    run_id = server.new_run()
    model_id = id_of(new_model(server))
    points = [
        {"key": "a", "value": 1.0, "timestamp": 5, "step": 1},
        {"key": "b", "value": "NaN", "timestamp": "6", "step": 2, "model_id": model_id},
        {
            "key": "c",
            "value": 3.0,
            "timestamp": 7,
            "modelId": model_id,
            "dataset_name": "d",
            "dataset_digest": "1",
        },
    ]
    batch = {"run_id": run_id, "metrics": points, "tags": [pair("t", "1")]}
    done(server.post(f"{MLFLOW}/runs/log-batch", **batch))
    assert get_model(server, model_id)["data"]["metrics"] == [
        {"key": "b", "value": "NaN", "timestamp": 6, "step": 2}
        | {"model_id": model_id, "run_id": run_id},
        {"key": "c", "value": 3.0, "timestamp": 7, "step": 0}
        | {"model_id": model_id, "run_id": run_id}
        | {"dataset_name": "d", "dataset_digest": "1"},
    ]
    held = get_run(server, run_id)["data"]
    assert [each["key"] for each in held["metrics"]] == ["a", "b", "c"]
    # All of it or nothing.
    lost = {"key": "lost", "value": 1.0, "timestamp": 1, "model_id": NOWHERE}
    answer = server.post(f"{MLFLOW}/runs/log-batch", run_id=run_id, metrics=[points[0], lost])
    assert answer.error == ABSENT
    assert get_run(server, run_id)["data"] == held


def test_runs_tell_what_they_read_and_made(server: Gateway) -> None:
    experiment_id = new_experiment(server)
    run_id, other = server.new_run(experiment_id), server.new_run(experiment_id)
    read, made = (id_of(new_model(server, experiment_id)) for _ in range(2))
    dataset = {"name": "d", "digest": "1", "source_type": "local", "source": "x"}
    use = [pair("mlflow.data.context", "training")]
    inputs = {"datasets": [{"dataset": dataset, "tags": use}], "models": [{"model_id": read}]}
    done(server.post(f"{MLFLOW}/runs/log-inputs", run_id=run_id, **inputs))
    outputs = [{"model_id": made, "step": 3}]
    done(server.post(f"{MLFLOW}/runs/outputs", run_id=run_id, models=outputs))
    done(server.post(f"{MLFLOW}/runs/outputs", run_id=other, models=outputs))
    found = get_run(server, run_id)
    assert found["inputs"]["model_inputs"] == [{"model_id": read}]
    assert found["outputs"] == {"model_outputs": outputs}
    runs = done(server.post(f"{MLFLOW}/runs/search", experiment_ids=[experiment_id]))["runs"]
    by_id = {each["info"]["run_id"]: each for each in runs}
    assert by_id[run_id]["inputs"] == found["inputs"]
    assert by_id[run_id]["outputs"] == found["outputs"]
    assert (by_id[other]["inputs"], by_id[other]["outputs"]) == ({}, found["outputs"])
    absent = server.post(f"{MLFLOW}/runs/outputs", run_id=run_id, models=[{"model_id": NOWHERE}])
    assert absent.error == ABSENT
    listed = server.post(f"{MLFLOW}/experiments/search-datasets", experiment_ids=[experiment_id])
    assert done(listed) == {
        "dataset_summaries": [
            {"experiment_id": experiment_id, "name": "d", "digest": "1", "context": "training"}
        ]
    }
    for wrong in ([], ["0"] * 21):
        answer = server.post(f"{MLFLOW}/experiments/search-datasets", experiment_ids=wrong)
        assert answer.error == INVALID


def test_files_of_a_model(server: Gateway) -> None:
    model_id = id_of(new_model(server))
    put(server, model_id, "MLmodel", b"flavors")
    put(server, model_id, "data/weights", b"12345")
    down = server.ask("GET", f"{PROXY}/artifacts/{root(model_id)}/data/weights")
    assert down.body == b"12345"
    weights = {"path": "weights", "is_dir": False, "file_size": 5}
    below = server.ask("GET", f"{PROXY}/artifacts?path={root(model_id)}/data")
    assert done(below) == {"files": [weights]}
    one = f"{MODELS}/{model_id}/artifacts"
    assert done(server.ask("GET", f"{one}/directories")) == {
        "root_uri": f"mlflow-artifacts:/{root(model_id)}",
        "files": [
            {"path": "MLmodel", "is_dir": False, "file_size": 7},
            {"path": "data", "is_dir": True},
        ],
    }
    inside = done(server.ask("GET", f"{one}/directories?artifact_directory_path=data"))
    assert inside["files"] == [weights | {"path": "data/weights"}]
    file = server.ask("GET", f"{one}/files?artifact_file_path=data/weights")
    assert (file.status, file.body) == (200, b"12345")
    away = server.ask("GET", f"{one}/files?artifact_file_path=../x")
    assert away.error == INVALID
    done(server.ask("DELETE", f"{PROXY}/artifacts/{root(model_id)}/data"))
    assert server.ask("GET", f"{PROXY}/artifacts/{root(model_id)}/data/weights").error == ABSENT
    # In its own experiment only, and only while there is a model.
    for elsewhere in (root(model_id, "1"), root(NOWHERE)):
        for method in ("GET", "PUT", "DELETE"):
            answer = server.ask(method, f"{PROXY}/artifacts/{elsewhere}/MLmodel")
            assert answer.error == ABSENT, (method, elsewhere)
    done(send(server, "DELETE", f"{MODELS}/{model_id}"))
    assert server.ask("GET", f"{one}/directories").error == ABSENT
    assert server.ask("GET", f"{one}/files?artifact_file_path=MLmodel").error == ABSENT


def new_name(server: Gateway) -> str:
    name = uuid.uuid4().hex
    done(server.post(f"{MLFLOW}/registered-models/create", name=name))
    return name


def noted(server: Gateway, model_id: str) -> Any:
    tags = {each["key"]: each["value"] for each in get_model(server, model_id)["info"]["tags"]}
    return json.loads(tags["mlflow.modelVersions"])


def test_a_model_becomes_a_version(server: Gateway) -> None:
    run_id = server.new_run()
    model_id = id_of(new_model(server, source_run_id=run_id))
    put(server, model_id, "MLmodel", b"flavors")
    put(server, model_id, "data/weights", b"12345")
    name = new_name(server)
    sources = {
        f"models:/{model_id}": ["MLmodel", "data"],
        f"mlflow-artifacts:/{root(model_id)}": ["MLmodel", "data"],
        f"mlflow-artifacts:/{root(model_id)}/data": ["weights"],
    }
    for number, (source, names) in enumerate(sources.items(), 1):
        asked = {"name": name, "source": source, "model_id": model_id}
        made = done(server.post(f"{MLFLOW}/model-versions/create", **asked))["model_version"]
        assert (made["version"], made["source"], made["run_id"]) == (str(number), source, run_id)
        where = f"{MLFLOW}/model-versions/get-download-uri?name={name}&version={number}"
        uri = done(server.ask("GET", where))["artifact_uri"]
        path = uri.removeprefix("mlflow-artifacts:/")
        files = done(server.ask("GET", f"{PROXY}/artifacts?path={path}"))["files"]
        assert [each["path"] for each in files] == names
        versions = [{"name": name, "version": str(each)} for each in range(1, number + 1)]
        assert noted(server, model_id) == versions


def test_versions_of_other_models_are_refused(embedded: Gateway) -> None:
    model_id, other = (id_of(new_model(embedded)) for _ in range(2))
    gone = id_of(new_model(embedded))
    done(send(embedded, "DELETE", f"{MODELS}/{gone}"))
    name = new_name(embedded)
    for source, given in (
        (f"models:/{model_id}", {}),
        (f"models:/{model_id}", {"model_id": other}),
        (f"models:/{NOWHERE}", {"model_id": NOWHERE}),
        ("models:/m-1", {"model_id": "m-1"}),
        (f"mlflow-artifacts:/{root(model_id)}", {}),
        (f"mlflow-artifacts:/{root(model_id)}", {"model_id": other}),
        (f"mlflow-artifacts:/{root(model_id, '1')}", {"model_id": model_id}),
        (f"mlflow-artifacts:/{root(model_id)}x", {"model_id": model_id}),
        (f"mlflow-artifacts:/{root(NOWHERE)}", {"model_id": NOWHERE}),
        (f"mlflow-artifacts:/{root(gone)}", {"model_id": gone}),
        (f"models:/{gone}", {"model_id": gone}),
    ):
        asked = {"name": name, "source": source, **given}
        answer = embedded.post(f"{MLFLOW}/model-versions/create", **asked)
        assert answer.error == INVALID, source


def test_many_versions_leave_room_in_the_tag(embedded: Gateway) -> None:
    model_id = id_of(new_model(embedded))
    name = new_name(embedded)
    old = [{"name": "x" * 200, "version": str(each)} for each in range(30)]
    tags = [pair("mlflow.modelVersions", json.dumps(old))]
    done(send(embedded, "PATCH", f"{MODELS}/{model_id}/tags", tags=tags))
    asked = {"name": name, "source": f"models:/{model_id}", "model_id": model_id}
    done(embedded.post(f"{MLFLOW}/model-versions/create", **asked))
    found = noted(embedded, model_id)
    assert found[-1] == {"name": name, "version": "1"}
    assert found[:-1] == old[-len(found) + 1 :]
    assert len(json.dumps(found)) < 8000
