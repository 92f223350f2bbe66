"""The Open Inference Protocol over gRPC: the same model, beside HTTP."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc

from runstone._serving import inference, wire
from runstone._serving.app import MOST_WAITING
from runstone._serving.engine import SERVING, Engine, log
from runstone._serving.protocol import MESSAGE, SERVICE
from runstone._serving.refusals import Refusal, failed

_CODES = {
    404: grpc.StatusCode.NOT_FOUND,
    500: grpc.StatusCode.INTERNAL,
    503: grpc.StatusCode.UNAVAILABLE,
}

_METHODS = (
    "ServerLive",
    "ServerReady",
    "ModelReady",
    "ServerMetadata",
    "ModelMetadata",
    "ModelInfer",
)


def server(engine: Engine, pool: ThreadPoolExecutor) -> tuple[grpc.Server, int]:
    """A server of an engine, listening but not started, and its port.

    Raises:
        OSError: the port cannot be had.
    """
    settings = engine.settings
    options = [
        ("grpc.so_reuseport", 1 if settings.workers > 1 else 0),
        ("grpc.max_receive_message_length", settings.max_body_bytes),
        ("grpc.max_send_message_length", -1),
    ]
    made = grpc.server(pool, options=options, maximum_concurrent_rpcs=MOST_WAITING)
    servicer = _Servicer(engine)
    handlers = {
        name: grpc.unary_unary_rpc_method_handler(
            servicer.handler(name),
            request_deserializer=MESSAGE[f"{name}Request"].FromString,
            response_serializer=MESSAGE[f"{name}Response"].SerializeToString,
        )
        for name in _METHODS
    }
    made.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    try:
        port = made.add_insecure_port(f"{host}:{settings.grpc_port}")
    except RuntimeError as error:
        raise OSError(f"port {settings.grpc_port} for gRPC cannot be had: {error}") from error
    return made, port


class _Servicer:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._methods: dict[str, Callable[[Any], dict[str, Any]]] = {
            "ServerLive": lambda _: {"live": True},
            "ServerReady": lambda _: {"ready": engine.state == SERVING},
            "ServerMetadata": lambda _: inference.server(),
            "ModelReady": self._ready,
            "ModelMetadata": self._metadata,
            "ModelInfer": self._infer,
        }

    def handler(self, name: str) -> Callable[[Any, grpc.ServicerContext], Any]:
        """What answers a method; refusals become its status."""
        method, answer = self._methods[name], MESSAGE[f"{name}Response"]

        def handle(request: Any, context: grpc.ServicerContext) -> Any:
            try:
                return answer(**method(request))
            except Refusal as error:
                refusal = error
            except Exception as error:
                log.exception("a call of %s failed", name)
                refusal = failed(RuntimeError(type(error).__name__), "the server")
            code = _CODES.get(refusal.status, grpc.StatusCode.INVALID_ARGUMENT)
            return context.abort(code, refusal.message)

        return handle

    def _check_named(self, name: str, version: str) -> None:
        inference.check_named(self._engine, name, version or None)

    def _ready(self, request: Any) -> dict[str, Any]:
        self._check_named(request.name, request.version)
        return {"ready": self._engine.state == SERVING}

    def _metadata(self, request: Any) -> dict[str, Any]:
        self._check_named(request.name, request.version)
        with self._engine.using() as loaded:
            return inference.described(self._engine.name, loaded)

    def _infer(self, request: Any) -> dict[str, Any]:
        engine = self._engine
        engine.check_serving()
        self._check_named(request.model_name, request.model_version)
        raw = bool(request.raw_input_contents)
        inputs = _inputs(request)
        parameters = {
            name: getattr(each, each.WhichOneof("parameter_choice") or "string_param")
            for name, each in request.parameters.items()
        }
        asked = [{"name": each.name} for each in request.outputs]
        with engine.using() as loaded:
            found = inference.predict(engine, loaded, inputs, parameters)
            tensors = inference.chosen(inference.outputs(found, loaded), asked)
            version = loaded.version
        # 16 bit floats have no field, and are sent as bytes in any case.
        raw = raw or any(inference.datatype(each) == "FP16" for each in tensors.values())
        outputs = [
            {
                "name": name,
                "datatype": inference.datatype(each),
                "shape": each.shape,
                **({} if raw else {"contents": wire.to_contents(each)}),
            }
            for name, each in tensors.items()
        ]
        told = {
            "model_name": engine.name,
            "model_version": version,
            "id": request.id,
            "outputs": outputs,
        }
        if raw:
            told["raw_output_contents"] = [wire.to_bytes(each) for each in tensors.values()]
        return told


def _inputs(request: Any) -> dict[str, Any]:
    raw = list(request.raw_input_contents)
    if not request.inputs:
        raise Refusal("inputs must have at least one tensor")
    if raw and len(raw) != len(request.inputs):
        raise Refusal(f"there are {len(request.inputs)} inputs and {len(raw)} raw_input_contents")
    found: dict[str, Any] = {}
    for at, each in enumerate(request.inputs):
        where, shape = f"input {each.name!r:.100}", list(each.shape)
        if not each.name or each.name in found:
            raise Refusal(f"inputs[{at}] must have a name of its own")
        if not raw:
            found[each.name] = wire.from_contents(each.contents, each.datatype, shape, where)
        elif each.HasField("contents"):
            raise Refusal(f"{where}: has contents, and there are raw_input_contents")
        else:
            found[each.name] = wire.from_bytes(raw[at], each.datatype, shape, where)
    return found
