"""TLS: whether the certificate is trusted, for that host, and for how long."""

from __future__ import annotations

import os
import socket
import ssl
import time
from datetime import UTC, datetime
from importlib import resources

from runstone import _uri
from runstone._doctor import places
from runstone._doctor.model import FAILURE, OK, WARNING, Asked, Line, Lines

ROOTS = "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH"
"""gRPC trusts the certificates in this file, else those that it brings along; not the system's."""

SECONDS = 3.0

SOON_DAYS = 21
"""Certificates that renew themselves do so a month before their end."""

WHY = {
    9: "it is not valid yet: one of the two clocks is wrong",
    10: "it has expired",
    18: "it is self-signed, and not among those that are trusted here",
    19: "it was signed by an authority that is not trusted here",
    20: "who signed it is not known here: its chain is not whole, or its authority is not trusted",
    21: "who signed it is not known here: its chain is not whole, or its authority is not trusted",
    62: "it is for another host",
    64: "it is for another address",
}
"""OpenSSL's numbers, in words."""


def look(asked: Asked, name: str) -> Lines:
    """A line for each address with TLS; one for all that have none."""
    targets = dict.fromkeys(places.targets(asked).values())
    remote = [each for each in targets if isinstance(each, _uri.Remote)]
    for each in remote:
        if each.tls:
            yield _line(asked, f"{name}.{each.address}", each)
        elif not _uri.is_loopback(each.host):
            yield Line(
                f"{name}.{each.address}",
                WARNING,
                f"{each} is called without TLS: others on the way can read and change it",
                "have a proxy with a certificate in front of it, and use runstones://",
            )
    if all(not each.tls and _uri.is_loopback(each.host) for each in remote):
        yield Line(name, OK, "no address is called through TLS")


def _line(asked: Asked, name: str, target: _uri.Remote) -> Line:
    seconds = asked.within(SECONDS)
    try:
        trusting = ssl.create_default_context(cafile=_roots())
    except (OSError, ssl.SSLError) as error:
        return Line(
            name,
            FAILURE,
            f"{ROOTS}={os.environ.get(ROOTS)} cannot be used: {error}",
            f"have {ROOTS} name a file of certificates (PEM)",
        )
    trusting.set_alpn_protocols(["h2"])
    fault = ""
    try:
        data, protocol, version = _handshake(target, trusting, seconds)
    except ssl.SSLCertVerificationError as error:
        fault = WHY.get(error.verify_code, error.verify_message)
        try:
            data, protocol, version = _handshake(target, _blind(), seconds)
        except OSError:
            data, protocol, version = b"", None, ""
    except ssl.SSLError as error:
        return Line(
            name,
            FAILURE,
            f"the TLS handshake with {target} failed: {_reason(error)}",
            "is no TLS spoken there? Then runstone:// is meant",
        )
    except OSError as error:
        why = error.strerror or str(error) or type(error).__name__
        return Line(
            name, FAILURE, f"{target} cannot be reached: {why}", "see the lines of the services"
        )
    return _judged(name, target, fault, data, protocol, version)


def _judged(
    name: str, target: _uri.Remote, fault: str, data: bytes, protocol: str | None, version: str
) -> Line:
    ends = not_after(data)
    days = None if ends is None else (ends - time.time()) / 86400
    details = {
        "host": target.host,
        "version": version,
        "alpn": protocol,
        "not_after": None if ends is None else datetime.fromtimestamp(ends, UTC).isoformat(),
        "days_left": None if days is None else round(days, 1),
        "roots": _roots(),
    }
    when = "" if days is None else f" ({_days(days)})"
    if fault:
        expired = days is not None and days < 0
        fix = "have it renewed on the server" if expired else _trust_it(fault)
        return Line(
            name, FAILURE, f"the certificate of {target} is refused: {fault}{when}", fix, details
        )
    if protocol != "h2":
        return Line(
            name,
            FAILURE,
            f"what answers at {target} speaks no HTTP/2 behind its TLS, which gRPC needs",
            "let the proxy there offer h2 (ALPN), or correct the port",
            details,
        )
    if days is not None and days < SOON_DAYS:
        return Line(
            name,
            WARNING,
            f"the certificate of {target} is good, and {_days(days)}",
            "have it renewed on the server",
            details,
        )
    return Line(name, OK, f"the certificate of {target} is good{when}, {version}", details=details)


def _trust_it(fault: str) -> str:
    if "host" in fault or "address" in fault:
        return "use the name that the certificate is for, or have one made for this name"
    if "clock" in fault:
        return "see the lines of clock; set both by NTP"
    return f"{ROOTS}=FILE with the authority's certificate (PEM), or a certificate of a known one"


def _days(days: float) -> str:
    if days < 0:
        return f"expired {-days:.0f} days ago"
    return f"expires in {days:.0f} days"


def _reason(error: ssl.SSLError) -> str:
    return (error.reason or str(error)).replace("_", " ").lower()


def _roots() -> str:
    named = os.environ.get(ROOTS)
    if named:
        return named
    found = resources.files("grpc") / "_cython" / "_credentials" / "roots.pem"
    return str(found)


def _blind() -> ssl.SSLContext:
    """To read a certificate that is refused; nothing is sent through it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    return context


def _handshake(
    target: _uri.Remote, context: ssl.SSLContext, seconds: float
) -> tuple[bytes, str | None, str]:
    """The certificate, the protocol behind TLS, and the version of TLS."""
    with (
        socket.create_connection((target.host, target.port), seconds) as plain,
        context.wrap_socket(plain, server_hostname=target.host) as opened,
    ):
        certificate = opened.getpeercert(binary_form=True) or b""
        return certificate, opened.selected_alpn_protocol(), opened.version() or ""


def not_after(certificate: bytes) -> float | None:
    """When a certificate (DER) ends, unix seconds; None when it cannot be read.

    The standard library tells it only of certificates that it trusts. The walk: Certificate,
    its first part, and there behind version, number, algorithm and issuer the validity.
    """
    try:
        _, start, _ = _element(certificate, 0)
        _, at, _ = _element(certificate, start)
        tag, _, end = _element(certificate, at)
        if tag == 0xA0:  # the version, which the first had not
            at = end
        for _ in range(3):
            _, _, at = _element(certificate, at)
        _, at, _ = _element(certificate, at)
        _, _, at = _element(certificate, at)
        tag, start, end = _element(certificate, at)
        text = certificate[start:end].decode("ascii")
        form = "%y%m%d%H%M%SZ" if tag == 0x17 else "%Y%m%d%H%M%SZ"
        return datetime.strptime(text, form).replace(tzinfo=UTC).timestamp()
    except (IndexError, ValueError, OverflowError):
        return None


def _element(data: bytes, at: int) -> tuple[int, int, int]:
    """The tag of an element of DER, where its content begins, and where it ends."""
    tag, length, start = data[at], data[at + 1], at + 2
    if length & 0x80:
        count = length & 0x7F
        length = int.from_bytes(data[start : start + count], "big")
        start += count
    if start + length > len(data):
        raise ValueError("the element is longer than the certificate")
    return tag, start, start + length
