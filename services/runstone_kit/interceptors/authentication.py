"""Who calls, when the server was given tokens: before anything else is looked at."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import grpc

from runstone_kit.context import AUTHORIZATION_METADATA, current, enter
from runstone_kit.errors import Unauthenticated
from runstone_kit.interceptors.chain import Call, Method
from runstone_kit.interceptors.permission import OPEN_SERVICES
from runstone_kit.tokens import TokenFile

BEARER = "bearer "


class AuthenticationLayer:
    """Refuses calls without the token of somebody; the actor is then the token's user.

    Calls through a unix socket pass without one when ``trust_unix``: its file lets only its owner
    in.
    """

    def __init__(self, tokens: TokenFile, *, trust_unix: bool = False) -> None:
        self._tokens = tokens
        self._trust_unix = trust_unix

    def wrap(self, method: Method, call: Call) -> Call:
        """``call`` for callers who are known."""
        if method.service in OPEN_SERVICES:
            return call

        def unary(request: Any, context: grpc.ServicerContext) -> Any:
            self._enter(context)
            return call(request, context)

        def stream(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
            self._enter(context)
            yield from call(request, context)

        return stream if method.response_streaming else unary

    def _enter(self, context: grpc.ServicerContext) -> None:
        said = ""
        for key, value in context.invocation_metadata():
            if key == AUTHORIZATION_METADATA:
                said = str(value)
        if not said and self._trust_unix and context.peer().startswith("unix:"):
            return
        user = identify(self._tokens, said)
        enter(replace(current(), actor=user, authorization=said))


def identify(tokens: TokenFile, authorization: str) -> str:
    """The user whose token an Authorization value carries. Raises Unauthenticated."""
    if not authorization:
        raise Unauthenticated(
            "this server asks for a token, and the call has none: set RUNSTONE_TRACKING_TOKEN (for"
            " MLflow's clients MLFLOW_TRACKING_TOKEN), or keep it with `runstone auth login`"
        )
    if not authorization.lower().startswith(BEARER):
        raise Unauthenticated('authorization must be "Bearer" and a token')
    user = tokens.user_of(authorization[len(BEARER) :].strip())
    if user is None:
        raise Unauthenticated("the token is not known to this server; it may have been taken back")
    return user
