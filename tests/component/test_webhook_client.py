"""What posts to receivers: reaches the address that was checked, and no receiver holds it up."""

import socket
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from runstone_registry.model_webhooks import Answer, Post
from runstone_registry.webhookclient import MAX_BODY, HttpSender
from support.receivers import (
    Receiver,
    answering,
    certificate,
    hanging,
    raw,
    receiver,
    streaming,
    trickling,
)

TIMEOUT_S = 1.0
HEADERS = {"webhook-id": "m1", "Content-Type": "application/json"}


@pytest.fixture
def there() -> Iterator[Receiver]:
    with receiver() as made:
        yield made


def sent(url: str, *, body: bytes = b"{}", **options: Any) -> Answer:
    sender = HttpSender(TIMEOUT_S, **({"allow_private": True} | options))
    return sender.send(Post(url, body, HEADERS, want_body=True))


def leading_to(*addresses: str, port: int = 0) -> Callable[[str, int], list[tuple[int, Any]]]:
    """A name server for which every name has these addresses."""

    def resolve(_host: str, asked: int) -> list[tuple[int, Any]]:
        found: list[tuple[int, Any]] = []
        for address in addresses:
            if ":" in address:
                found.append((socket.AF_INET6, (address, port or asked, 0, 0)))
            else:
                found.append((socket.AF_INET, (address, port or asked)))
        return found

    return resolve


def test_a_post_as_it_arrives(there: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    there.behave = answering(201, b"thanks")
    answer = sent(there.url + "?x=1", body=b'{"a": 1}')
    assert (answer.status, answer.body, answer.taken) == (201, "thanks", True)
    (request,) = there.requests
    assert request.line == "POST /hook?x=1 HTTP/1.1"
    assert request.body == b'{"a": 1}'
    assert request.headers["host"] == f"127.0.0.1:{there.port}"
    assert request.headers["webhook-id"] == "m1"
    assert request.headers["content-type"] == "application/json"


@pytest.mark.parametrize("status", [400, 404, 410, 429, 500, 503])
def test_other_answers(there: Receiver, status: int) -> None:
    there.behave = answering(status, b"no", retry_after="7")
    assert sent(there.url) == Answer(status, body="no", retry_after_s=7)


@pytest.mark.parametrize(
    ("said", "seconds"), [("-5", 0), ("x", 0), ("9" * 50, 0), ("999999", 86_400), ("٣", 0)]
)
def test_how_long_a_receiver_may_ask_for(there: Receiver, said: str, seconds: int) -> None:
    content = f"HTTP/1.1 503 X\r\nRetry-After: {said}\r\nContent-Length: 0\r\n\r\n"
    there.behave = raw(content.encode())
    assert sent(there.url).retry_after_s == seconds


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(there: Receiver, status: int) -> None:
    with receiver() as other:
        there.behave = answering(status, location=other.url)
        answer = sent(there.url)
        assert (answer.status, answer.taken) == (status, False)
        assert other.connections == 0


def test_receivers_that_never_end(there: Receiver) -> None:
    for behave in (hanging(there), trickling(there)):
        there.behave = behave
        assert sent(there.url) == Answer(error="no answer within 1 seconds")
    there.behave = streaming(there)
    answer = sent(there.url)
    assert answer.status == 200
    assert answer.body == "x" * MAX_BODY


def test_a_receiver_that_does_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        assert sent(url, body=b"x" * 50_000_000) == Answer(error="no answer within 1 seconds")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\r\n\r\n",
        b"hello\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 99999 OK\r\n\r\n",
        b"HTTP/1.1 200 " + b"x" * 100_000,
        b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 200 + b"\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 50,
    ],
)
def test_answers_that_are_none(there: Receiver, content: bytes) -> None:
    there.behave = raw(content)
    answer = sent(there.url)
    assert not answer.taken
    assert answer.error.startswith("the connection failed: ")


