"""Structured logs on standard error: JSON for machines, a console format for people.

``configure`` once, in main; then ``structlog.get_logger(__name__)`` anywhere. What is logged while
a call is served carries its request id and actor without being told. Libraries that use the
standard ``logging`` come out in the same form.
"""

from __future__ import annotations

import contextlib
import json
import logging
import sys
import time
from collections.abc import Callable, MutableMapping
from datetime import UTC, datetime
from typing import Any, Literal

import structlog

from runstone_kit.context import current

REPEAT_S = 60.0
"""Often enough to be seen by whoever looks now, and no flood by tomorrow."""

Format = Literal["json", "console"]
Write = Callable[[str], object]


def configure(service: str, level: str = "info", form: Format = "json") -> None:
    """Send all logs of this process to standard error; ``service`` is stamped on each line."""

    def stamp(
        _logger: Any, _method: str, event: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        event["service"] = service
        return event

    shared: list[structlog.types.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        stamp,
        add_request,
    ]
    renderer: list[structlog.types.Processor]
    if form == "json":
        renderer = [
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(default=str),
        ]
    else:
        # The default traceback shows local variables, and a secret may be one of them.
        renderer = [
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
            )
        ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # These tell every statement and migration step at info.
    for chatty in ("sqlalchemy", "alembic"):
        logging.getLogger(chatty).setLevel(max(logging.WARNING, root.level))
    # And this one every attempt of a call that we then report ourselves.
    logging.getLogger("urllib3").setLevel(max(logging.ERROR, root.level))


class OnceAMinute:
    """Tells whether a line about something that goes on is due: at first, then once a minute.

    ``key`` names what the line says; there must be few of them. Safe in many threads.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._next: dict[str, float] = {}

    def due(self, key: str) -> bool:
        """Whether to say it now."""
        now = self._clock()
        if now < self._next.get(key, now):
            return False
        self._next[key] = now + REPEAT_S
        return True

    def over(self, key: str) -> None:
        """It has ended: the next time is news again."""
        self._next.pop(key, None)


def add_request(
    _logger: Any, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Processor: the request id and the actor of the call being served, if there is one."""
    about = current()
    if about.request_id:
        event.setdefault("request_id", about.request_id)
        if about.actor:
            event.setdefault("actor", about.actor)
    return event


def access_writer(
    service: str, form: Format = "json", write: Write | None = None
) -> Callable[[str, str, float, str, str, str], None]:
    """The function that writes an access line, built by hand: structlog takes ten times as long.

    Arguments: method, code, milliseconds, request id, actor, public message of a failure.
    """
    sink = write if write is not None else sys.stderr.write
    quote = json.dumps
    tail = f'"service":{quote(service)},"level":"info","event":"rpc"}}\n'

    def out(line: str) -> None:
        # A full disk or a closed pipe behind the log must not fail a call that has succeeded.
        with contextlib.suppress(OSError, ValueError):
            sink(line)

    def as_json(
        method: str, code: str, ms: float, request_id: str, actor: str, message: str
    ) -> None:
        line = (
            f'{{"timestamp":"{_now()}","method":"{method}","code":"{code}","ms":{ms:.3f},'
            f'"request_id":{quote(request_id)},'
        )
        if actor:
            line += f'"actor":{quote(actor)},'
        if message:
            line += f'"message":{quote(message)},'
        out(line + tail)

    def as_text(
        method: str, code: str, ms: float, request_id: str, actor: str, message: str
    ) -> None:
        said = f" {quote(message, ensure_ascii=False)}" if message else ""
        by = f" by {actor}" if actor else ""
        out(f"{_now()} {code} {method} {ms:.1f} ms {request_id}{by}{said}\n")

    return as_json if form == "json" else as_text


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")
