"""Routes: what a line of the table is, and how a path finds its line."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from runstone_gateway.fields import Field

Handler = Callable[..., Awaitable[Any]]
"""Takes the call and, by name, the parameters of path and table. Returns what is sent as JSON, the
bytes of JSON that it wrote itself, or a Starlette response."""

PREFIXES = ("/api/", "/ajax-api/")
"""MLflow's clients call the first, its web page the second."""

_PARAMETER = re.compile(r"\{(\w+)(:path)?\}")


@dataclass(frozen=True, slots=True)
class Route:
    """One line of the table.

    ``path`` begins with a slash, or stands below both of PREFIXES. ``streams``: the handler reads
    the body by itself, and the fields stand in the query.
    """

    method: str
    path: str
    handler: Handler
    fields: dict[str, Field] = field(default_factory=dict)
    streams: bool = False

    @property
    def paths(self) -> list[str]:
        """Every full path of the route."""
        if self.path.startswith("/"):
            return [self.path]
        return [prefix + self.path for prefix in PREFIXES]


def get(path: str, handler: Handler, /, **fields: Field) -> Route:
    """A route of GET, with its parameters in the query."""
    return Route("GET", path, handler, fields)


def post(path: str, handler: Handler, /, **fields: Field) -> Route:
    """A route of POST, with its parameters in a JSON body."""
    return Route("POST", path, handler, fields)


def patch(path: str, handler: Handler, /, **fields: Field) -> Route:
    """A route of PATCH, with its parameters in a JSON body."""
    return Route("PATCH", path, handler, fields)


def delete(path: str, handler: Handler, /, **fields: Field) -> Route:
    """A route of DELETE, with its parameters in a JSON body."""
    return Route("DELETE", path, handler, fields)


def streamed(method: str, path: str, handler: Handler, /, **fields: Field) -> Route:
    """A route whose handler reads the body by itself."""
    return Route(method, path, handler, fields, streams=True)


class Routes:
    """Finds routes by path: the plain ones by a look, those with parameters one by one."""

    def __init__(self, table: Iterable[Route]) -> None:
        self._plain: dict[str, dict[str, Route]] = {}
        self._patterns: list[tuple[re.Pattern[str], dict[str, Route]]] = []
        by_pattern: dict[str, dict[str, Route]] = {}
        for route in table:
            for path in route.paths:
                if "{" not in path:
                    self._add(self._plain.setdefault(path, {}), route)
                    continue
                pattern = _pattern(path)
                if pattern not in by_pattern:
                    by_pattern[pattern] = {}
                    self._patterns.append((re.compile(pattern), by_pattern[pattern]))
                self._add(by_pattern[pattern], route)

    @staticmethod
    def _add(methods: dict[str, Route], route: Route) -> None:
        if route.method in methods:
            raise ValueError(f"two routes for {route.method} {route.path}")
        methods[route.method] = route

    def find(self, path: str) -> tuple[dict[str, Route], dict[str, str]]:
        """The routes of a path by method, and the parameters in it; empty for an unknown path."""
        plain = self._plain.get(path)
        if plain is not None:
            return plain, {}
        for pattern, methods in self._patterns:
            if found := pattern.fullmatch(path):
                return methods, found.groupdict()
        return {}, {}


def _pattern(path: str) -> str:
    parts = []
    last = 0
    for found in _PARAMETER.finditer(path):
        parts.append(re.escape(path[last : found.start()]))
        parts.append(f"(?P<{found[1]}>{'.+' if found[2] else '[^/]+'})")
        last = found.end()
    parts.append(re.escape(path[last:]))
    return "(?s:" + "".join(parts) + ")"
