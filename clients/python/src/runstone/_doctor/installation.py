"""Python and the distributions: which there are, and which do not go together."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path

from runstone import _version
from runstone._doctor.model import FAILURE, OK, WARNING, Asked, Line, Lines

OLDEST_PYTHON = (3, 11)

OPTIONAL = {
    "numpy": "metrics as arrays, models",
    "pandas": "search_runs as a DataFrame, evaluate",
    "scikit-learn": "its models, evaluate",
    "skops": "scikit-learn models without pickle",
    "matplotlib": "figures and plots",
    "pyarrow": "columns",
    "xgboost": "its models",
    "lightgbm": "its models",
    "catboost": "its models",
    "onnx": "its models",
    "onnxruntime": "models of ONNX",
    "statsmodels": "its models",
    "torch": "its models",
    "tensorflow": "its models",
    "keras": "its models",
    "transformers": "its models",
    "sentence-transformers": "its models",
    "spacy": "its models",
    "prophet": "its models",
    "pyspark": "its models",
    "nvidia-ml-py": "GPU metrics",
    "uvicorn": "models serve",
    "SQLAlchemy": "import mlflow",
    "psycopg": "PostgreSQL",
    "minio": "S3",
    "mlflow-skinny": "MLflow's client through gRPC",
    "mlflow": "MLflow's client through gRPC",
}
"""Distributions that some verbs use, and for what."""

_LEAST = re.compile(r"^([A-Za-z0-9._-]+)>=([0-9.]+)")


def python(asked: Asked, name: str) -> Lines:
    """The interpreter."""
    del asked
    version = ".".join(str(each) for each in sys.version_info[:3])
    where = sys.prefix if sys.prefix != sys.base_prefix else sys.executable
    details = {"version": version, "executable": sys.executable, "prefix": sys.prefix}
    if sys.version_info[:2] < OLDEST_PYTHON:
        yield Line(
            name,
            FAILURE,
            f"Python {version} is older than 3.11, which Runstone needs",
            "make an environment with Python 3.11 or newer",
            details,
        )
        return
    yield Line(name, OK, f"Python {version} in {where}", details=details)


def packages(asked: Asked, name: str) -> Lines:
    """Runstone's own distributions, and whether they are of one release."""
    del asked
    own = _version.__version__
    client, server = _installed("runstone"), _installed("runstone-server")
    details = {"imported": own, "runstone": client, "runstone-server": server, "path": _home()}
    if len(client) > 1 or len(server) > 1:
        both = " and ".join(sorted({*client, *(server if len(server) > 1 else [])}))
        yield Line(
            name,
            FAILURE,
            f"two releases are installed over each other: {both}",
            "pip uninstall -y runstone runstone-server (until none is left), then install again",
            details,
        )
    elif client and client != [own]:
        yield Line(
            name,
            FAILURE,
            f"runstone {client[0]} is installed, but {own} is imported from {_home()}",
            "remove that folder from PYTHONPATH and sys.path, or install that one",
            details,
        )
    elif server and server != [own]:
        yield Line(
            name,
            FAILURE,
            f"runstone {own} and runstone-server {server[0]} are not of one release",
            f"pip install runstone=={own} runstone-server=={own}",
            details,
        )
    else:
        said = f"runstone {own}" + (f", runstone-server {server[0]}" if server else ", no server")
        yield Line(name, OK, said, details=details)
    yield from _shadows(f"{name}.path")
    yield from _program(f"{name}.program")


def _installed(name: str) -> list[str]:
    """The versions of a distribution that the path has; more than one is a mess."""
    found = metadata.distributions(name=name)
    return sorted({each.version for each in found})


def _home() -> str:
    return str(Path(_version.__file__).parent)


def _shadows(name: str) -> Lines:
    """Other copies of the package on the path: which one is used depends on their order."""
    found = {
        str(place.resolve())
        for each in sys.path
        if (place := Path(each or ".") / "runstone") and (place / "_version.py").is_file()
    }
    others = sorted(found - {str(Path(_home()).resolve())})
    if others:
        yield Line(
            name,
            WARNING,
            f"there are other copies of runstone on the path: {', '.join(others)}",
            "remove them, or see to it that PYTHONPATH names one",
            {"used": _home(), "others": others},
        )


