"""Models in ONNX: saved, logged and loaded."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from runstone._flavors import calls, registry

if TYPE_CHECKING:
    from runstone._models.info import ModelInfo
    from runstone._models.model import Model
    from runstone._schema.signature import ModelSignature

__all__ = ["load_model", "log_model", "save_model"]


def save_model(
    onnx_model: Any,
    path: str | os.PathLike[str],
    conda_env: Any = None,
    code_paths: Sequence[str | os.PathLike[str]] | None = None,
    mlflow_model: Model | None = None,
    signature: ModelSignature | bool | None = None,
    input_example: Any = None,
    pip_requirements: Any = None,
    extra_pip_requirements: Any = None,
    onnx_execution_providers: Sequence[Any] | None = None,
    onnx_session_options: Mapping[str, Any] | None = None,
    metadata: Mapping[str, Any] | None = None,
    save_as_external_data: bool = True,
    extra_files: Sequence[str | os.PathLike[str]] | None = None,
    **kwargs: Any,
) -> None:
    """Save a model in ONNX, with all that loading it elsewhere needs, into a folder.

    Args:
        onnx_model: An ``onnx.ModelProto``.
        path: A new or empty folder.
        onnx_execution_providers: What ONNX Runtime is to predict by: names, or pairs of a name and
            its options. When absent a GPU where there is one, else the processor.
        onnx_session_options: Any of intra_op_num_threads, inter_op_num_threads, execution_mode
            ("sequential" or "parallel"), graph_optimization_level, extra_session_config.
        save_as_external_data: Keep large weights in a file of their own beside the graph, which
            may exceed 2 GB then.
        kwargs: Handed to ``onnx.save_model``.
        others: As of ``runstone.sklearn.save_model``.

    Raises:
        InvalidField: an argument is wrong, or ONNX cannot save the model.
        LibraryMissing: onnx is not installed.

    Example:
        >>> import onnx, runstone.onnx, runstone.pyfunc
        >>> graph = onnx.parser.parse_model(
        ...     '<ir_version: 8, opset_import: ["": 17]> '
        ...     "doubling (float[n] x) => (float[n] y) { y = Add(x, x) }"
        ... )
        >>> runstone.onnx.save_model(graph, "doubling")
        >>> import numpy as np
        >>> runstone.pyfunc.load_model("doubling").predict(np.array([2.5]))["y"].tolist()
        [5.0]
    """
    calls.save("onnx", "onnx_model", locals())


def log_model(
    onnx_model: Any,
    artifact_path: str | None = None,
    conda_env: Any = None,
    code_paths: Sequence[str | os.PathLike[str]] | None = None,
    registered_model_name: str | None = None,
    signature: ModelSignature | bool | None = None,
    input_example: Any = None,
    await_registration_for: int | None = None,
    pip_requirements: Any = None,
    extra_pip_requirements: Any = None,
    onnx_execution_providers: Sequence[Any] | None = None,
    onnx_session_options: Mapping[str, Any] | None = None,
    metadata: Mapping[str, Any] | None = None,
    save_as_external_data: bool = True,
    extra_files: Sequence[str | os.PathLike[str]] | None = None,
    name: str | None = None,
    params: Mapping[str, Any] | None = None,
    tags: Mapping[str, Any] | None = None,
    model_type: str | None = None,
    step: int = 0,
    model_id: str | None = None,
    **kwargs: Any,
) -> ModelInfo:
    """Log a model in ONNX as a logged model, of the active run when there is one.

    Args:
        onnx_model: As in ``save_model``, as are the arguments of the format.
        others: As of ``runstone.sklearn.log_model``.

    Raises:
        InvalidField: an argument is wrong; nothing is on the server then.
        LibraryMissing: onnx is not installed.

    Example:
        >>> import onnx, runstone
        >>> graph = onnx.parser.parse_model(
        ...     '<ir_version: 8, opset_import: ["": 17]> '
        ...     "doubling (float[n] x) => (float[n] y) { y = Add(x, x) }"
        ... )
        >>> with runstone.start_run():
        ...     info = runstone.onnx.log_model(graph, name="doubling")
        >>> info.flavors["onnx"]["providers"]
        ['CUDAExecutionProvider', 'CPUExecutionProvider']
    """
    return calls.log("onnx", "onnx_model", locals())


def load_model(
    model_uri: str | os.PathLike[str],
    dst_path: str | os.PathLike[str] | None = None,
    *,
    allow_pickle: bool | None = None,
) -> Any:
    """Load a model in ONNX, as an ``onnx.ModelProto``; by ``runstone.pyfunc`` one that runs.

    Args:
        model_uri: As of ``runstone.sklearn.load_model``.
        dst_path: Where to put its files; a temporary folder when absent.
        allow_pickle: Whether code of its author may run: of files beside it.

    Raises:
        UntrustedModel: loading it would run code, and nobody said that it may.
        ModelFormatError, FlavorNotFound: there is no such model.
        LibraryMissing: onnx is not installed.

    Example:
        >>> import onnx, runstone
        >>> graph = onnx.parser.parse_model(
        ...     '<ir_version: 8, opset_import: ["": 17]> '
        ...     "doubling (float[n] x) => (float[n] y) { y = Add(x, x) }"
        ... )
        >>> uri = runstone.onnx.log_model(graph, name="doubling").model_uri
        >>> runstone.onnx.load_model(uri).graph.name
        'doubling'
    """
    return registry.loaded("onnx", model_uri, dst_path, allow_pickle=allow_pickle)
