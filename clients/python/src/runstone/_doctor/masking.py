"""No secret leaves: texts are masked by their form, and by what the environment calls a secret."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import unquote

from runstone._doctor.model import Line

MASK = "***"

SHORTEST = 4
"""A shorter value of the environment is in many texts by chance, and protects nothing."""

_WORDS = frozenset({"true", "false", "none", "auto", "default", "runstone", "postgres"})
"""Values that protect nothing and are words of ours; in a URL they are masked all the same."""

_SECRET_NAME = re.compile(
    r"token|secret|passw|passphrase|credential|api_?key|access_?key|private_?key|signature|auth$",
    re.IGNORECASE,
)
"""Variables, query parameters and fields that are called so hold secrets."""

_USERINFO = re.compile(r"(?<=://)[^\s'\"<>]*@")
"""Up to the last @: a password may have slashes and more of them. Too much is better than less."""

_FORMS = (
    (re.compile(r"\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{6,}", re.IGNORECASE), rf"\1 {MASK}"),
    (re.compile(r"\brst_[\w-]{8,}"), MASK),
    (re.compile(r"\beyJ[\w-]{5,}\.[\w-]+(\.[\w-]*)?"), MASK),
    (re.compile(r"\b(AKIA|ASIA)[A-Z0-9]{12,}"), MASK),
    (
        re.compile(
            r"([?&; ,]|^)([\w.-]*(?:token|secret|passw\w*|api_?key|signature|credential)[\w.-]*)"
            r"(\s*=\s*)[^&;,\s'\"]+",
            re.IGNORECASE,
        ),
        rf"\1\2\3{MASK}",
    ),
)

_INSIDE_URL = re.compile(r"://([^\s'\"<>]*)@")


def is_secret(name: str) -> bool:
    """Whether what has this name is never shown. ``…_FILE`` names a file, which is no secret."""
    return not name.upper().endswith("_FILE") and _SECRET_NAME.search(name) is not None


def secrets_of(environment: Mapping[str, str]) -> list[str]:
    """Every text of the environment that must not be shown, longest first."""
    found = set()
    for name, value in environment.items():
        if is_secret(name):
            found.add(value.strip())
        for match in _INSIDE_URL.finditer(value):
            user, _, password = match[1].partition(":")
            # A driver that misreads a password complains of a part of it.
            found.update((match[1], password, unquote(password), *re.split("[:@/]", password)))
            # Of an object store's URL, the user is a key as well.
            if value.startswith("s3"):
                found.add(user)
    kept = (each for each in found if len(each) >= SHORTEST and each.lower() not in _WORDS)
    return sorted(kept, key=len, reverse=True)


def masked(text: str, secrets: Iterable[str] = ()) -> str:
    """A text without the secrets that are known, and without what looks like one."""
    # Bytes of the environment that are no UTF-8 cannot be printed.
    text = text.encode("utf-8", "replace").decode()
    for secret in secrets:
        text = text.replace(secret, MASK)
    text = _USERINFO.sub(f"{MASK}@", text)
    for form, instead in _FORMS:
        text = form.sub(instead, text)
    return text


def masked_line(line: Line, secrets: Iterable[str]) -> Line:
    """A line all of whose texts are masked."""
    known = list(secrets)
    details = {
        name: MASK if is_secret(name) and isinstance(value, str) else _plain(value, known)
        for name, value in line.details.items()
    }
    return Line(
        line.name, line.status, masked(line.summary, known), masked(line.fix, known), details
    )


def _plain(value: Any, secrets: list[str]) -> Any:
    if isinstance(value, Mapping):
        return {
            str(name): MASK
            if is_secret(str(name)) and isinstance(each, str)
            else _plain(each, secrets)
            for name, each in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(each, secrets) for each in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    return masked(str(value), secrets)
