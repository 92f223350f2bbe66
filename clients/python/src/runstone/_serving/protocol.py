"""Messages of the Open Inference Protocol over gRPC, with its names and numbers.

They live in a pool of their own: clients of Triton and KServe bring generated code with the same
names, and whichever came second into the pool that all share could not be imported.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

SERVICE = "inference.GRPCInferenceService"

_F = descriptor_pb2.FieldDescriptorProto

_SCALARS = {
    "bool": _F.TYPE_BOOL,
    "string": _F.TYPE_STRING,
    "bytes": _F.TYPE_BYTES,
    "int32": _F.TYPE_INT32,
    "int64": _F.TYPE_INT64,
    "uint32": _F.TYPE_UINT32,
    "uint64": _F.TYPE_UINT64,
    "float": _F.TYPE_FLOAT,
    "double": _F.TYPE_DOUBLE,
}

_NAMED = "name string 1, version string 2"
_TENSOR = "name string 1, datatype string 2, shape int64* 3"
_DATA = f"{_TENSOR}, parameters {{}} 4, contents InferTensorContents 5"

MESSAGES = {
    "ServerLiveRequest": "",
    "ServerLiveResponse": "live bool 1",
    "ServerReadyRequest": "",
    "ServerReadyResponse": "ready bool 1",
    "ModelReadyRequest": _NAMED,
    "ModelReadyResponse": "ready bool 1",
    "ServerMetadataRequest": "",
    "ServerMetadataResponse": f"{_NAMED}, extensions string* 3",
    "ModelMetadataRequest": _NAMED,
    "ModelMetadataResponse": "name string 1, versions string* 2, platform string 3,"
    " inputs ModelMetadataResponse.TensorMetadata* 4,"
    " outputs ModelMetadataResponse.TensorMetadata* 5",
    "ModelMetadataResponse.TensorMetadata": _TENSOR,
    "InferParameter": "bool_param bool 1|, int64_param int64 2|, string_param string 3|,"
    " double_param double 4|, uint64_param uint64 5|",
    "InferTensorContents": "bool_contents bool* 1, int_contents int32* 2, int64_contents int64* 3,"
    " uint_contents uint32* 4, uint64_contents uint64* 5, fp32_contents float* 6,"
    " fp64_contents double* 7, bytes_contents bytes* 8",
    "ModelInferRequest": "model_name string 1, model_version string 2, id string 3,"
    " parameters {} 4, inputs ModelInferRequest.InferInputTensor* 5,"
    " outputs ModelInferRequest.InferRequestedOutputTensor* 6, raw_input_contents bytes* 7",
    "ModelInferRequest.InferInputTensor": _DATA,
    "ModelInferRequest.InferRequestedOutputTensor": "name string 1, parameters {} 2",
    "ModelInferResponse": "model_name string 1, model_version string 2, id string 3,"
    " parameters {} 4, outputs ModelInferResponse.InferOutputTensor* 5,"
    " raw_output_contents bytes* 6",
    "ModelInferResponse.InferOutputTensor": _DATA,
}
"""Fields as "name type number": ``*`` is repeated, ``{}`` a map of texts to InferParameter, and
``|`` one of the parameter's choices."""


def _made() -> dict[str, Any]:
    file = descriptor_pb2.FileDescriptorProto(
        name="open_inference_grpc.proto", package="inference", syntax="proto3"
    )
    made: dict[str, descriptor_pb2.DescriptorProto] = {}
    for name, fields in MESSAGES.items():
        outer, _, inner = name.rpartition(".")
        message = made[outer].nested_type.add() if outer else file.message_type.add()
        message.name = inner
        made[name] = message
        for field in filter(None, fields.split(", ")):
            _add(message, name, *field.split())
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"inference.{name}"))
        for name in MESSAGES
    }


def _add(
    message: descriptor_pb2.DescriptorProto, owner: str, name: str, kind: str, number: str
) -> None:
    field = message.field.add(name=name, number=int(number.rstrip("|")))
    field.label = _F.LABEL_REPEATED if kind.endswith(("*", "}")) else _F.LABEL_OPTIONAL
    if number.endswith("|"):
        if not message.oneof_decl:
            message.oneof_decl.add(name="parameter_choice")
        field.oneof_index = 0
    if kind == "{}":
        entry = message.nested_type.add(name="ParametersEntry")
        entry.options.map_entry = True
        _add(entry, "", "key", "string", "1")
        _add(entry, "", "value", "InferParameter", "2")
        kind = f"{owner}.ParametersEntry"
    kind = kind.rstrip("*")
    if kind in _SCALARS:
        field.type = _SCALARS[kind]
    else:
        field.type = _F.TYPE_MESSAGE
        field.type_name = f".inference.{kind}"


MESSAGE: dict[str, Any] = _made()
"""The class of each message."""
