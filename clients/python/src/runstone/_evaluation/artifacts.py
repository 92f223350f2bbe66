"""The files of an evaluation: what they hold, and how objects become files."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar
from urllib.parse import urlparse

from runstone import _media
from runstone.exceptions import InvalidArgument

_UNREAD = object()


class EvaluationArtifact:
    """One file of an evaluation.

    Attributes:
        uri: Where it is kept, such as ``runs:/<run_id>/confusion_matrix.png``.
        data: Its bytes.
    """

    class_name: ClassVar[str] = "TextEvaluationArtifact"
    """MLflow's class of such files, which its own ``EvaluationResult.load`` asks for."""

    def __init__(self, uri: str, data: bytes) -> None:
        self.uri = uri
        self.data = data
        self._content: Any = _UNREAD

    @property
    def content(self) -> Any:
        """What the file holds: an image, a DataFrame, an array, values, a text, or its bytes."""
        if self._content is _UNREAD:
            self._content = self._read(self.data)
        return self._content

    @property
    def file_name(self) -> str:
        """The last part of the URI."""
        return PurePosixPath(urlparse(self.uri).path).name

    def _read(self, data: bytes) -> Any:
        return data

    def __repr__(self) -> str:
        return f"{type(self).__name__}(uri={self.uri!r})"


class ImageEvaluationArtifact(EvaluationArtifact):
    """An image, of pillow."""

    class_name = "ImageEvaluationArtifact"

    def _read(self, data: bytes) -> Any:
        from PIL import Image

        image = Image.open(io.BytesIO(data))
        image.load()
        return image


class CsvEvaluationArtifact(EvaluationArtifact):
    """A DataFrame, of a file with commas."""

    class_name = "CsvEvaluationArtifact"

    def _read(self, data: bytes) -> Any:
        import pandas as pd

        return pd.read_csv(io.BytesIO(data))


class ParquetEvaluationArtifact(EvaluationArtifact):
    """A DataFrame, of a Parquet file."""

    class_name = "ParquetEvaluationArtifact"

    def _read(self, data: bytes) -> Any:
        import pandas as pd

        return pd.read_parquet(io.BytesIO(data))


class NumpyEvaluationArtifact(EvaluationArtifact):
    """An array of numpy; never one of objects, which would be unpickled."""

    class_name = "NumpyEvaluationArtifact"

    def _read(self, data: bytes) -> Any:
        import numpy as np

        return np.load(io.BytesIO(data), allow_pickle=False)


class JsonEvaluationArtifact(EvaluationArtifact):
    """Values of JSON."""

    class_name = "JsonEvaluationArtifact"

    def _read(self, data: bytes) -> Any:
        return json.loads(data)


class TextEvaluationArtifact(EvaluationArtifact):
    """A text in UTF-8."""

    def _read(self, data: bytes) -> Any:
        return data.decode("utf-8")


KINDS: dict[str, type[EvaluationArtifact]] = {
    **dict.fromkeys((".png", ".jpg", ".jpeg"), ImageEvaluationArtifact),
    ".csv": CsvEvaluationArtifact,
    ".json": JsonEvaluationArtifact,
    ".npy": NumpyEvaluationArtifact,
    ".parquet": ParquetEvaluationArtifact,
    ".txt": TextEvaluationArtifact,
}
"""By the file's ending; a file with another one is its bytes."""


def artifact(uri: str, data: bytes) -> EvaluationArtifact:
    """The artifact of a file's kind."""
    return KINDS.get(_media.suffix(uri), EvaluationArtifact)(uri, data)


def encoded(name: str, value: Any, taken: Iterable[str] = ()) -> tuple[str, bytes]:
    """A file's name and bytes for what a function of the user's made.

    Args:
        name: Its name; the ending is added.
        value: A figure, an image, a DataFrame, an array, a dict or list, a text, bytes, or the
            path of a file. A text that is the path of a file stands for the file.
        taken: Names of files that are there already.

    Raises:
        InvalidArgument: the value is something else, or the name cannot be that of a file.
    """
    if not isinstance(name, str) or name in {"", ".."} or PurePosixPath(name).name != name:
        raise InvalidArgument(f"the name must be a text without slashes, not {name!r:.80}")
    suffix, data = _suffix_and_bytes(name, value)
    file_name = name if name.endswith(suffix) else f"{name}{suffix}"
    if file_name in taken:
        raise InvalidArgument(f"there is a file {file_name!r} already")
    return file_name, data


def _suffix_and_bytes(name: str, value: Any) -> tuple[str, bytes]:
    if isinstance(value, bytes | bytearray):
        return _media.suffix(name) or ".bin", bytes(value)
    if isinstance(value, os.PathLike) or (isinstance(value, str) and _is_file(value)):
        return _of_file(Path(value))
    if isinstance(value, str):
        return (".json" if _is_json(value) else ".txt"), value.encode("utf-8")
    if callable(getattr(value, "savefig", None)):
        return ".png", _media.figure_bytes(value, "figure.png", None)
    if callable(getattr(value, "to_html", None)) and hasattr(value, "to_image"):  # plotly's figure
        return ".html", _media.figure_bytes(value, "figure.html", None)
    if callable(getattr(value, "to_csv", None)):
        return ".csv", value.to_csv(index=False).encode("utf-8")
    if type(value).__module__.startswith("PIL."):
        return ".png", _media.image_bytes(value, "image.png")
    if hasattr(value, "__array__") and hasattr(value, "dtype"):
        return ".npy", _array_bytes(value)
    if isinstance(value, dict | list | tuple | int | float):
        return ".json", _media.dict_bytes(value, "values.json")
    raise InvalidArgument(
        "it must be a figure, an image, a DataFrame, an array, a dict or list, a text, bytes or"
        f" the path of a file, not {type(value).__name__}"
    )


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except (OSError, ValueError):  # longer than a name may be
        return False


def _of_file(path: Path) -> tuple[str, bytes]:
    try:
        return path.suffix, path.read_bytes()
    except OSError as error:
        raise InvalidArgument(f"the file {path} cannot be read: {error.strerror}") from error


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _array_bytes(value: Any) -> bytes:
    import numpy as np

    buffer = io.BytesIO()
    try:
        np.save(buffer, np.asarray(value), allow_pickle=False)
    except ValueError as error:
        raise InvalidArgument(f"the array cannot be kept: {error}") from error
    return buffer.getvalue()
