"""Shape checks that several requests share. Each adds to the collector what is wrong."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from google.protobuf.field_mask_pb2 import FieldMask

from runstone_kit.errors import Violations
from runstone_kit.validation import (
    INT64_MAX,
    MAX_DESCRIPTION,
    MAX_REGISTRY_TAG_VALUE,
    check_count,
    check_entity_key,
    check_range,
    check_text,
    shown,
)
from runstone_registry.convert import STAGES
from runstone_registry.model import Stage

MAX_COMMENT = 65_535
"""Comments, and the texts of transitions and decisions, as the contract says."""

MAX_ORIGIN = 2_048
"""Where a version came from, and why an upload was given up: a line for people."""

MAX_LOGGED_MODEL_ID = 255
"""Ids are made by the tracking service, and are shorter; this bounds what is stored unseen."""

MAX_FILTER = 100_000
"""Characters of a filter, as the contract says."""

MAX_TAGS = 100
"""Tags or keys in one call, as MLflow's batch limit."""

MAX_PATH = 1_024
"""Bytes of an artifact's path, as the artifact service's grammar says."""

MAX_PATH_NAME = 255
"""Bytes of one name in it: what file systems take."""

_NAME = re.compile(r"[^/\\\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")

_STAGES = {number: stage for stage, number in STAGES.items()}


def check_tags(
    violations: Violations, field: str, tags: Mapping[str, str], *, required: bool = False
) -> None:
    """Check keys, values and the number of tags."""
    if not check_count(violations, field, len(tags), MAX_TAGS, minimum=int(required)):
        return
    for key, value in sorted(tags.items()):
        if check_entity_key(violations, f"{field}[{shown(key)}]", key):
            check_text(violations, f"{field}[{shown(key)}]", value, MAX_REGISTRY_TAG_VALUE)


def check_keys(violations: Violations, field: str, keys: Sequence[str]) -> None:
    """Check the keys of tags to be deleted."""
    if check_count(violations, field, len(keys), MAX_TAGS, minimum=1):
        for index, key in enumerate(keys):
            check_entity_key(violations, f"{field}[{index}]", key)


def check_number(violations: Violations, field: str, number: int) -> None:
    """Check a version's number."""
    check_range(violations, field, number, 1, INT64_MAX)


def check_description(violations: Violations, field: str, text: str) -> None:
    """Check a description."""
    check_text(violations, field, text, MAX_DESCRIPTION)


def check_comment(violations: Violations, field: str, text: str, *, required: bool = False) -> None:
    """Check what somebody says."""
    check_text(violations, field, text, MAX_COMMENT, required=required)


def check_mask(violations: Violations, mask: FieldMask) -> None:
    """Check that the mask holds "description" and nothing else."""
    if not mask.paths:
        violations.add("update_mask", 'is required and must not be empty; give "description"')
    for path in mask.paths:
        if path != "description":
            violations.add("update_mask", f'may hold only "description", not {shown(path)}')
            return


def check_path(violations: Violations, field: str, path: str) -> None:
    """Check a path of artifacts by the grammar of the artifact service; empty is fine."""
    if not path:
        return
    size = len(path.encode("utf-8", "surrogatepass"))
    if size > MAX_PATH:
        violations.add(field, f"must have at most {MAX_PATH} bytes, not {size}")
        return
    for name in path.split("/"):
        if name in (".", "..") or _NAME.fullmatch(name) is None:
            violations.add(
                field,
                "must be names with '/' between, none of them empty, '.' or '..', without "
                f"backslashes and control characters, not {shown(path)}",
            )
            return
        if len(name.encode()) > MAX_PATH_NAME:
            violations.add(field, f"must have names of at most {MAX_PATH_NAME} bytes")
            return


def read_stage(violations: Violations, field: str, number: int) -> Stage:
    """The stage with this number; a violation when there is none."""
    stage = _STAGES.get(number)  # type: ignore[call-overload]
    if stage is None:
        violations.add(field, f"must be one of {', '.join(s.name for s in Stage)}, not {number}")
        return Stage.NONE
    assert isinstance(stage, Stage)
    return stage


def check_archive(violations: Violations, field: str, stage: Stage, archive: bool) -> None:
    """Check that versions are archived only for the stages where one replaces another."""
    if archive and not stage.in_use:
        violations.add(field, "may be set only for STAGING and PRODUCTION")
