"""The grammar of names, keys and values: one place, so that every service refuses the same.

Every check takes the collector, the field's path in the request and the value, and adds at most
one violation. Lengths count characters (code points), as MLflow's limits do, not bytes.
A refused value is never echoed in full.
"""

from __future__ import annotations

import posixpath
import re

from runstone_kit.errors import Violations

MAX_ENTITY_KEY = 250
"""Keys of metrics, params and tags, as in MLflow."""
MAX_PARAM_VALUE = 6_000
"""As MLflow's server; its client truncates, we refuse and name the field."""
MAX_TAG_VALUE = 8_000
"""Run tags, as MLflow's server."""
MAX_EXPERIMENT_TAG_VALUE = 20_000
"""Experiment tags, as MLflow's server."""
MAX_REGISTRY_TAG_VALUE = 100_000
"""Tags of registered models and versions, as MLflow's server."""
MAX_EXPERIMENT_NAME = 500
"""As MLflow."""
MAX_MODEL_NAME = 256
"""As MLflow's column; four-byte characters of it still fit a B-tree entry."""
MAX_ALIAS = 255
"""As MLflow."""
MAX_DESCRIPTION = 100_000
"""Descriptions and comments are kept as registry tags' values are."""
MAX_DATASET_NAME = 500
"""As MLflow."""
MAX_DATASET_DIGEST = 36
"""As MLflow."""
MAX_DATASET_SCHEMA = 1_048_575
"""As MLflow (1 MiB - 1)."""
MAX_DATASET_SOURCE = 65_535
"""As MLflow (64 KiB - 1)."""
MAX_DATASET_PROFILE = 16_777_215
"""As MLflow (16 MiB - 1); in practice the server's message limit is met first."""
MAX_REQUEST_ID = 64
"""Room for a UUID with a prefix, as the contract says; it is kept beside the row it created."""
MAX_SHOWN = 60
"""How much of a refused value is shown: enough to find it, too little to flood a log."""

INT64_MAX = 2**63 - 1
INT64_MIN = -(2**63)

