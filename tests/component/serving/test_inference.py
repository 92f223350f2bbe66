"""The Open Inference Protocol over real HTTP."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from support.serving import Answer, Serving, ask, serving

MODEL = "/v2/models/sums"


def tensor(name: str, data: list[Any], datatype: str = "FP64", **changes: Any) -> dict[str, Any]:
    return {"name": name, "shape": [len(data)], "datatype": datatype, "data": data, **changes}


COLUMNS = [tensor("a", [1, 4]), tensor("b", [2.0, 5.0]), tensor("c", [3, 6], "INT64")]


@pytest.fixture(scope="module")
def served(model: Path) -> Iterator[Serving]:
    with serving(model) as started:
        yield started


@pytest.fixture(scope="module")
def unchecked(unsigned: Path) -> Iterator[Serving]:
    with serving(unsigned) as started:
        yield started


def infer(served: Serving, body: Any, model: str = MODEL) -> Answer:
    return ask(served.port, f"{model}/infer", body)


def test_it_says_what_it_serves(served: Serving) -> None:
    assert ask(served.port, "/v2").json["name"] == "runstone"
    assert ask(served.port, "/v2/health/live").json == {"live": True}
    assert ask(served.port, "/v2/health/ready").json["ready"] is True
    assert ask(served.port, f"{MODEL}/ready").json == {"name": "sums", "ready": True}
    assert ask(served.port, f"{MODEL}/versions/1/ready").status == 200
    described = ask(served.port, MODEL).json
    assert (described["name"], described["versions"]) == ("sums", ["1"])
    assert described["inputs"] == [
        {"name": "a", "datatype": "FP64", "shape": [-1]},
        {"name": "b", "datatype": "FP64", "shape": [-1]},
        {"name": "c", "datatype": "INT64", "shape": [-1]},
    ]
    assert described["outputs"] == [{"name": "predictions", "datatype": "FP64", "shape": [-1]}]


@pytest.mark.parametrize("path", [MODEL, f"{MODEL}/versions/1"])
def test_columns(served: Serving, path: str) -> None:
    answer = infer(served, {"id": "seven", "inputs": COLUMNS}, path)
    assert answer.status == 200, answer
    told = answer.json
    assert (told["id"], told["model_name"], told["model_version"]) == ("seven", "sums", "1")
    (output,) = told["outputs"]
    assert (output["name"], output["shape"], output["datatype"]) == ("predictions", [2], "FP64")
    assert output["data"] == pytest.approx([321.0, 654.0])


def test_columns_of_shape_n_by_1_and_one_matrix(served: Serving) -> None:
    tall = [{**each, "shape": [2, 1]} for each in COLUMNS]
    matrix = tensor("input-0", [1, 2, 3, 4, 5, 6], shape=[2, 3])
    nested = tensor("input-0", [[1, 2, 3], [4, 5, 6]], shape=[2, 3])
    for inputs in (tall, [matrix], [nested]):
        answer = infer(served, {"inputs": inputs, "outputs": [{"name": "predictions"}]})
        assert answer.json["outputs"][0]["data"] == pytest.approx([321.0, 654.0]), answer


def test_without_a_signature_the_only_tensor_is_the_input(unchecked: Serving) -> None:
    matrix = tensor("x", [1, 2, 3, 4, 5, 6], "FP32", shape=[2, 3])
    answer = infer(unchecked, {"inputs": [matrix]}, "/v2/models/unsigned")
    assert answer.json["outputs"][0]["data"] == pytest.approx([6.0, 15.0])


MALFORMED: list[Any] = [
    b"",
    b"{",
    [],
    {},
    {"inputs": None},
    {"inputs": {}},
    {"inputs": []},
    {"inputs": [1]},
    {"inputs": [{}]},
    {"inputs": [{"name": 1}]},
    {"inputs": [{"name": "a"}]},
    {"inputs": [tensor("a", [1], "FP99")]},
    {"inputs": [tensor("a", [1], shape=None)]},
    {"inputs": [tensor("a", [1], shape=[2])]},
    {"inputs": [tensor("a", [1], shape=[-1])]},
    {"inputs": [tensor("a", [1], shape="1")]},
    {"inputs": [tensor("a", [1], shape=[True])]},
    {"inputs": [tensor("a", ["x"])]},
    {"inputs": [tensor("a", [1.5], "INT64")]},
    {"inputs": [tensor("a", [300], "UINT8")]},
    {"inputs": [tensor("a", [1], "BYTES")]},
    {"inputs": [tensor("a", [1, [2]])]},
    {"inputs": [{**COLUMNS[0], "data": None}]},
    {"inputs": [{**COLUMNS[0], "data": {"b": 1}}]},
    {"inputs": [COLUMNS[0], COLUMNS[0]]},
    {"inputs": COLUMNS[:2]},
    {"inputs": [*COLUMNS[:2], tensor("c", [1.5, 2])]},
    {"inputs": [*COLUMNS[:2], tensor("c", [1])]},
    {"inputs": [tensor("m", [1, 2], shape=[1, 2])]},
    {"inputs": COLUMNS, "outputs": [{"name": "nothing"}]},
    {"inputs": COLUMNS, "outputs": {"name": "predictions"}},
    {"inputs": COLUMNS, "outputs": [{"name": []}]},
    {"inputs": COLUMNS, "parameters": []},
]


@pytest.mark.parametrize("body", MALFORMED)
def test_what_the_caller_did_wrong_is_told(served: Serving, body: Any) -> None:
    answer = infer(served, body)
    assert answer.status == 400, answer
    assert answer.json.keys() == {"error"}
    assert infer(served, {"inputs": COLUMNS}).status == 200


def behind(
    body: dict[str, Any], *pieces: bytes, length: str | None = None
) -> tuple[bytes, dict[str, str]]:
    text = json.dumps(body).encode()
    return text + b"".join(pieces), {
        "Inference-Header-Content-Length": str(len(text)) if length is None else length
    }


def piece(name: str, values: list[Any], kind: str, datatype: str) -> tuple[dict[str, Any], bytes]:
    data = np.array(values, kind).tobytes()
    parameters = {"binary_data_size": len(data)}
    shape = [len(values)]
    told = {"name": name, "shape": shape, "datatype": datatype, "parameters": parameters}
    return told, data


def test_tensors_as_bytes_behind_the_json(served: Serving) -> None:
    a, first = piece("a", [1, 4], "<f8", "FP64")
    c, last = piece("c", [3, 6], "<i8", "INT64")
    body = {"inputs": [a, COLUMNS[1], c], "parameters": {"binary_data_output": True}}
    raw, headers = behind(body, first, last)
    answer = ask(served.port, f"{MODEL}/infer", raw, headers=headers)
    assert answer.status == 200, answer
    end = int(answer.headers["inference-header-content-length"])
    (output,) = json.loads(answer.body[:end])["outputs"]
    assert output["parameters"] == {"binary_data_size": 16}
    assert np.frombuffer(answer.body[end:], "<f8") == pytest.approx([321.0, 654.0])
    # The caller says so for an output of its own.
    body["outputs"] = [{"name": "predictions", "parameters": {"binary_data": False}}]
    raw, headers = behind(body, first, last)
    answer = ask(served.port, f"{MODEL}/infer", raw, headers=headers)
    assert answer.json["outputs"][0]["data"] == pytest.approx([321.0, 654.0])


@pytest.mark.parametrize(
    ("size", "extra", "length"),
    [
        (16, b"x", None),
        (15, b"", None),
        (17, b"", None),
        (-1, b"", None),
        ("16", b"", None),
        (True, b"", None),
        (16, b"", "x"),
        (16, b"", "-1"),
        (16, b"", "99999"),
        (16, b"", "5"),
    ],
)
def test_bytes_that_do_not_fit(served: Serving, size: Any, extra: bytes, length: Any) -> None:
    told, data = piece("a", [1, 4], "<f8", "FP64")
    told["parameters"] = {"binary_data_size": size}
    raw, headers = behind({"inputs": [told, *COLUMNS[1:]]}, data, extra, length=length)
    answer = ask(served.port, f"{MODEL}/infer", raw, headers=headers)
    assert answer.status == 400, answer
    assert answer.json["error"]


@pytest.mark.parametrize("path", ["/v2/models/other", f"{MODEL}/versions/2"])
def test_only_what_is_served_is_there(served: Serving, path: str) -> None:
    for answer in (ask(served.port, path), infer(served, {"inputs": COLUMNS}, path)):
        assert answer.status == 404
        assert answer.json.keys() == {"error"}
