"""Pieces that all conversions share: times, maps, masks, pages."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping

from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from runstone.tracking.v1 import experiment_pb2, logged_model_pb2, run_pb2
from runstone_kit.errors import Violations
from runstone_kit.filterlang import MAX_ORDER_BY
from runstone_kit.validation import (
    MAX_SHOWN,
    check_count,
    check_entity_key,
    check_experiment_id,
    check_length,
    check_page_size,
    check_text,
)
from runstone_tracking.model import SearchRequest, Stage, View

MAX_FILTER = 100_000
"""As the contract says; a filter is read by people, or holds a few thousand run ids."""

MAX_TAGS = 100
"""Tags set or deleted by one call."""

MAX_EXPERIMENTS = 1000
"""Experiments that one search looks into."""

MAX_TIMESTAMP_S = 253_402_300_799
"""The end of the year 9999, where google.protobuf.Timestamp ends."""

_STAGES = {
    Stage.ACTIVE: experiment_pb2.LIFECYCLE_STAGE_ACTIVE,
    Stage.DELETED: experiment_pb2.LIFECYCLE_STAGE_DELETED,
}

Check = Callable[[Violations, str, str], object]


def keyed(field: str, key: str) -> str:
    """The path of a map's entry: ``params["a/../b"]``, a long key cut."""
    shown = key if len(key) <= MAX_SHOWN else key[:MAX_SHOWN] + "…"
    return f"{field}[{json.dumps(shown, ensure_ascii=False)}]"


def read_time(violations: Violations, field: str, message: Message, name: str) -> int | None:
    """The field ``name`` in milliseconds, rounded down; None when it is not set."""
    if not message.HasField(name):
        return None
    value: Timestamp = getattr(message, name)
    if not 0 <= value.seconds <= MAX_TIMESTAMP_S or not 0 <= value.nanos < 1_000_000_000:
        violations.add(field, "must be a time from 1970 to 9999")
        return None
    return value.seconds * 1000 + value.nanos // 1_000_000


def read_deadline(violations: Violations, message: Message, name: str) -> int | None:
    """A time to be before, in milliseconds, rounded up; None when it is not set."""
    found = read_time(violations, name, message, name)
    if found is None:
        return None
    value: Timestamp = getattr(message, name)
    return found + (value.nanos % 1_000_000 > 0)


def write_time(target: Timestamp, milliseconds: int) -> None:
    """Set ``target``."""
    target.seconds, rest = divmod(milliseconds, 1000)
    target.nanos = rest * 1_000_000


def write_stage(stage: Stage) -> experiment_pb2.LifecycleStage.ValueType:
    """The enum's value."""
    return _STAGES[stage]


def read_map(
    violations: Violations,
    field: str,
    items: Mapping[str, str],
    *,
    most: int,
    value_length: int,
    least: int = 0,
    check_key: Check = check_entity_key,
) -> dict[str, str]:
    """A map of keys and texts, each checked; a field's path names the key."""
    found = dict(items)
    if not check_count(violations, field, len(found), most, minimum=least):
        return found
    for key, value in found.items():
        path = keyed(field, key)
        if check_key(violations, path, key) is not False:
            check_text(violations, path, value, value_length)
    return found


def read_keys(violations: Violations, field: str, keys: Iterable[str]) -> list[str]:
    """1 to MAX_TAGS keys of tags; a repeated one counts once."""
    found = list(keys)
    if check_count(violations, field, len(found), MAX_TAGS, minimum=1):
        for place, key in enumerate(found):
            check_entity_key(violations, f"{field}[{place}]", key)
    return list(dict.fromkeys(found))


def read_mask(violations: Violations, mask: FieldMask, allowed: Iterable[str]) -> set[str]:
    """The paths of an update mask: at least one, all allowed."""
    known = list(allowed)
    names = " or ".join(f'"{name}"' for name in known)
    paths = set(mask.paths)
    if not paths:
        violations.add("update_mask", f"is required and must name {names}")
    for path in sorted(paths.difference(known)):
        cut = path[:MAX_SHOWN]
        violations.add("update_mask", f"may name only {names}, not {json.dumps(cut)}")
    return paths


def read_experiments(violations: Violations, ids: Iterable[str]) -> tuple[str, ...]:
    """1 to MAX_EXPERIMENTS ids of experiments."""
    found = tuple(ids)
    if check_count(violations, "experiment_ids", len(found), MAX_EXPERIMENTS, minimum=1):
        for place, each in enumerate(found):
            check_experiment_id(violations, f"experiment_ids[{place}]", each)
    return found


def read_search(
    request: run_pb2.SearchRunsRequest
    | experiment_pb2.SearchExperimentsRequest
    | logged_model_pb2.SearchLoggedModelsRequest,
) -> SearchRequest:
    """The fields that all searches have, and the experiments where there are any.

    The order of logged models is no text; it is read by itself.
    """
    violations = Violations()
    check_length(violations, "filter", request.filter, MAX_FILTER)
    check_count(violations, "order_by", len(request.order_by), MAX_ORDER_BY)
    check_page_size(violations, "page_size", request.page_size)
    view = View.ACTIVE_ONLY
    if request.view_type:
        try:
            view = View(request.view_type)
        except ValueError:
            violations.add("view_type", f"must be a ViewType, not {request.view_type}")
    experiments: tuple[str, ...] = ()
    if not isinstance(request, experiment_pb2.SearchExperimentsRequest):
        experiments = read_experiments(violations, request.experiment_ids)
    violations.raise_if_any()
    texts = not isinstance(request, logged_model_pb2.SearchLoggedModelsRequest)
    return SearchRequest(
        filter=request.filter,
        order_by=tuple(map(str, request.order_by)) if texts else (),
        view=view,
        page_size=request.page_size,
        page_token=request.page_token,
        experiment_ids=experiments,
    )
