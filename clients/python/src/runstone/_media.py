"""Figures, images, tables and dicts as the bytes of a file. Heavy libraries load where used."""

from __future__ import annotations

import io
import json
from pathlib import PurePosixPath
from typing import Any

from runstone.exceptions import InvalidArgument

YAML_SUFFIXES = {".yaml", ".yml"}


def suffix(artifact_file: str) -> str:
    """The file's ending in lower case, with its dot."""
    return PurePosixPath(artifact_file).suffix.lower()


def dict_bytes(dictionary: Any, artifact_file: str) -> bytes:
    """YAML for a file that ends in .yaml or .yml, JSON otherwise."""
    if suffix(artifact_file) in YAML_SUFFIXES:
        import yaml

        return yaml.safe_dump(
            _plain(dictionary), default_flow_style=False, allow_unicode=True, sort_keys=False
        ).encode()
    return json.dumps(dictionary, indent=2, default=_plain_one, ensure_ascii=False).encode()


def read_dict(content: bytes, artifact_file: str) -> Any:
    """What ``dict_bytes`` wrote. Raises InvalidArgument when it cannot be read."""
    try:
        if suffix(artifact_file) in YAML_SUFFIXES:
            import yaml

            return yaml.safe_load(content)
        return json.loads(content)
    except ValueError as error:
        raise InvalidArgument(f"{artifact_file} is not JSON: {error}") from error
    except Exception as error:
        if type(error).__module__.startswith("yaml"):
            raise InvalidArgument(f"{artifact_file} is not YAML: {error}") from error
        raise


def _plain(value: Any) -> Any:
    # Through JSON, so that both formats take the same values.
    return json.loads(json.dumps(value, default=_plain_one))


def _plain_one(value: Any) -> Any:
    for method in ("tolist", "item", "isoformat"):  # arrays, scalars, times
        convert = getattr(value, method, None)
        if callable(convert):
            return convert()
    return str(value)


def figure_bytes(figure: Any, artifact_file: str, save_kwargs: dict[str, Any] | None) -> bytes:
    """A matplotlib figure as an image of the file's kind, or a plotly one as HTML or image.

    Raises:
        InvalidArgument: it is neither.
    """
    options = dict(save_kwargs or {})
    kind = suffix(artifact_file).lstrip(".")
    if callable(getattr(figure, "savefig", None)):
        buffer = io.BytesIO()
        try:
            figure.savefig(buffer, **{"format": kind or "png", **options})
        except ValueError as error:
            raise InvalidArgument(f"the figure cannot become {artifact_file!r}: {error}") from error
        return buffer.getvalue()
    if callable(getattr(figure, "to_html", None)):
        if kind == "html":
            html = figure.to_html(**{"include_plotlyjs": "cdn", "auto_open": False, **options})
            return str(html).encode()
        return bytes(figure.to_image(format=kind or "png", **options))
    raise InvalidArgument(
        f"figure must be one of matplotlib or plotly, not {type(figure).__name__}"
    )


def image_bytes(image: Any, artifact_file: str) -> bytes:
    """A PIL image, or an array of shape (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), as a file.

    Integer arrays hold 0 to 255, floating ones 0 to 1, boolean ones black and white.

    Raises:
        InvalidArgument: the shape or the values are others.
    """
    pil = image if callable(getattr(image, "save", None)) else _from_array(image)
    kind = suffix(artifact_file).lstrip(".") or "png"
    buffer = io.BytesIO()
    try:
        pil.save(buffer, format={"jpg": "jpeg", "tif": "tiff"}.get(kind, kind))
    except (KeyError, ValueError, OSError) as error:
        # KeyError: pillow knows no format of that name; OSError: one that cannot hold such pixels.
        raise InvalidArgument(f"the image cannot become {artifact_file!r}: {error}") from error
    return buffer.getvalue()


def _from_array(image: Any) -> Any:
    try:
        import numpy as np
        from PIL import Image
    except ImportError as error:
        raise InvalidArgument(f"log_image needs numpy and pillow: {error}") from error
    if callable(getattr(image, "detach", None)):  # a tensor on whatever device
        image = image.detach().cpu().numpy()
    array = np.asarray(image)
    if array.ndim not in {2, 3} or (array.ndim == 3 and array.shape[2] not in {1, 3, 4}):
        raise InvalidArgument(
            f"an image must have the shape (H, W) or (H, W, 1, 3 or 4), not {array.shape}"
        )
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.dtype == bool:
        array = array.astype(np.uint8) * 255
    elif array.dtype.kind == "f":
        if not (np.isfinite(array).all() and array.min() >= 0 and array.max() <= 1):
            raise InvalidArgument("a floating image must hold values from 0 to 1")
        array = (array * 255).round().astype(np.uint8)
    elif array.dtype.kind in "iu":
        if array.size and not (array.min() >= 0 and array.max() <= 255):
            raise InvalidArgument("an integer image must hold values from 0 to 255")
        array = array.astype(np.uint8)
    else:
        raise InvalidArgument(f"an image must hold numbers, not {array.dtype}")
    return Image.fromarray(array)


def table_columns(data: Any) -> tuple[list[str], list[list[Any]]]:
    """Names and rows of a table: a DataFrame, or a dict of column to value or list of values.

    Raises:
        InvalidArgument: it is neither, or columns differ in length.
    """
    if callable(getattr(data, "to_dict", None)) and hasattr(data, "columns"):
        split = json.loads(data.to_json(orient="split", date_format="iso", default_handler=str))
        return [str(name) for name in split["columns"]], split["data"]
    if not isinstance(data, dict):
        raise InvalidArgument(f"a table must be a DataFrame or a dict, not {type(data).__name__}")
    columns = {
        str(name): list(values) if isinstance(values, list | tuple) else [values]
        for name, values in data.items()
    }
    lengths = {len(values) for values in columns.values()}
    if len(lengths) > 1:
        raise InvalidArgument(f"the columns of a table must be of one length, not {lengths}")
    rows = [list(row) for row in zip(*columns.values(), strict=True)]
    return list(columns), rows


def read_table(content: bytes, artifact_file: str) -> dict[str, Any]:
    """What ``log_table`` wrote: ``columns`` and ``data``. Raises InvalidArgument."""
    table = read_dict(content, artifact_file)
    if not isinstance(table, dict) or not {"columns", "data"} <= table.keys():
        raise InvalidArgument(f"{artifact_file} exists and is no table")
    return table


def merged_table(content: bytes | None, data: Any, artifact_file: str) -> bytes:
    """The table of ``content`` with the rows of ``data`` below; JSON of names and rows.

    Columns that one of the two lacks hold null.
    """
    names, rows = table_columns(data)
    if content is not None:
        old = read_table(content, artifact_file)
        before = [str(name) for name in old["columns"]]
        every = before + [name for name in names if name not in before]
        rows = [
            *_aligned(before, old["data"], every),
            *_aligned(names, rows, every),
        ]
        names = every
    return json.dumps({"columns": names, "data": rows}, default=_plain_one).encode()


def _aligned(names: list[str], rows: list[list[Any]], every: list[str]) -> list[list[Any]]:
    place = {name: index for index, name in enumerate(names)}
    return [[row[place[name]] if name in place else None for name in every] for row in rows]
