"""Tokens: by which a server knows who calls.

The environment's (RUNSTONE_TRACKING_TOKEN, or the file that RUNSTONE_TRACKING_TOKEN_FILE names)
goes to every server; else each server gets the one that `runstone auth login` kept for it.
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from runstone import _settings, _uri
from runstone.exceptions import InvalidArgument

_remembered: tuple[tuple[int, int], dict[str, Any]] | None = None


def token_for(target: _uri.Target, *, ambient: bool = True) -> str:
    """The token for a server; empty when there is none, and for an embedded suite.

    Args:
        target: The server.
        ambient: Take the environment's; else only one that was kept for this very server.

    Raises:
        InvalidArgument: it cannot be read, or would be sent where others can read it.
    """
    if isinstance(target, _uri.Embedded):
        return ""
    token, source = _found(target, ambient)
    if token:
        check(token, target, source)
    return token


def check(token: str, target: _uri.Remote, source: str) -> None:
    """Raise InvalidArgument for a token that cannot be sent, or that others could read."""
    if not token.isascii() or not token.isprintable() or " " in token:
        raise InvalidArgument(f"{source} holds no token: printable ASCII without spaces")
    if not (target.tls or _uri.is_loopback(target.host) or _plain_allowed()):
        raise InvalidArgument(
            f"{source} would go to {target} for everybody on the way to read; use"
            f" runstones://{target.address}, or set {_settings.ALLOW_PLAIN_TOKEN}=true where the"
            " network itself is private"
        )


def metadata(
    target: _uri.Target, token: str | None = None, *, ambient: bool = True
) -> tuple[tuple[str, str], ...]:
    """What calls to a server carry of its token. Raises InvalidArgument, as ``token_for`` does."""
    token = token_for(target, ambient=ambient) if token is None else token
    return (("authorization", f"Bearer {token}"),) if token else ()


def advice(target: _uri.Target) -> str:
    """What to do when a server does not know who calls: it depends on where the token is from."""
    token, source = _found(target, True) if isinstance(target, _uri.Remote) else ("", "")
    if not token:
        return f"log in by `runstone auth login`, or set {_settings.TRACKING_TOKEN}"
    if source in (_settings.TRACKING_TOKEN, _settings.TRACKING_TOKEN_FILE):
        return f"it is from {source}; correct or unset that, then try `runstone auth status`"
    return f"it is {source}; `runstone auth login` keeps another"


def _found(target: _uri.Remote, ambient: bool) -> tuple[str, str]:
    """The token and where it comes from."""
    if ambient and (token := os.environ.get(_settings.TRACKING_TOKEN)):
        return token.strip(), _settings.TRACKING_TOKEN
    if ambient and (path := os.environ.get(_settings.TRACKING_TOKEN_FILE)):
        try:
            return Path(path).read_text("utf-8").strip(), _settings.TRACKING_TOKEN_FILE
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidArgument(f"{_settings.TRACKING_TOKEN_FILE}: {path}: {error}") from None
    kept = stored().get(target.address)
    return (str(kept["token"]), f"the token in {place()}") if kept else ("", "")


def _plain_allowed() -> bool:
    return os.environ.get(_settings.ALLOW_PLAIN_TOKEN, "").lower() in {"1", "true", "yes"}


def place() -> Path:
    """The file of `runstone auth login`. Raises InvalidArgument for a user without a home."""
    base = os.environ.get("XDG_CONFIG_HOME")
    try:
        folder = Path(base) if base else Path.home() / ".config"
    except RuntimeError:
        raise InvalidArgument(
            "there is no home folder to keep tokens in; set XDG_CONFIG_HOME to a folder of yours"
        ) from None
    return folder / "runstone" / "credentials.json"


def stored() -> dict[str, dict[str, str]]:
    """Token by "host:port", as `runstone auth login` kept them.

    Raises:
        InvalidArgument: the file is damaged.
    """
    global _remembered
    try:
        path = place()
        state = path.stat()
    except (OSError, InvalidArgument):
        return {}
    seen = (state.st_mtime_ns, state.st_ino)
    if _remembered is None or _remembered[0] != seen:
        try:
            found = json.loads(path.read_text("utf-8"))
            assert all(isinstance(each["token"], str) for each in found.values())
        except (OSError, ValueError, AttributeError, TypeError, KeyError, AssertionError):
            raise InvalidArgument(
                f"{path} cannot be read; remove it, and log in again with `runstone auth login`"
            ) from None
        _remembered = seen, found
    return dict(_remembered[1])


def keep(address: str, token: str) -> None:
    """Keep a server's token, readable by its owner alone. Raises OSError, InvalidArgument."""
    _write({**stored(), address: {"token": token}})


def drop(address: str) -> bool:
    """Forget a server's token; False when there was none. Raises OSError."""
    found = stored()
    if found.pop(address, None) is None:
        return False
    _write(found)
    return True


def _write(found: dict[str, dict[str, str]]) -> None:
    path = place()
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    # mkstemp's files are their owner's alone; renamed whole, so that no half of one is read.
    handle, beside = tempfile.mkstemp(dir=path.parent, prefix=".credentials-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(found, file, indent=2)
        Path(beside).replace(path)
    except BaseException:
        Path(beside).unlink(missing_ok=True)
        raise
