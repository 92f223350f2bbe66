"""Why a request fails, as MLflow's clients expect to be told.

An answer is ``{"error_code": …, "message": …}`` under the status that belongs to the code. MLflow's
clients repeat 408, 429, 500, 502, 503 and 504 for minutes, so none of them answers a mistake of the
user.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from runstone_kit.peers import PeerFailure

STATUS = {
    "BAD_REQUEST": 400,
    "INVALID_PARAMETER_VALUE": 400,
    "RESOURCE_ALREADY_EXISTS": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "ENDPOINT_NOT_FOUND": 404,
    "NOT_FOUND": 404,
    "RESOURCE_DOES_NOT_EXIST": 404,
    "ABORTED": 409,
    "RESOURCE_CONFLICT": 409,
    "REQUEST_LIMIT_EXCEEDED": 429,
    "CANCELLED": 499,
    "DATA_LOSS": 500,
    "INTERNAL_ERROR": 500,
    "NOT_IMPLEMENTED": 501,
    "TEMPORARILY_UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}
"""MLflow's error codes and their HTTP status."""

_BY_CODE = {
    "INVALID_ARGUMENT": "INVALID_PARAMETER_VALUE",
    "OUT_OF_RANGE": "INVALID_PARAMETER_VALUE",
    # A deleted run, a parameter that has another value: MLflow calls them invalid, too.
    "FAILED_PRECONDITION": "INVALID_PARAMETER_VALUE",
    "NOT_FOUND": "RESOURCE_DOES_NOT_EXIST",
    "ALREADY_EXISTS": "RESOURCE_ALREADY_EXISTS",
    "UNAUTHENTICATED": "UNAUTHENTICATED",
    "PERMISSION_DENIED": "PERMISSION_DENIED",
    "ABORTED": "ABORTED",
    "RESOURCE_EXHAUSTED": "INVALID_PARAMETER_VALUE",
    "UNIMPLEMENTED": "NOT_IMPLEMENTED",
    "UNAVAILABLE": "TEMPORARILY_UNAVAILABLE",
    "DEADLINE_EXCEEDED": "DEADLINE_EXCEEDED",
    "CANCELLED": "TEMPORARILY_UNAVAILABLE",
    "DATA_LOSS": "DATA_LOSS",
}

_BY_REASON = {
    # What a repetition may cure; every other limit is the request's own.
    "OVERLOADED": "REQUEST_LIMIT_EXCEEDED",
    "STORAGE_FULL": "TEMPORARILY_UNAVAILABLE",
}

RETRY_AFTER_S = 1
"""Told with 429 and 503; MLflow's clients wait longer each time by themselves."""


CHALLENGE = 'Basic realm="Runstone", charset="UTF-8"'
"""Told with 401: a browser asks for a name and a token; MLflow's clients know what to send."""


class GatewayError(Exception):
    """A request that is answered by an error; the message is for its sender."""

    def __init__(self, code: str, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = STATUS[code] if status is None else status

    @property
    def body(self) -> dict[str, Any]:
        """What is sent as JSON."""
        return {"error_code": self.code, "message": self.message}

    @property
    def headers(self) -> dict[str, str]:
        """What is sent beside it."""
        if self.status == 401:
            return {"www-authenticate": CHALLENGE}
        if self.status == 408:
            # What comes of the body after all is nobody's.
            return {"connection": "close"}
        return {"retry-after": str(RETRY_AFTER_S)} if self.status in (429, 503) else {}


_SEE = " See the API docs for more information about request parameters."


def missing(name: str) -> GatewayError:
    """A required parameter is not there, or empty."""
    message = f"Missing value for required parameter '{name}'.{_SEE}"
    return GatewayError("INVALID_PARAMETER_VALUE", message)


def invalid(name: str, shown: str, hint: str) -> GatewayError:
    """A parameter has a value that it cannot have."""
    message = f"Invalid value {shown} for parameter '{name}' supplied: {hint}{_SEE}"
    return GatewayError("INVALID_PARAMETER_VALUE", message)


def refused(message: str) -> GatewayError:
    """A request that cannot be carried out as it is."""
    return GatewayError("INVALID_PARAMETER_VALUE", message)


def not_found(message: str) -> GatewayError:
    """What the request names does not exist."""
    return GatewayError("RESOURCE_DOES_NOT_EXIST", message)


_PARAMETERS = (
    (re.compile(r"(params|tags)\[.*", re.DOTALL), "key"),
    (re.compile(r"keys\[\d+\]"), "key"),
    (re.compile(r"series\[\d+\]\.key"), "name"),
    (re.compile(r"series\[\d+\]\.timestamps_ms.*"), "timestamp"),
    (re.compile(r"model_metrics\[\d+\]\.key"), "name"),
    (re.compile(r"model_metrics\[\d+\]\.timestamp_ms"), "timestamp"),
    (re.compile(r"model_metrics\[\d+\]\.(\w+)"), r"\1"),
    (re.compile(r"files\[\d+\]\.path"), "path"),
    (re.compile(r"page_size"), "max_results"),
    (re.compile(r"after\.\w+"), "page_token"),
    (re.compile(r"experiment\.name"), "new_name"),
    (re.compile(r"run\.name"), "run_name"),
    (re.compile(r"(?:experiment|run|webhook)\.(\w+)"), r"\1"),
)
"""Fields of our RPCs that are parameters by another name in MLflow's REST API."""

_VALUE = re.compile(r""", (?:not ('.*'…?|".*"…?)|as (-?\d+) is)( \(and \d+ more\))?$""", re.DOTALL)
"""The wrong value, where a service shows it."""

_BEGINS_WITH_A_FIELD = re.compile(r"\w*[_\[]|\w+\.\w")
"""A field has an underscore, an index or a dot; words of a sentence have none."""


def parameter(field: str) -> str:
    """What MLflow calls the parameter that became this field of a message of ours."""
    for pattern, name in _PARAMETERS:
        if found := pattern.fullmatch(field):
            return found.expand(name)
    return field


def _of_field(message: str, field: str, name: str) -> GatewayError:
    """The refusal of a field, in the words that MLflow has for one of its parameters."""
    told = message.removeprefix(field + " ")
    found = _VALUE.search(told)
    shown = f" {found[1] or found[2]}" if found else ""
    return refused(f"Invalid value{shown} for parameter '{name}' supplied: it {told}")


def of_failure(failure: PeerFailure, named: Callable[[str], str] = parameter) -> GatewayError:
    """What a service's refusal is to MLflow's clients, who know fields as ``named`` has them."""
    if failure.reason == "INVALID_FIELD" and failure.field:
        return _of_field(failure.message, failure.field, named(failure.field))
    code = _BY_REASON.get(failure.reason) or _BY_CODE.get(failure.code, "INTERNAL_ERROR")
    if failure.is_away and not failure.reason:
        # What gRPC says of addresses and sockets is nothing for a client.
        return GatewayError(code, "A service behind the gateway does not answer; try again.")
    if code == "INTERNAL_ERROR" and not failure.reason:
        return GatewayError(code, "A service behind the gateway failed.")
    return GatewayError(code, _sentence(failure.message))


def _sentence(message: str) -> str:
    """The message as MLflow's are, for some of its users look for their beginnings."""
    if _BEGINS_WITH_A_FIELD.match(message):
        return message
    return message[:1].upper() + message[1:]
