"""``…/infer`` of the Open Inference Protocol over HTTP: tensors in JSON, or as bytes behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runstone._serving import frames, parsing, rendering, wire
from runstone._serving.engine import Engine
from runstone._serving.inference import DTYPES, chosen, datatype, outputs, predict, shaped
from runstone._serving.refusals import Refusal, mismatch

if TYPE_CHECKING:
    import numpy as np

LENGTH = b"inference-header-content-length"
"""The header that says how many bytes of a body are JSON; tensors follow."""


def answer(engine: Engine, body: bytes, length: str = "") -> tuple[bytes, int | None]:
    """The body of an answer, and how much of it is JSON when bytes follow.

    Args:
        length: How much of ``body`` is JSON; "" for all.

    Raises:
        Refusal
    """
    import orjson

    if length and not (length.isascii() and length.isdigit() and int(length) <= len(body)):
        raise Refusal(
            f"Inference-Header-Content-Length must be at most the {len(body)} bytes of the body,"
            f" not {length!r:.50}"
        )
    end = int(length) if length else len(body)
    asked = parsing.document(body[:end])
    if type(asked) is not dict:
        raise Refusal("the body must be a JSON object with inputs")
    inputs = read_inputs(asked, memoryview(body)[end:])
    with engine.using() as loaded:
        found = predict(engine, loaded, inputs, asked.get("parameters"))
        tensors = chosen(outputs(found, loaded), asked.get("outputs"))
        told: dict[str, Any] = {"model_name": engine.name, "model_version": loaded.version}
    if type(asked.get("id")) is str:
        told["id"] = asked["id"]
    binary = _as_bytes(asked, tensors)
    pieces = []
    told["outputs"] = []
    for name, each in tensors.items():
        output: dict[str, Any] = {
            "name": name,
            "shape": list(each.shape),
            "datatype": datatype(each),
        }
        if name in binary:
            pieces.append(wire.to_bytes(each))
            output["parameters"] = {"binary_data_size": len(pieces[-1])}
        else:
            output["data"] = _flat(each)
        told["outputs"].append(output)
    text = orjson.dumps(told, rendering.other, orjson.OPT_SERIALIZE_NUMPY)
    return (text + b"".join(pieces), len(text)) if pieces else (text, None)


def _as_bytes(asked: dict[str, Any], tensors: dict[str, Any]) -> set[str]:
    """The outputs that the caller wants as bytes: those it says, else all when it says so."""
    parameters = asked.get("parameters") or {}
    usual = parameters.get("binary_data_output") is True
    said = {each["name"]: each.get("parameters") for each in asked.get("outputs") or []}
    return {
        name for name in tensors if (_parameters(said.get(name)).get("binary_data", usual)) is True
    }


def _parameters(given: Any) -> dict[str, Any]:
    if given is not None and type(given) is not dict:
        raise Refusal("parameters must be an object")
    return given or {}


def read_inputs(
    asked: dict[str, Any], raw: bytes | memoryview = b""
) -> dict[str, np.ndarray[Any, Any]]:
    """The tensors of a request; of ``raw`` those that say how many bytes they are, in order.

    Raises:
        Refusal
    """
    inputs = asked.get("inputs")
    if type(inputs) is not list or not inputs:
        raise Refusal("inputs must be an array with at least one tensor")
    found: dict[str, Any] = {}
    for at, each in enumerate(inputs):
        if type(each) is not dict or type(each.get("name")) is not str:
            raise Refusal(f"inputs[{at}] must be an object with a name")
        name = each["name"]
        if name in found:
            raise Refusal(f"inputs has {name!r:.100} more than once")
        where = f"input {name!r:.100}"
        size = _parameters(each.get("parameters")).get("binary_data_size")
        if size is None:
            found[name] = _tensor(each, where)
            continue
        if type(size) is not int or not 0 <= size <= len(raw):
            raise Refusal(f"{where}: there are {len(raw)} bytes left, not {size!r:.50}")
        kind = str(each.get("datatype"))
        found[name] = wire.from_bytes(bytes(raw[:size]), kind, each.get("shape"), where)
        raw = raw[size:]
    if raw:
        raise Refusal(f"{len(raw)} bytes follow that are of no input")
    return found


def _tensor(given: dict[str, Any], where: str) -> np.ndarray[Any, Any]:
    import numpy as np

    kind, shape = given.get("datatype"), given.get("shape")
    if type(kind) is not str or kind not in DTYPES:
        raise Refusal(f"{where}: datatype must be one of {', '.join(DTYPES)}, not {kind!r:.50}")
    if "data" not in given or type(given["data"]) is not list:
        raise Refusal(f"{where}: data must be an array")
    if kind == "BYTES":
        values = np.array(given["data"], dtype=object)
        if any(type(value) is not str for value in values.ravel()):
            raise mismatch(f"{where}: must be BYTES, which is texts in JSON")
    else:
        values = frames.as_array(given["data"], np.dtype(DTYPES[kind]), where)
    return shaped(values, shape, where)


def _flat(array: np.ndarray[Any, Any]) -> Any:
    import numpy as np

    if array.dtype.kind in "iufb" and array.dtype.isnative:
        return np.ascontiguousarray(array).reshape(-1)
    return array.reshape(-1).tolist()
