"""What webhooks are told: which event a change is, and its JSON as MLflow's receivers know it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any

from runstone_registry.model import ModelVersion, RegisteredModel, Stage
from runstone_registry.model_webhooks import WebhookEvent

IS_PROMPT = "mlflow.prompt.is_prompt"
"""A model with this tag at "true" is a prompt of MLflow's."""

PROMPT_TEXT = "mlflow.prompt.text"
"""The tag of a prompt's version that holds its template."""

_INTERNAL = frozenset({IS_PROMPT, PROMPT_TEXT, "_mlflow_prompt_type"})

Data = dict[str, Any]


class Change(Enum):
    """A kind of change: its event for a model, and for a prompt (None: nobody is told)."""

    MODEL_CREATED = (WebhookEvent.REGISTERED_MODEL_CREATED, WebhookEvent.PROMPT_CREATED)
    VERSION_CREATED = (WebhookEvent.MODEL_VERSION_CREATED, WebhookEvent.PROMPT_VERSION_CREATED)
    VERSION_FINALIZED = (WebhookEvent.MODEL_VERSION_FINALIZED, None)
    STAGE = (WebhookEvent.MODEL_VERSION_STAGE_TRANSITIONED, None)
    TAG_SET = (None, WebhookEvent.PROMPT_TAG_SET)
    TAG_DELETED = (None, WebhookEvent.PROMPT_TAG_DELETED)
    VERSION_TAG_SET = (WebhookEvent.MODEL_VERSION_TAG_SET, WebhookEvent.PROMPT_VERSION_TAG_SET)
    VERSION_TAG_DELETED = (
        WebhookEvent.MODEL_VERSION_TAG_DELETED,
        WebhookEvent.PROMPT_VERSION_TAG_DELETED,
    )
    ALIAS_SET = (WebhookEvent.MODEL_VERSION_ALIAS_CREATED, WebhookEvent.PROMPT_ALIAS_CREATED)
    ALIAS_DELETED = (WebhookEvent.MODEL_VERSION_ALIAS_DELETED, WebhookEvent.PROMPT_ALIAS_DELETED)

    @property
    def events(self) -> list[WebhookEvent]:
        """Both, or the one that there is."""
        return [event for event in self.value if event is not None]

    def event(self, *, prompt: bool) -> WebhookEvent | None:
        """Which of the two it is."""
        plain, of_prompt = self.value
        chosen: WebhookEvent | None = of_prompt if prompt else plain
        return chosen


@dataclass(frozen=True, slots=True)
class Told:
    """One thing to tell: as it is of a model, and of a prompt where that differs."""

    model: Data
    prompt: Data | None = None

    def data(self, *, prompt: bool) -> Data:
        """The one that fits."""
        return self.prompt if prompt and self.prompt is not None else self.model


def is_prompt(tags: Mapping[str, str]) -> bool:
    """Whether a model or version with these tags is a prompt's."""
    return tags.get(IS_PROMPT, "").lower() == "true"


def model_created(model: RegisteredModel) -> Told:
    """A new model."""
    data = {
        "name": model.name,
        "tags": dict(model.tags),
        "description": model.description or None,
    }
    return Told(data, data | {"tags": _public(model.tags)})


def version_created(version: ModelVersion) -> Told:
    """A new version."""
    common = {"name": version.name, "version": str(version.version)}
    end = {"description": version.description or None}
    source = {"source": version.source, "run_id": version.run_id or None}
    template = {"template": version.tags.get(PROMPT_TEXT)}
    return Told(
        common | source | {"tags": dict(version.tags)} | end,
        common | template | {"tags": _public(version.tags)} | end,
    )


def version_finalized(version: ModelVersion) -> Told:
    """A version whose files are there, or never will be."""
    return Told(
        {
            "name": version.name,
            "version": str(version.version),
            "status": version.status.value,
            "status_message": version.status_message,
        }
    )


def stage_changed(name: str, number: int, before: Stage, now: Stage, comment: str) -> Told:
    """A version in another stage."""
    return Told(
        {
            "name": name,
            "version": str(number),
            "from_stage": before.value,
            "to_stage": now.value,
            "comment": comment,
        }
    )


def tag_set(name: str, number: int, key: str, value: str) -> Told:
    """A tag of a version, or (0) of the model."""
    return Told({**_of(name, number), "key": key, "value": value})


def tag_deleted(name: str, number: int, key: str) -> Told:
    """A tag of a version, or (0) of the model."""
    return Told({**_of(name, number), "key": key})


def alias_set(name: str, alias: str, number: int) -> Told:
    """An alias that points to a version now."""
    return Told({"name": name, "alias": alias, "version": str(number)})


def alias_deleted(name: str, alias: str) -> Told:
    """An alias that is gone."""
    return Told({"name": name, "alias": alias})


def body(event: WebhookEvent, data: Data, now_ms: int) -> str:
    """What is posted. The same text in every attempt: it is what is signed."""
    moment = datetime.fromtimestamp(now_ms / 1000, UTC)
    return json.dumps(
        {
            "entity": event.entity,
            "action": event.action,
            "timestamp": moment.isoformat(timespec="microseconds"),
            "data": data,
        }
    )


def example(event: WebhookEvent) -> Data:
    """What a test tells, with the fields of the real thing."""
    prompt = event.entity.startswith("prompt")
    name = "example_prompt" if prompt else "example_model"
    pair = {"tags": {"example_key": "example_value"}, "description": "An example"}
    version = {"name": name, "version": "1"}
    match event:
        case WebhookEvent.REGISTERED_MODEL_CREATED | WebhookEvent.PROMPT_CREATED:
            return {"name": name, **pair}
        case WebhookEvent.MODEL_VERSION_CREATED:
            return {**version, "source": "runs:/abcd1234/model", "run_id": "abcd1234", **pair}
        case WebhookEvent.PROMPT_VERSION_CREATED:
            return {**version, "template": "Hello {{name}}!", **pair}
        case WebhookEvent.MODEL_VERSION_STAGE_TRANSITIONED:
            stages = {"from_stage": "Staging", "to_stage": "Production"}
            return {**version, **stages, "comment": "An example"}
        case WebhookEvent.MODEL_VERSION_FINALIZED:
            return {**version, "status": "READY", "status_message": ""}
    data: Data = {"name": name} if event.entity == "prompt_tag" else version
    if event.entity.endswith("_alias"):
        data = {"name": name, "alias": "example_alias"}
        return data | {"version": "1"} if event.action == "created" else data
    data = data | {"key": "example_key"}
    return data | {"value": "example_value"} if event.action == "set" else data


def _of(name: str, number: int) -> Data:
    return {"name": name, "version": str(number)} if number else {"name": name}


def _public(tags: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in tags.items() if key not in _INTERNAL}
