"""Models behind HTTP and gRPC: MLflow's scoring protocol and the Open Inference Protocol.

The libraries that this needs (``runstone[serving]``) are imported when a model is served.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from runstone.exceptions import LibraryMissing

if TYPE_CHECKING:
    from runstone._serving.settings import Settings

NEEDED = ("httptools", "numpy", "orjson", "pandas", "uvicorn", "uvloop")
"""What the distribution calls ``serving``; modules and distributions have the same names."""


def serve(settings: Settings, env_manager: str = "local") -> int:
    """Serve a model until SIGTERM or SIGINT; the exit status.

    Args:
        env_manager: ``local`` for this Python; ``uv`` or ``virtualenv`` for an environment made
            from the model's files.

    Raises:
        LibraryMissing: something of ``runstone[serving]`` is not installed.
        OSError: the port cannot be had.
    """
    from runstone._serving import logs, supervising, worker

    logs.configure()
    if env_manager != "local":
        from runstone._serving import environments

        python = environments.prepare(settings.model_uri, env_manager, settings.tracking_uri)
        return supervising.supervise(settings, environments.command(python))
    check_installed()
    if settings.workers > 1:
        return supervising.supervise(settings)
    return worker.main(settings)


def check_installed() -> None:
    """Raises LibraryMissing when something that a server needs is not installed."""
    from importlib.util import find_spec

    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise LibraryMissing(
            f"to serve a model needs {', '.join(missing)}: pip install 'runstone[serving]'"
        )


def predict_file(
    model_uri: str,
    input_path: Path | None,
    kind: str,
    output_path: Path | None,
    allow_pickle: bool | None,
) -> None:
    """Predict from a file of a ``kind`` (json, csv, parquet) into another; None: standard ones.

    Raises:
        LibraryMissing, InvalidArgument
        What ``runstone.pyfunc.load_model`` raises.
    """
    from runstone._serving import files

    check_installed()
    files.predict(model_uri, files.read(input_path), kind, output_path, allow_pickle)
