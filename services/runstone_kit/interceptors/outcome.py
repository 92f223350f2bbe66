"""How a call ended, for the layers that count and log."""

from __future__ import annotations

from typing import Any

import grpc


def success_code(context: grpc.ServicerContext) -> str:
    """The code of a handler that returned: OK unless it set another itself, as health does."""
    code: Any = context.code()  # type: ignore[attr-defined]
    return "OK" if code is None else name_of(code)


def failure_code(context: grpc.ServicerContext, error: BaseException) -> str:
    """The code of a handler that raised: the aborted one; CANCELLED when the client went away."""
    if is_gone(error):
        return "CANCELLED"
    code: Any = context.code()  # type: ignore[attr-defined]
    return "UNKNOWN" if code is None else name_of(code)


def is_gone(error: BaseException) -> bool:
    """Whether ``error`` says that the client went away.

    gRPC closes the response generator then, or raises a bare RpcError from the request iterator;
    the RpcError of a call we made ourselves is always of a subclass.
    """
    return isinstance(error, GeneratorExit) or type(error) is grpc.RpcError


def is_abort(context: grpc.ServicerContext, error: Exception) -> bool:
    """Whether ``error`` is the bare Exception by which ``context.abort`` leaves a handler."""
    code: Any = context.code()  # type: ignore[attr-defined]
    return (
        type(error) is Exception
        and not error.args
        and code is not None
        and code is not grpc.StatusCode.OK
    )


def name_of(code: Any) -> str:
    """The name of a status code that a handler set, be it an enum or a bare number."""
    return str(getattr(code, "name", code))
