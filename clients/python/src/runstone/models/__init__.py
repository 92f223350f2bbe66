"""Models: what they take and give."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from runstone._flavors.code_model import ModelConfig, set_model
    from runstone._models.info import ModelInfo
    from runstone._models.model import Model
    from runstone.models.signature import ModelSignature, infer_signature

__all__ = [
    "Model",
    "ModelConfig",
    "ModelInfo",
    "ModelSignature",
    "infer_signature",
    "set_model",
]

_HOMES = {
    **dict.fromkeys(("ModelSignature", "infer_signature"), "runstone.models.signature"),
    "Model": "runstone._models.model",
    "ModelInfo": "runstone._models.info",
    **dict.fromkeys(("ModelConfig", "set_model"), "runstone._flavors.code_model"),
}
"""The module of each name, which loads with the first use of it."""


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'runstone.models' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