def _program(name: str) -> Lines:
    found = shutil.which("runstone")
    own = Path(sys.executable).parent
    details = {"program": found, "executable": sys.executable}
    if found is None:
        yield Line(
            name,
            OK,
            f"the program runstone is not on the PATH; it is in {own}, or python -m runstone.cli",
            details=details,
        )
    elif Path(found).parent.resolve() != own.resolve():
        yield Line(
            name,
            WARNING,
            f"the program runstone on the PATH ({found}) is of another Python than this one",
            f"put {own} first, or call python -m runstone.cli",
            details,
        )


def libraries(asked: Asked, name: str) -> Lines:
    """What the client cannot do without: there, new enough, and loadable."""
    del asked
    missing, old, found = [], [], {}
    for need, least in _needed():
        version = _version_of(need)
        if version is None:
            missing.append(f"{need}>={least}")
        else:
            found[need] = version
            if _ordered(version) < _ordered(least):
                old.append((need, version, least))
    if missing:
        yield Line(
            name,
            FAILURE,
            f"not installed: {', '.join(missing)}",
            f"pip install {_quoted(missing)}",
            {"missing": missing},
        )
    for need, version, least in old:
        yield Line(
            f"{name}.{need}",
            FAILURE,
            f"{need} {version} is too old: {least} or newer is needed",
            f"pip install --upgrade {_quoted([f'{need}>={least}'])}",
            {"version": version, "least": least},
        )
    if not missing and not old:
        said = ", ".join(f"{need} {version}" for need, version in found.items())
        yield Line(name, OK, said, details=found)


def _needed() -> Iterator[tuple[str, str]]:
    try:
        wanted = metadata.requires("runstone") or []
    except metadata.PackageNotFoundError:
        wanted = ["grpcio>=1.85.1", "grpcio-status>=1.85.1", "protobuf>=6.33.5"]
    for each in wanted:
        match = _LEAST.match(each)
        if match and ";" not in each:
            yield match[1], match[2]


def loaded(asked: Asked, name: str) -> Lines:
    """gRPC, protobuf and the generated code can be imported."""
    del asked
    import google.protobuf
    import grpc

    from runstone import _uri
    from runstone._channel import service

    for each in _uri.SERVICES:
        service(each)
    from google.protobuf.internal import api_implementation

    kind = api_implementation.Type()
    details = {
        "grpc": grpc.__version__,
        "protobuf": google.protobuf.__version__,
        "protobuf_implementation": kind,
    }
    if kind == "python":
        yield Line(
            name,
            WARNING,
            "protobuf runs its slow implementation in Python",
            "unset PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION, or reinstall protobuf as a wheel",
            details,
        )
        return
    said = f"grpc {grpc.__version__} and protobuf {google.protobuf.__version__} load ({kind})"
    yield Line(name, OK, said, details=details)


def optional(asked: Asked, name: str) -> Lines:
    """What some verbs use: told, never a fault."""
    del asked
    found = {each: version for each in OPTIONAL if (version := _version_of(each))}
    absent = {each: use for each, use in OPTIONAL.items() if each not in found}
    said = ", ".join(f"{each} {version}" for each, version in found.items()) or "none"
    if absent:
        said += f"; without {', '.join(absent)}"
    yield Line(
        name, OK, f"optional libraries: {said}", details={"installed": found, "absent": absent}
    )


def _version_of(name: str) -> str | None:
    try:
        # The metadata of a package that was removed by hand has no version.
        return metadata.version(name) or None
    except metadata.PackageNotFoundError:
        return None


def _ordered(version: str) -> tuple[int, ...]:
    numbers = [int(each) for each in re.findall(r"\d+", version)[:3]]
    return tuple(numbers + [0] * (3 - len(numbers)))


def _quoted(requirements: Iterable[str]) -> str:
    return " ".join(f"'{each}'" for each in requirements)
