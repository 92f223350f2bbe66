"""What is told of a model that was logged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from runstone._models.model import Model
    from runstone._schema.signature import ModelSignature


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """What ``log_model`` returns and ``get_model_info`` finds, with MLflow's names.

    ``model_uri`` finds the model again; ``registered_model_version`` is set when it was registered.
    """

    artifact_path: str | None
    flavors: Mapping[str, Any]
    model_uri: str
    model_uuid: str
    run_id: str | None
    saved_input_example_info: Mapping[str, Any] | None
    signature: ModelSignature | None
    utc_time_created: str
    model_id: str | None = None
    name: str | None = None
    metadata: Mapping[str, Any] | None = None
    registered_model_version: int | None = None
    params: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def signature_dict(self) -> dict[str, Any] | None:
        """The signature as plain dicts and texts."""
        return self.signature.to_dict() if self.signature else None


def info_of(model: Model, **known: Any) -> ModelInfo:
    """What a description tells, and what is ``known`` besides."""
    uri = f"models:/{model.model_id}" if model.model_id else ""
    if not uri and model.run_id:
        uri = f"runs:/{model.run_id}/{model.artifact_path or ''}".rstrip("/")
    return ModelInfo(
        artifact_path=model.artifact_path,
        flavors=model.flavors,
        model_uri=known.pop("model_uri", uri),
        model_uuid=model.model_uuid,
        run_id=model.run_id,
        saved_input_example_info=model.saved_input_example_info,
        signature=model.signature,
        utc_time_created=model.utc_time_created,
        model_id=model.model_id,
        metadata=model.metadata,
        **known,
    )
