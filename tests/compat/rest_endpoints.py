"""How a table names an endpoint: its method, its path, and parameters that are right."""

from __future__ import annotations

from typing import Any

from support.rest import API, Endpoint

S, N, W, L, B, O = "string", "number", "integer", "list", "boolean", "object"  # noqa: E741

RUN = (S, "{run}")
EXPERIMENT = (S, "{experiment}")
TAG = [{"key": "k", "value": "v"}]


def post(path: str, /, **parameters: tuple[str, Any]) -> Endpoint:
    return Endpoint("POST", f"{API}/{path}", parameters)


def get(path: str, /, **parameters: tuple[str, Any]) -> Endpoint:
    return Endpoint("GET", f"{API}/{path}", parameters)


def patch(path: str, /, **parameters: tuple[str, Any]) -> Endpoint:
    return Endpoint("PATCH", f"{API}/{path}", parameters)


def delete(path: str, /, **parameters: tuple[str, Any]) -> Endpoint:
    return Endpoint("DELETE", f"{API}/{path}", parameters)