@pytest.mark.parametrize(
    "rest",
    [
        b"Content-Length: 100\r\n\r\nhalf",
        b"Content-Length: -5\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n4\r\nhalf",
    ],
)
def test_a_broken_body_does_not_undo_the_status(there: Receiver, rest: bytes) -> None:
    there.behave = raw(b"HTTP/1.1 200 OK\r\n" + rest)
    assert sent(there.url).taken


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    assert sent(f"http://127.0.0.1:{port}/").error == "the connection failed: Connection refused"


def test_a_name_that_is_none() -> None:
    def resolve(_host: str, _port: int) -> list[tuple[int, Any]]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    answer = sent("https://no.such.name.example/", resolver=resolve)
    assert answer.error == "the host name cannot be resolved"


NOT_PUBLIC = "the host leads to an address that is not public"


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        ["10.0.0.1"],
        ["169.254.169.254"],
        ["0.0.0.0"],
        ["::1"],
        ["::ffff:127.0.0.1"],
        ["64:ff9b::7f00:1"],
        ["fd00:ec2::254"],
        ["1.1.1.1", "127.0.0.1"],
        ["127.0.0.1", "1.1.1.1"],
    ],
)
def test_a_name_that_leads_inside_is_not_connected_to(
    there: Receiver, addresses: list[str]
) -> None:
    lookup = leading_to(*addresses, port=there.port)
    answer = sent("https://hooks.example.org/", allow_private=False, resolver=lookup)
    assert answer == Answer(error=NOT_PUBLIC)
    assert there.connections == 0


@pytest.mark.parametrize("host", ["0x7f.1", "2130706433", "0177.0.0.1", "127.1", "localhost"])
def test_spellings_that_only_the_resolver_understands(there: Receiver, host: str) -> None:
    # Even if such a URL had been stored: the resolver says where it leads.
    for url in (f"https://{host}:{there.port}/", f"http://{host}:{there.port}/"):
        answer = sent(url, allow_private=False)
        assert answer.status == 0
        assert answer.error
    assert there.connections == 0


def test_a_name_is_asked_for_once_and_its_address_kept(there: Receiver) -> None:
    answers = [leading_to("127.0.0.1", port=there.port), leading_to("10.0.0.1")]

    def rebinding(host: str, port: int) -> list[tuple[int, Any]]:
        return answers.pop(0)(host, port)

    sender = HttpSender(TIMEOUT_S, allow_private=True, resolver=rebinding)
    assert sender.send(Post("http://hooks.example.org/", b"{}", HEADERS)).status == 200
    assert len(answers) == 1
    assert there.requests[0].headers["host"] == "hooks.example.org"


def test_the_second_address_is_tried(there: Receiver) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    first, second = leading_to("127.0.0.1", port=port), leading_to("127.0.0.1", port=there.port)
    lookup = lambda host, port: first(host, port) + second(host, port)  # noqa: E731
    assert sent("http://hooks.example.org/", resolver=lookup).status == 200


def test_http_needs_the_setting(there: Receiver) -> None:
    answer = sent(there.url, allow_private=False)
    assert answer == Answer(error="the service is set to deliver over https only")
    assert there.connections == 0


def test_tls_is_verified_for_the_name(tmp_path: Path) -> None:
    serving, trusting = certificate(tmp_path, "hooks.example.org")
    names: list[str | None] = []
    serving.sni_callback = lambda _socket, name, _context: names.append(name)
    with receiver(serving) as there:
        lookup = leading_to("127.0.0.1", port=there.port)

        def told(host: str, tls: ssl.SSLContext | None) -> Answer:
            return sent(f"https://{host}/", tls=tls, resolver=lookup)

        assert told("hooks.example.org", trusting).status == 200
        assert names == ["hooks.example.org"]
        for answer in (told("other.example.org", trusting), told("hooks.example.org", None)):
            assert answer.status == 0
            assert answer.error.startswith("the certificate is not trusted: ")
        assert len(there.requests) == 1


def test_no_tls_where_it_should_be(there: Receiver) -> None:
    answer = sent(there.url.replace("http://", "https://"))
    assert (answer.status, answer.error != "") == (0, True)
    # The receiver may take the first bytes of TLS for a line; it was told nothing.
    assert not any(request.body for request in there.requests)
