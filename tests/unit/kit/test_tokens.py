"""Who may call: the file of tokens, and the layer that asks for one."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from runstone_kit.context import current
from runstone_kit.errors import Unauthenticated
from runstone_kit.interceptors.authentication import AuthenticationLayer
from runstone_kit.interceptors.chain import Method
from runstone_kit.tokens import LOOK_S, TokenFile, TokensError

ADA = "a-token-of-ada"
BOB = "a-token-of-bob"


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Context:
    def __init__(self, authorization: str | None, peer: str = "ipv4:127.0.0.1:1") -> None:
        self._metadata = [] if authorization is None else [("authorization", authorization)]
        self._peer = peer

    def invocation_metadata(self) -> list[tuple[str, str]]:
        return self._metadata

    def peer(self) -> str:
        return self._peer


def line(user: str, token: str) -> str:
    return f"{user} sha256:{hashlib.sha256(token.encode()).hexdigest()}\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "tokens"
    found.write_text(f"# who may call\n\n{line('ada', ADA)}", "utf-8")
    return found


def test_a_token_is_its_users(path: Path) -> None:
    tokens = TokenFile(path)
    assert tokens.user_of(ADA) == "ada"
    assert tokens.user_of(BOB) is None
    assert tokens.user_of("") is None
    assert tokens.user_of(hashlib.sha256(ADA.encode()).hexdigest()) is None


def test_a_change_is_seen_after_a_second_and_a_mistake_changes_nothing(path: Path) -> None:
    clock = Clock()
    tokens = TokenFile(path, clock)
    path.write_text(line("bob", BOB), "utf-8")
    os.utime(path, ns=(1, 1))
    assert tokens.user_of(BOB) is None
    clock.now += LOOK_S
    assert (tokens.user_of(ADA), tokens.user_of(BOB)) == (None, "bob")
    path.write_text("bob\n", "utf-8")
    clock.now += LOOK_S
    assert tokens.user_of(BOB) == "bob"
    path.unlink()
    clock.now += LOOK_S
    assert tokens.user_of(BOB) == "bob"


def test_a_file_that_is_gone_is_told_once_and_read_when_it_is_back(path: Path) -> None:
    clock = Clock()
    tokens = TokenFile(path, clock)
    aside = path.rename(path.with_name("aside"))
    with structlog.testing.capture_logs() as logged:
        for _ in range(3):
            clock.now += LOOK_S
            assert tokens.user_of(ADA) == "ada"
        aside.rename(path)
        clock.now += LOOK_S
        assert tokens.user_of(ADA) == "ada"
    assert [each["event"] for each in logged] == [
        "tokens not read; those read before hold",
        "tokens read",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ada\n", "line 1: must be a name and sha256:"),
        (f"\nada {ADA}\n", "line 2: must be"),
        ("ada sha256:" + "A" * 64, "line 1: must be"),
        (line("ada", ADA) + line("bob", ADA), "line 2: another user has the same token"),
        (line("a" * 257, ADA), "line 1: must be"),
        ("\xff", "is not UTF-8"),
    ],
)
def test_what_is_wrong_is_told_by_its_line(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "tokens"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(TokensError, match=said) as caught:
        TokenFile(path)
    assert ADA not in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(TokensError, match="none: No such file"):
        TokenFile(tmp_path / "none")


def called(layer: AuthenticationLayer, context: Context, path: str = "/p.S/M") -> list[str]:
    def one(_request: Any, _context: Any) -> str:
        return current().actor

    def many(_request: Any, _context: Any) -> Iterator[str]:
        yield current().actor

    answers = []
    for streams, call in ((False, one), (True, many)):
        found = layer.wrap(Method(path, False, streams), call)(None, context)  # type: ignore[arg-type]
        answers.append(next(found) if streams else found)
    return answers


def test_the_actor_is_the_tokens_user(path: Path) -> None:
    layer = AuthenticationLayer(TokenFile(path))
    assert called(layer, Context(f"Bearer {ADA}")) == ["ada", "ada"]
    assert called(layer, Context(f"bearer  {ADA} ")) == ["ada", "ada"]


@pytest.mark.parametrize(
    "authorization", [None, "", ADA, f"Basic {ADA}", "Bearer", "Bearer ", f"Bearer {BOB}"]
)
def test_nobody_else_gets_in(path: Path, authorization: str | None) -> None:
    layer = AuthenticationLayer(TokenFile(path))
    for streams in (False, True):
        call = layer.wrap(Method("/p.S/M", False, streams), lambda *_: [])
        with pytest.raises(Unauthenticated):
            list(call(None, Context(authorization)))  # type: ignore[arg-type]


def test_a_private_socket_lets_its_owner_in_and_no_wrong_token(path: Path) -> None:
    layer = AuthenticationLayer(TokenFile(path), trust_unix=True)
    assert called(layer, Context(f"Bearer {ADA}", "unix:")) == ["ada", "ada"]
    call = layer.wrap(Method("/p.S/M", False, False), lambda *_: "in")
    assert call(None, Context(None, "unix:")) == "in"  # type: ignore[arg-type]
    with pytest.raises(Unauthenticated):
        call(None, Context(f"Bearer {BOB}", "unix:"))  # type: ignore[arg-type]
    with pytest.raises(Unauthenticated):
        call(None, Context(None))  # type: ignore[arg-type]


def test_probes_need_none(path: Path) -> None:
    def call(_request: Any, _context: Any) -> str:
        return "in"

    layer = AuthenticationLayer(TokenFile(path))
    assert layer.wrap(Method("/grpc.health.v1.Health/Check", False, False), call) is call
