"""RUNSTONE_TOKEN: whether it is one, until when, and over which way it would go."""

from __future__ import annotations

import base64
import json
import time

from runstone import _uri
from runstone._doctor import places
from runstone._doctor.model import FAILURE, OK, WARNING, Asked, Line, Lines
from runstone._doctor.variables import TOKEN

SOON_SECONDS = 86400.0

LOOPBACK = ("localhost", "127.", "::1")


def look(asked: Asked, name: str) -> Lines:
    """One line; none of its text is told."""
    token = asked.environment.get(TOKEN, "")
    if not token:
        yield Line(name, OK, f"{TOKEN} is not set; servers of this release ask for none")
        return
    details = {"length": len(token)}
    if token != token.strip() or not token.isascii() or any(each.isspace() for each in token):
        yield Line(
            name,
            FAILURE,
            f"{TOKEN} has spaces, line ends or letters that no token has",
            f"set it anew, without what was copied along: export {TOKEN}=$(cat FILE)",
            details,
        )
        return
    expires = _expires(token)
    if expires is not None:
        left = expires - time.time()
        details["expires_in_seconds"] = round(left)
        if left <= 0:
            yield Line(
                name, FAILURE, f"{TOKEN} expired {_span(-left)} ago", "get a new one", details
            )
            return
        if left < SOON_SECONDS:
            yield Line(name, WARNING, f"{TOKEN} expires in {_span(left)}", "get a new one", details)
            return
    plain = [each for each in places.targets(asked).values() if _is_plain(each)]
    if plain:
        yield Line(
            name,
            WARNING,
            f"{TOKEN} would go to {plain[0]} without TLS, where others can read it",
            "use runstones://",
            details,
        )
        return
    yield Line(name, OK, f"{TOKEN} is set ({len(token)} characters)", details=details)


def _is_plain(target: _uri.Target) -> bool:
    return isinstance(target, _uri.Remote) and not (target.tls or target.host.startswith(LOOPBACK))


def _expires(token: str) -> float | None:
    """The time that a JSON web token says; None for another token."""
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        payload = base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4))
        return float(json.loads(payload)["exp"])
    except (ValueError, KeyError, TypeError):
        return None


def _span(seconds: float) -> str:
    return f"{seconds / 3600:.1f} hours" if seconds < 172800 else f"{seconds / 86400:.0f} days"
