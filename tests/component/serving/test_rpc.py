"""The Open Inference Protocol over real gRPC, with its numbers on the wire."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from runstone._serving.protocol import MESSAGE, SERVICE
from support.serving import Serving, serving


@pytest.fixture(scope="module")
def served(model: Path) -> Iterator[Serving]:
    with serving(model, grpc_port=0) as started:
        yield started


@pytest.fixture(scope="module")
def channel(served: Serving) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(f"127.0.0.1:{served.worker.grpc_port}") as opened:
        yield opened


def call(channel: grpc.Channel, name: str, /, **fields: Any) -> Any:
    method = channel.unary_unary(
        f"/{SERVICE}/{name}",
        MESSAGE[f"{name}Request"].SerializeToString,
        MESSAGE[f"{name}Response"].FromString,
    )
    return method(MESSAGE[f"{name}Request"](**fields), timeout=30)


def column(name: str, values: list[Any], kind: str = "FP64", **contents: Any) -> dict[str, Any]:
    given = contents or {"fp64_contents": values}
    return {"name": name, "datatype": kind, "shape": [len(values)], "contents": given}


COLUMNS = [
    column("a", [1.0, 4.0]),
    column("b", [2, 5], "INT32", int_contents=[2, 5]),
    column("c", [3, 6], "INT64", int64_contents=[3, 6]),
]


def raw(kind: str, values: Any) -> bytes:
    return np.array(values, kind).tobytes()


def bare(*columns: dict[str, Any]) -> list[dict[str, Any]]:
    return [{name: each[name] for name in ("name", "datatype", "shape")} for each in columns]


def test_it_says_what_it_serves(channel: grpc.Channel) -> None:
    assert call(channel, "ServerLive").live
    assert call(channel, "ServerReady").ready
    assert call(channel, "ServerMetadata").name == "runstone"
    assert call(channel, "ModelReady", name="sums").ready
    described = call(channel, "ModelMetadata", name="sums", version="1")
    assert list(described.versions) == ["1"]
    assert [(each.name, each.datatype, list(each.shape)) for each in described.inputs] == [
        ("a", "FP64", [-1]),
        ("b", "FP64", [-1]),
        ("c", "INT64", [-1]),
    ]


def test_values_in_fields(channel: grpc.Channel) -> None:
    told = call(channel, "ModelInfer", model_name="sums", id="seven", inputs=COLUMNS)
    assert (told.id, told.model_name, told.model_version) == ("seven", "sums", "1")
    (output,) = told.outputs
    assert (output.name, output.datatype, list(output.shape)) == ("predictions", "FP64", [2])
    assert list(output.contents.fp64_contents) == pytest.approx([321.0, 654.0])


def test_values_as_bytes_are_answered_as_bytes(channel: grpc.Channel) -> None:
    pieces = [raw("<f8", [1, 4]), raw("<i4", [2, 5]), raw("<i8", [3, 6])]
    told = call(
        channel,
        "ModelInfer",
        model_name="sums",
        inputs=bare(*COLUMNS),
        raw_input_contents=pieces,
        outputs=[{"name": "predictions"}],
    )
    assert not told.outputs[0].HasField("contents")
    assert np.frombuffer(told.raw_output_contents[0], "<f8") == pytest.approx([321.0, 654.0])


def test_the_numbers_are_those_of_the_protocol(channel: grpc.Channel) -> None:
    """By hand: field 5 holds an input, in it 1 the name, 2 the type, 3 the shape, 5 the values."""

    def field(number: int, data: bytes) -> bytes:
        return bytes([number << 3 | 2, len(data)]) + data

    def tensor(name: bytes, kind: bytes, values: bytes) -> bytes:
        return field(1, name) + field(2, kind) + field(3, b"\x01") + field(5, values)

    fp64 = field(7, raw("<f8", [1.0]))
    request = field(1, b"sums")
    for name, kind, values in ((b"a", b"FP64", fp64), (b"b", b"FP64", fp64)):
        request += field(5, tensor(name, kind, values))
    request += field(5, tensor(b"c", b"INT64", field(3, b"\x01")))
    method = channel.unary_unary(f"/{SERVICE}/ModelInfer", None, None)
    answer: bytes = method(request, timeout=30)
    contents = field(5, field(7, raw("<f8", [111.0])))[:-8]
    assert contents in answer
    assert MESSAGE["ModelInferResponse"].FromString(answer).outputs[
        0
    ].contents.fp64_contents == pytest.approx([111.0])


MALFORMED: list[dict[str, Any]] = [
    {},
    {"inputs": [{}]},
    {"inputs": [COLUMNS[0], COLUMNS[0]]},
    {"inputs": COLUMNS[:2]},
    {"inputs": [*COLUMNS[:2], column("c", [1, 2], "INT64", int64_contents=[1])]},
    {"inputs": [*COLUMNS[:2], column("c", [1.5, 2.0])]},
    {"inputs": [column("a", [1], "FP99")]},
    {"inputs": [column("a", [1], "FP16")]},
    {"inputs": [column("a", [1], "INT8", int_contents=[300])]},
    {"inputs": [column("a", [1], "BYTES", bytes_contents=[b"\xff"])]},
    {"inputs": COLUMNS, "outputs": [{"name": "nothing"}]},
    {"inputs": COLUMNS, "raw_input_contents": [b""]},
    {"inputs": COLUMNS, "raw_input_contents": [b"", b"", b""]},
    {"inputs": bare(COLUMNS[0]), "raw_input_contents": [b"123"]},
    {"inputs": bare(COLUMNS[0]), "raw_input_contents": [b"12345678"]},
    {"inputs": bare(column("a", [1], "FP99")), "raw_input_contents": [b"1"]},
    {"inputs": bare(column("a", [1], "BYTES")), "raw_input_contents": [b"12"]},
    {"inputs": bare(column("a", [1], "BYTES")), "raw_input_contents": [b"\x09\0\0\0x"]},
    {"inputs": bare(column("a", [1], "BYTES")), "raw_input_contents": [b"\x01\0\0\0\xff"]},
]


@pytest.mark.parametrize("fields", MALFORMED)
def test_what_the_caller_did_wrong_is_told(channel: grpc.Channel, fields: dict[str, Any]) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        call(channel, "ModelInfer", model_name="sums", **fields)
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert caught.value.details()
    assert call(channel, "ModelInfer", model_name="sums", inputs=COLUMNS).outputs


def test_only_what_is_served_is_there(channel: grpc.Channel) -> None:
    for name, fields in (
        ("ModelReady", {"name": "other"}),
        ("ModelMetadata", {"name": "sums", "version": "2"}),
        ("ModelInfer", {"model_name": "", "inputs": COLUMNS}),
    ):
        with pytest.raises(grpc.RpcError) as caught:
            call(channel, name, **fields)
        assert caught.value.code() == grpc.StatusCode.NOT_FOUND
