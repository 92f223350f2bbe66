"""The MLmodel file: what a model folder holds, in MLflow's format."""

from __future__ import annotations

import datetime as dt
import json
import os
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runstone._version import __version__
from runstone.exceptions import ModelFormatError

if TYPE_CHECKING:
    from runstone._models.info import ModelInfo
    from runstone._schema.signature import ModelSignature

MLMODEL = "MLmodel"
PYTHON_FUNCTION = "python_function"

MAX_BYTES = 16 * 2**20
"""A description is some kilobytes; more is not read into memory."""

MAX_VALUES = 200_000
"""References in YAML make a page of text into more values than any machine can hold."""

MAX_DEPTH = 100
"""Deeper than anybody nests metadata."""

_OWN = ("signature", "flavors")


class Model:
    """What a model folder says of itself in its ``MLmodel`` file.

    Keys that this version does not know stay as they are when the file is written again.

    Attributes:
        flavors: For each way the model can be loaded, its configuration.
        signature: What it takes and gives; None when nobody said.
        metadata: What the user attached: anything that JSON has.
        run_id: The run that logged it.
        model_id: The logged model, ``m-`` and 32 hex digits.
        artifact_path: Where it was logged to.
        saved_input_example_info: Where the input example is, and of what kind.
        model_size_bytes: Of all files together.

    Example:
        >>> from runstone.models import Model
        >>> model = Model(metadata={"team": "risk"})
        >>> _ = model.add_flavor("custom", weights="weights.bin")
        >>> Model.from_dict(model.to_dict()).flavors["custom"]
        {'weights': 'weights.bin'}
    """

    def __init__(
        self,
        artifact_path: str | None = None,
        run_id: str | None = None,
        utc_time_created: str | None = None,
        flavors: Mapping[str, Mapping[str, Any]] | None = None,
        signature: ModelSignature | None = None,
        saved_input_example_info: Mapping[str, Any] | None = None,
        model_uuid: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        model_size_bytes: int | None = None,
        model_id: str | None = None,
        **others: Any,
    ) -> None:
        self.artifact_path = artifact_path
        self.run_id = run_id
        self.utc_time_created = utc_time_created or _now()
        self.flavors: dict[str, dict[str, Any]] = {
            name: dict(found) for name, found in (flavors or {}).items()
        }
        self.signature = signature
        self.saved_input_example_info = saved_input_example_info
        self.model_uuid = model_uuid or uuid.uuid4().hex
        self.metadata = metadata
        self.model_size_bytes = model_size_bytes
        self.model_id = model_id
        self.others = others

    def __repr__(self) -> str:
        return f"Model(flavors={sorted(self.flavors)}, model_id={self.model_id!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Model) and self.to_dict() == other.to_dict()

    def add_flavor(self, name: str, **params: Any) -> Model:
        """Say that the model can be loaded as ``name``, and how."""
        self.flavors[name] = params
        return self

    def get_input_schema(self) -> Any:
        """The Schema of what it takes; None when nobody said."""
        return self.signature.inputs if self.signature else None

    def get_output_schema(self) -> Any:
        """The Schema of what it gives; None when nobody said."""
        return self.signature.outputs if self.signature else None

    def get_params_schema(self) -> Any:
        """The ParamSchema of its parameters; None when it has none."""
        return self.signature.params if self.signature else None

    def get_model_info(self) -> ModelInfo:
        """All of it, with the URI by which the model is found."""
        from runstone._models.info import info_of

        return info_of(self)

    def to_dict(self) -> dict[str, Any]:
        """What stands in the file; keys that hold nothing are left out."""
        found: dict[str, Any] = {
            "artifact_path": self.artifact_path,
            "flavors": self.flavors,
            "metadata": self.metadata,
            "model_id": self.model_id,
            "model_size_bytes": self.model_size_bytes,
            "model_uuid": self.model_uuid,
            "run_id": self.run_id,
            "saved_input_example_info": self.saved_input_example_info,
            **self._signed(),
            "utc_time_created": self.utc_time_created,
            "runstone_version": __version__,
            **self.others,
        }
        return {key: value for key, value in sorted(found.items()) if value is not None}

    def _signed(self) -> dict[str, Any]:
        if self.signature is None:
            return {}
        return {
            "signature": self.signature.to_dict(),
            "is_signature_from_type_hint": self.signature.is_signature_from_type_hint,
            "type_hint_from_example": self.signature.is_type_hint_from_example,
        }

    def to_yaml(self) -> str:
        """The file's text."""
        import yaml

        dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
        # Through JSON: tuples and the like become what every YAML reader knows, and an object that
        # occurs twice is written twice, not as a reference.
        plain = json.loads(json.dumps(self.to_dict(), default=_plain))
        return str(yaml.dump(plain, Dumper=dumper, default_flow_style=False, allow_unicode=True))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the file; into ``path`` when that is a folder."""
        target = Path(path)
        if target.is_dir():
            target = target / MLMODEL
        target.write_text(self.to_yaml(), "utf-8")

    @classmethod
    def from_dict(cls, model_dict: Mapping[str, Any]) -> Model:
        """The model that ``to_dict`` or an MLmodel file describes.

        Raises:
            ModelFormatError: a key holds what it cannot hold; the message names it.
        """
        from runstone._schema.signature import ModelSignature

        found = dict(model_dict)
        flavors = _mapping(found.pop("flavors", None), "flavors")
        flavors = {str(name): _mapping(each, f"flavors.{name}") for name, each in flavors.items()}
        written = found.pop("signature", None)
        signature = None
        if written:
            try:
                signature = ModelSignature.from_dict(_mapping(written, "signature"))
            except ModelFormatError:
                raise
            except Exception as error:
                raise ModelFormatError(f"signature in MLmodel cannot be read: {error}") from error
        hinted = found.pop("is_signature_from_type_hint", None) is True
        exemplary = found.pop("type_hint_from_example", None) is True
        if signature is not None:
            signature.is_signature_from_type_hint = hinted
            signature.is_type_hint_from_example = exemplary
        for key in ("run_id", "model_id", "artifact_path", "model_uuid"):
            if not isinstance(found.get(key), str | None):
                raise ModelFormatError(f"{key} in MLmodel must be a text, not {found[key]!r:.100}")
        if "saved_input_example_info" in found:
            found["saved_input_example_info"] = (
                _mapping(found["saved_input_example_info"], "saved_input_example_info") or None
            )
        if found.get("utc_time_created") is not None:
            found["utc_time_created"] = str(found["utc_time_created"])
        named = {str(key): value for key, value in found.items() if key not in _OWN}
        return cls(flavors=flavors, signature=signature, **named)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Model:
        """The description of the model at a URI, in a folder, or of an ``MLmodel`` file itself.

        Raises:
            ModelFormatError: there is no MLmodel file, or it cannot be read; nothing in it is run.
        """
        from runstone._models import loading

        return loading.described(os.fspath(path))


def read(path: Path) -> Model:
    """The model that a local ``MLmodel`` file, or the folder with one, describes.

    Raises:
        ModelFormatError
    """
    import yaml

    file = path / MLMODEL if path.is_dir() else path
    if path.is_dir() and not file.resolve().is_relative_to(path.resolve()):
        raise ModelFormatError(f"{MLMODEL} in {path} is a link that leads outside of it")
    if file.exists() and not file.is_file():
        raise ModelFormatError(f"{file} is no file")
    try:
        if file.stat().st_size > MAX_BYTES:
            raise ModelFormatError(f"{file} is larger than {MAX_BYTES} bytes")
        text = file.read_text("utf-8")
    except FileNotFoundError as error:
        raise ModelFormatError(f"{path} is no model: there is no {MLMODEL} file in it") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ModelFormatError(f"{file} cannot be read: {error}") from error
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        _check_depth(text, loader)
        found = yaml.load(text, Loader=loader)  # noqa: S506 - both make plain values only
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ModelFormatError(f"{file} is no YAML of plain values: {error}") from error
    _check_size(found, file)
    return Model.from_dict(_mapping(found, "the whole"))


def _check_depth(text: str, loader: Any) -> None:
    """Before values are made: libyaml makes them by recursion, which ends the whole process."""
    import yaml

    depth = 0
    for event in yaml.parse(text, Loader=loader):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise ValueError(f"it is nested more than {MAX_DEPTH} deep")


def _check_size(found: Any, file: Path) -> None:
    level, seen, depth = [found], 0, 0
    while level:
        seen, depth = seen + len(level), depth + 1
        if seen > MAX_VALUES or depth > MAX_DEPTH:
            raise ModelFormatError(
                f"{file} holds more than {MAX_VALUES} values, or they are nested more than"
                f" {MAX_DEPTH} deep"
            )
        below: list[Any] = []
        for each in level:
            if isinstance(each, Mapping):
                below += each.values()
            elif isinstance(each, list | tuple | set):
                below += each
        level = below


def _mapping(found: Any, field: str) -> dict[str, Any]:
    if found is None:
        return {}
    if not isinstance(found, Mapping):
        raise ModelFormatError(f"{field} in MLmodel must be a mapping, not {found!r:.100}")
    return dict(found)


def _now() -> str:
    return str(dt.datetime.now(dt.UTC).replace(tzinfo=None))


def _plain(value: Any) -> Any:
    # Scalars of numpy, in metadata and in what libraries say of themselves.
    if hasattr(value, "item"):
        return value.item()
    raise TypeError(f"{type(value).__name__} cannot stand in an MLmodel file: {value!r:.100}")