_ENTITY_KEY = re.compile(r"[/\w.\- :]*")
_RUN_ID = re.compile(r"[a-zA-Z0-9][\w\-]{0,255}")
_EXPERIMENT_ID = re.compile(r"[a-zA-Z0-9][\w\-]{0,63}")
_ALIAS = re.compile(r"[\w\-]+")
_VERSION_ALIAS = re.compile(r"v\d+", re.IGNORECASE)
_REQUEST_ID = re.compile(r"[!-~]+")
_HEX32 = re.compile(r"[0-9a-f]{32}")
_LOGGED_MODEL_ID = re.compile(r"m-[0-9a-f]{32}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_UNSTORABLE = re.compile(r"[\x00\ud800-\udfff]")


def shown(value: str) -> str:
    """``value`` quoted for an error message, cut after MAX_SHOWN characters."""
    return repr(value) if len(value) <= MAX_SHOWN else repr(value[:MAX_SHOWN]) + "…"


def check_length(
    violations: Violations, field: str, value: str, maximum: int, *, required: bool = False
) -> bool:
    """Check that ``value`` has at most ``maximum`` characters, and is not empty if required."""
    if required and not value:
        violations.add(field, "is required and must not be empty")
        return False
    if len(value) > maximum:
        violations.add(field, f"must have at most {maximum} characters, not {len(value)}")
        return False
    return True


def check_text(
    violations: Violations, field: str, value: str, maximum: int, *, required: bool = False
) -> bool:
    """Check free text: length, no NUL and no lone surrogate (PostgreSQL stores neither)."""
    if not check_length(violations, field, value, maximum, required=required):
        return False
    bad = _UNSTORABLE.search(value)
    if bad is not None:
        violations.add(field, f"must not contain U+{ord(bad[0]):04X} (at character {bad.start()})")
        return False
    return True


def check_name(violations: Violations, field: str, value: str, maximum: int) -> bool:
    """Check a required one-line name: free text without control characters, not only blanks."""
    if not check_text(violations, field, value, maximum, required=True):
        return False
    bad = _CONTROL.search(value)
    if bad is not None:
        violations.add(
            field,
            f"must not contain the control character U+{ord(bad[0]):04X} (at {bad.start()})",
        )
        return False
    if not value.strip():
        violations.add(field, "must not be blank")
        return False
    return True


def check_entity_key(violations: Violations, field: str, value: str) -> bool:
    r"""Check the key of a metric, param or tag.

    At most 250 characters of ``[/\w.\- :]``, and equal to its normalized posix path: no ``..``,
    no leading ``/``, no ``.``, no doubled or trailing slash.
    """
    if not check_length(violations, field, value, MAX_ENTITY_KEY, required=True):
        return False
    if _ENTITY_KEY.fullmatch(value) is None:
        violations.add(
            field,
            "may contain only letters, digits, underscores, dashes, periods, spaces, colons and "
            f"slashes, not {shown(value)}",
        )
        return False
    normal = posixpath.normpath(value)
    if normal != value or value == "." or value.startswith(("..", "/")):
        violations.add(field, f"must be a normalized relative path, not {shown(value)}")
        return False
    return True


def check_run_id(violations: Violations, field: str, value: str) -> bool:
    """Check the form of a run id."""
    return _check_pattern(violations, field, value, _RUN_ID, "a run id")


def check_version_id(violations: Violations, field: str, value: str) -> bool:
    """Check the form of a model version's id, which only the registry mints."""
    what = "the id of a model version, 32 hex digits"
    return _check_pattern(violations, field, value, _HEX32, what)


def check_logged_model_id(violations: Violations, field: str, value: str) -> bool:
    """Check the form of a logged model's id, which only the tracking service mints."""
    what = "the id of a logged model, m- and 32 hex digits"
    return _check_pattern(violations, field, value, _LOGGED_MODEL_ID, what)


def check_experiment_id(violations: Violations, field: str, value: str) -> bool:
    """Check the form of an experiment id."""
    return _check_pattern(violations, field, value, _EXPERIMENT_ID, "an experiment id")


def check_id(violations: Violations, field: str, value: str) -> bool:
    """Check the form of any other id the server minted: 32 lower-case hex digits."""
    return _check_pattern(violations, field, value, _HEX32, "an id of 32 hex digits")


def check_sha256(violations: Violations, field: str, value: str) -> bool:
    """Check a digest: 64 lower-case hex digits."""
    return _check_pattern(violations, field, value, _SHA256, "64 lower-case hex digits")


def check_model_name(violations: Violations, field: str, value: str) -> bool:
    """Check a registered model's name: a name without ``/`` and ``:``."""
    if not check_name(violations, field, value, MAX_MODEL_NAME):
        return False
    if "/" in value or ":" in value:
        violations.add(field, f"must not contain '/' or ':', as {shown(value)} does")
        return False
    return True


def check_alias(violations: Violations, field: str, value: str) -> bool:
    r"""Check an alias: ``[\w\-]+``, at most 255, not ``latest``, not ``v<digits>``."""
    if not check_length(violations, field, value, MAX_ALIAS, required=True):
        return False
    if _ALIAS.fullmatch(value) is None:
        violations.add(field, f"may contain only letters, digits, '_' and '-', not {shown(value)}")
        return False
    if value.lower() == "latest" or _VERSION_ALIAS.fullmatch(value) is not None:
        violations.add(field, f"must not be {shown(value)}: it would be taken for a version")
        return False
    return True


def check_request_id(violations: Violations, field: str, value: str) -> bool:
    """Check the optional ``request_id`` of a create: printable ASCII without blanks, or empty."""
    if not value:
        return True
    if not check_length(violations, field, value, MAX_REQUEST_ID):
        return False
    if _REQUEST_ID.fullmatch(value) is None:
        violations.add(field, "may contain only printable ASCII characters without blanks")
        return False
    return True


def check_range(violations: Violations, field: str, value: int, low: int, high: int) -> bool:
    """Check that ``low <= value <= high``."""
    if not low <= value <= high:
        violations.add(field, f"must be between {low} and {high}, not {value}")
        return False
    return True


def check_count(
    violations: Violations, field: str, count: int, maximum: int, *, minimum: int = 0
) -> bool:
    """Check how many entries a repeated field has."""
    if count < minimum:
        violations.add(field, f"must have at least {minimum} entries")
        return False
    if count > maximum:
        violations.add(field, f"must have at most {maximum} entries, not {count}")
        return False
    return True


def check_page_size(violations: Violations, field: str, value: int) -> bool:
    """Check a page size as sent: not negative; ``paging.resolve_page_size`` does the rest."""
    if value < 0:
        violations.add(field, f"must not be negative, as {value} is")
        return False
    return True


def _check_pattern(
    violations: Violations, field: str, value: str, pattern: re.Pattern[str], what: str
) -> bool:
    if not value:
        violations.add(field, "is required and must not be empty")
        return False
    if pattern.fullmatch(value) is None:
        violations.add(field, f"must be {what}, not {shown(value)}")
        return False
    return True
