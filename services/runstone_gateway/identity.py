"""Who asks: the token in a request's Authorization header, as the services take it."""

from __future__ import annotations

import base64
import binascii

from runstone_gateway.errors import GatewayError
from runstone_kit.errors import Unauthenticated
from runstone_kit.interceptors.authentication import identify
from runstone_kit.tokens import TokenFile

OPEN = frozenset({"/health", "/version"})
"""Probes cannot log in, and clients ask for the version before they do."""


def authorization_of(header: str) -> str:
    """The header as "Bearer" and a token; that of Basic is its password. Empty without one.

    Raises GatewayError for what is neither.
    """
    scheme, _, rest = header.strip().partition(" ")
    if not scheme:
        return ""
    if scheme.lower() == "bearer":
        token = rest.strip()
    elif scheme.lower() == "basic":
        token = _password(rest.strip())
    else:
        raise GatewayError("UNAUTHENTICATED", "Authorization must be Bearer, or Basic with a token")
    if not token.isascii() or not token.isprintable() or " " in token:
        raise GatewayError("UNAUTHENTICATED", "The token in Authorization cannot be read")
    return f"Bearer {token}"


def check(tokens: TokenFile, authorization: str) -> None:
    """Raise GatewayError unless it is somebody's token."""
    try:
        identify(tokens, authorization)
    except Unauthenticated as error:
        said = error.message[0].upper() + error.message[1:]
        raise GatewayError("UNAUTHENTICATED", f"{said}.") from None


def _password(encoded: str) -> str:
    try:
        name, colon, token = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        colon = token = name = ""
    if not colon:
        raise GatewayError("UNAUTHENTICATED", "The Basic credentials cannot be read")
    # MLflow's clients put the token first when there is no name.
    return token or name
