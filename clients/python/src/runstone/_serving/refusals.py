"""What a caller is told when there is no answer: a status, MLflow's error code, a sentence."""

from __future__ import annotations

BAD_REQUEST = "BAD_REQUEST"
INVALID_VALUE = "INVALID_PARAMETER_VALUE"


class Refusal(Exception):
    """A request gets no predictions.

    Attributes:
        status: Of HTTP.
        code: As MLflow names errors.
        message: For the caller; nothing of the server's inside.
    """

    def __init__(self, message: str, status: int = 400, code: str = BAD_REQUEST) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


def mismatch(message: str) -> Refusal:
    """Data is not what the model takes."""
    return Refusal(message, 400, INVALID_VALUE)


def unsupported(message: str) -> Refusal:
    """The body is of a kind that is not read here."""
    return Refusal(message, 415, "UNSUPPORTED_MEDIA_TYPE")


def too_large(limit: int) -> Refusal:
    """The body is longer than the server takes."""
    return Refusal(f"the body is longer than the {limit} bytes taken", 413, "REQUEST_TOO_LARGE")


def too_late(seconds: float) -> Refusal:
    """The predictions were not there in time; the model may still be at it."""
    return Refusal(f"there were no predictions within {seconds:g} s", 504, "DEADLINE_EXCEEDED")


def too_slow(seconds: float) -> Refusal:
    """The caller did not send its body in time."""
    return Refusal(f"the body was not there within {seconds:g} s", 408, "REQUEST_TIMEOUT")


def unavailable(message: str) -> Refusal:
    """Not now: loading, stopping, or with too many requests that wait already."""
    return Refusal(message, 503, "TEMPORARILY_UNAVAILABLE")


def failed(error: Exception, described: str = "the model") -> Refusal:
    """A model failed on data that could be read.

    Errors of these kinds are what frameworks raise for values that they cannot use (a NaN, an
    unknown category), which is the caller's to change; all others are the model's own.
    """
    said = f"{described} failed on this data: {type(error).__name__}: {error!s:.2000}"
    if isinstance(error, ValueError | TypeError | LookupError | ArithmeticError):
        return Refusal(said)
    return Refusal(said, 500, "INTERNAL_ERROR")
