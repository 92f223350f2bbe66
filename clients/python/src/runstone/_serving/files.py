"""Predictions from a file into a file, read and written as a server does it."""

from __future__ import annotations

import sys
from pathlib import Path

from runstone._serving import meters, parsing
from runstone._serving.engine import Engine
from runstone._serving.refusals import Refusal
from runstone._serving.settings import Settings
from runstone._values import invalid
from runstone.exceptions import InvalidArgument

KINDS = {"json": parsing.JSON, "csv": parsing.CSV, "parquet": parsing.PARQUET}


def predict(
    model_uri: str,
    body: bytes,
    kind: str,
    output_path: Path | None,
    allow_pickle: bool | None,
) -> None:
    """Predict from a body of a kind; None is standard output. Nothing is written when it fails.

    Raises:
        InvalidArgument: the input is not what the model takes; or the model failed on it.
        What ``runstone.pyfunc.load_model`` raises.
    """
    engine = Engine(Settings(model_uri, allow_pickle=allow_pickle), meters.NoMeters())
    engine.load()
    try:
        found = engine.answer(body, KINDS[kind])
    except Refusal as refusal:
        raise InvalidArgument(refusal.message) from refusal
    finally:
        engine.close()
    if output_path is None:
        sys.stdout.write(f"{found.decode()}\n")
    else:
        output_path.write_bytes(found + b"\n")


def read(path: Path | None) -> bytes:
    """The body in a file; None is standard input.

    Raises:
        InvalidField: it cannot be read.
    """
    try:
        return sys.stdin.buffer.read() if path is None else path.read_bytes()
    except OSError as error:
        raise invalid("input_path", f"names a file that cannot be read: {error}") from error
