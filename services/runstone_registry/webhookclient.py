"""Posts to receivers, and reaches nothing but them.

The name is resolved once and every address that it has is checked; the connection is made to one
of these very addresses, so that a name that says something else a moment later changes nothing.
TLS is verified for the name. No proxy is used, no redirect followed, and the whole request has one
time limit, whatever the receiver does.
"""

from __future__ import annotations

import io
import ipaddress
import socket
import ssl
import time
from collections.abc import Callable
from http.client import HTTPConnection, HTTPException, HTTPMessage, HTTPResponse
from typing import Any

from runstone_registry.addresses import Target, is_public, parse
from runstone_registry.model_webhooks import Answer, Post

MAX_BODY = 4_096
"""Bytes of an answer that are read, where anybody wants them."""

MAX_ADDRESSES = 4
"""Of a name that are tried."""

MAX_RETRY_AFTER_S = 86_400
"""A receiver may ask for a day of rest; more would outlast what is kept for it."""

Resolve = Callable[[str, int], list[tuple[int, Any]]]
"""Host and port to families and addresses; raises OSError."""


class Refused(Exception):
    """The request must not be made, or could not be; the text is public."""


def resolve(host: str, port: int) -> list[tuple[int, Any]]:
    """The addresses of a name, as the machine's resolver has them."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [(family, address) for family, _, _, _, address in found]


class HttpSender:
    """``store_webhooks.WebhookSender`` over HTTP/1.1."""

    def __init__(
        self,
        timeout_s: float,
        *,
        allow_private: bool = False,
        tls: ssl.SSLContext | None = None,
        resolver: Resolve = resolve,
    ) -> None:
        self._timeout_s = timeout_s
        self._allow_private = allow_private
        # The machine's certificate authorities, TLS 1.2 at least.
        self._tls = tls or ssl.create_default_context()
        self._resolve = resolver

    def send(self, post: Post) -> Answer:
        """Make the request; whatever goes wrong is in the answer."""
        deadline = time.monotonic() + self._timeout_s
        try:
            target = parse(post.url)
            if not (target.secure or self._allow_private):
                raise Refused("the service is set to deliver over https only")
            with self._connect(target, deadline) as connected:
                return _exchange(connected, target, post, deadline)
        except Refused as error:
            return Answer(error=str(error))
        except TimeoutError:
            return Answer(error=f"no answer within {self._timeout_s:g} seconds")
        except ssl.SSLCertVerificationError as error:
            return Answer(error=f"the certificate is not trusted: {error.verify_message}")
        except ssl.SSLError:
            return Answer(error="the TLS handshake failed")
        except (OSError, HTTPException, ValueError) as error:
            return Answer(error=f"the connection failed: {_short(error)}")

    def _connect(self, target: Target, deadline: float) -> socket.socket:
        connected = self._reach(self._addresses(target), deadline)
        if not target.secure:
            return connected
        try:
            connected.settimeout(_left(deadline))
            # The certificate must be the name's, though the address was chosen here.
            return self._tls.wrap_socket(connected, server_hostname=target.host.removesuffix("."))
        except BaseException:
            connected.close()
            raise

    def _addresses(self, target: Target) -> list[tuple[int, Any]]:
        """Where the name leads. Raises Refused if any of it is not public."""
        try:
            found = self._resolve(target.host, target.port)
        except (OSError, UnicodeError):
            raise Refused("the host name cannot be resolved") from None
        if not self._allow_private and not all(map(_allowed, found)):
            # Which address it is, is not for whoever may name a host.
            raise Refused("the host leads to an address that is not public")
        return found[:MAX_ADDRESSES]

    def _reach(self, addresses: list[tuple[int, Any]], deadline: float) -> socket.socket:
        failure: OSError = OSError("the host has no address")
        for index, (family, address) in enumerate(addresses):
            opened = socket.socket(family, socket.SOCK_STREAM)
            try:
                # The first that is silent must leave time for the others.
                opened.settimeout(_left(deadline) / (len(addresses) - index))
                opened.connect(address)
            except OSError as error:
                failure = error
                opened.close()
            except BaseException:
                opened.close()
                raise
            else:
                return opened
        raise failure


def _allowed(found: tuple[int, Any]) -> bool:
    family, address = found
    if family not in (socket.AF_INET, socket.AF_INET6):
        return False
    if family == socket.AF_INET6 and len(address) > 3 and address[3]:
        return False  # a scope, and so a link
    try:
        return is_public(ipaddress.ip_address(address[0]))
    except ValueError:
        return False


def _exchange(connected: socket.socket, target: Target, post: Post, deadline: float) -> Answer:
    connection = HTTPConnection(target.host, target.port)
    # HTTPConnection asks of a socket only what this one has.
    connection.sock = _Timed(connected, deadline)
    fixed = {"Host": target.authority, "Connection": "close", "Accept-Encoding": "identity"}
    connection.request("POST", target.path, post.body, {**fixed, **post.headers})
    with connection.getresponse() as response:
        body = _read(response) if post.want_body else b""
        return Answer(
            status=response.status,
            body=body.decode("utf-8", "replace"),
            retry_after_s=_retry_after(response.headers),
        )


def _read(response: HTTPResponse) -> bytes:
    """The beginning of the body; what fails now does not undo the status."""
    read = b""
    try:
        while len(read) < MAX_BODY:
            more = response.read1(MAX_BODY - len(read))
            if not more:
                break
            read += more
    except (OSError, HTTPException, ValueError):
        pass
    return read


def _retry_after(headers: HTTPMessage) -> int:
    text = headers.get("Retry-After", "")
    # The other form, a date, trusts two clocks.
    if text.isascii() and text.isdigit() and len(text) < 10:
        return min(int(text), MAX_RETRY_AFTER_S)
    return 0


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _short(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return type(error).__name__


class _Timed:
    """A connected socket of which all reads and writes together end by a deadline.

    A socket's own timeout begins anew with every byte.
    """

    def __init__(self, connected: socket.socket, deadline: float) -> None:
        self._socket = connected
        self._deadline = deadline

    def sendall(self, data: bytes) -> None:
        """All of it, or TimeoutError."""
        view = memoryview(data)
        while view:
            self._socket.settimeout(_left(self._deadline))
            view = view[self._socket.send(view) :]

    def makefile(self, _mode: str) -> io.BufferedReader:
        """For reading."""
        return io.BufferedReader(_Reader(self._socket, self._deadline))

    def close(self) -> None:
        """Whoever connected it closes it."""


class _Reader(io.RawIOBase):
    def __init__(self, connected: socket.socket, deadline: float) -> None:
        self._socket = connected
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._socket.settimeout(_left(self._deadline))
        return self._socket.recv_into(buffer)
