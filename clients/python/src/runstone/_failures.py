"""What gRPC reports when no server of ours gave a reason, in words for people.

Its own ("failed to connect to all addresses; last error: UNKNOWN: ipv4:…") are for its developers:
they go to the logger ``runstone`` at level DEBUG and never into an exception. Needs no gRPC, so
that whoever has a status and a text can ask.
"""

from __future__ import annotations

import logging
import re

_log = logging.getLogger("runstone")

_WHY_AWAY = (
    ("WRONG_VERSION_NUMBER", "the TLS handshake failed: no TLS is spoken there (try runstone://)"),
    ("CERTIFICATE_VERIFY_FAILED", "the TLS handshake failed: its certificate is not trusted here"),
    ("Hostname Verification", "the TLS handshake failed: its certificate is for another host"),
    ("andshake", "the TLS handshake failed (is it runstones://, with a certificate trusted here?)"),
    ("Connection refused", "the connection was refused"),
    ("DNS resolution failed", "the host's name is not known"),
    ("name resolution", "the host's name is not known"),
    ("Domain name not found", "the host's name is not known"),
    ("errors resolving", "the host's name is not known"),
    ("No route to host", "there is no route to the host"),
    ("etwork is unreachable", "the network cannot be reached"),
    ("No such file or directory", "its socket is gone"),
    ("Permission denied", "its socket belongs to somebody else"),
    ("SETTINGS", "what answers there does not speak gRPC"),
    ("http2 header with status", "what answers there does not speak gRPC, or cannot reach it"),
    ("upstream connect", "the proxy there cannot reach its server"),
    ("timed out", "the connection was not answered in time"),
    ("imeout", "the connection was not answered in time"),
    ("Cancelling all calls", "it stops"),
    ("shutting down", "it stops"),
)
"""What gRPC's messages have in them, most telling first, and what they mean. The rest is a
connection that was lost, in one of many words: reset, closed, GOAWAY, broken pipe, RST_STREAM."""

_LOST = re.compile(r"reset|closed|GOAWAY|Broken pipe|RST_STREAM|Stream removed|ping", re.IGNORECASE)

_TOO_LARGE = re.compile(r"larger than max \((\d+) vs\. (\d+)\)")


def plainly(code: str, said: str, place: str) -> str:
    """What happened, from a status code's name, what gRPC said to it, and the address called."""
    _log.debug("%s: %s: %s", place, code, said)
    say = _BY_CODE.get(code)
    return say(said, place) if say else f"the call to {place} failed ({code})"


def _away(said: str, place: str) -> str:
    why = next((meaning for part, meaning in _WHY_AWAY if part in said), None)
    if why is None:
        why = "the connection was lost" if _LOST.search(said) else "the connection failed"
    return f"no Runstone server answers at {place}: {why}"


def _late(said: str, place: str) -> str:
    del said
    return f"no answer from {place} in time"


def _unknown_call(said: str, place: str) -> str:
    if "status: 404" in said:
        return f"what answers at {place} does not know this call: it is no Runstone server"
    return (
        f"the server at {place} does not know this call: it is older than this client, or another"
        " of the services (runstone://host?artifact=host:port&registry=host:port names each)"
    )


def _too_much(said: str, place: str) -> str:
    found = _TOO_LARGE.search(said)
    if found:
        what = "the answer of" if "CLIENT" in said else "the request to"
        return f"{what} {place} is too large: {found[1]} bytes, and {found[2]} are allowed"
    return f"the server at {place} has too much to do at the moment"


def _failed(said: str, place: str) -> str:
    if "not valid" in said and "channel" in said:
        return f"{place} is no address that can be called"
    if "deserializing response" in said:
        return f"the answer of {place} cannot be read: it is no Runstone server, or another release"
    if "serializing request" in said or "metadata" in said:
        return f"the request to {place} cannot be written"
    if _LOST.search(said):
        return f"the connection to {place} was lost during the call"
    return f"the server at {place} failed and did not say why; its log may tell"


def _given_up(said: str, place: str) -> str:
    del said
    return f"the call to {place} was given up before it answered"


def _kept_out(said: str, place: str) -> str:
    del said
    return f"what stands before the server at {place}, such as a proxy, lets nobody unknown through"


_BY_CODE = {
    "UNAVAILABLE": _away,
    "DEADLINE_EXCEEDED": _late,
    "UNIMPLEMENTED": _unknown_call,
    "RESOURCE_EXHAUSTED": _too_much,
    "UNKNOWN": _failed,
    "INTERNAL": _failed,
    "CANCELLED": _given_up,
    "UNAUTHENTICATED": _kept_out,
    "PERMISSION_DENIED": _kept_out,
}
