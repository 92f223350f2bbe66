"""Calls of a tracking server: who one is, what is tried again, what is told."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from runstone._migrate import rest
from runstone._migrate.model import SourceUnreadable
from runstone._migrate.rest import Rest, RestError


class Server:
    """Answers in turn what it was given, and keeps what it was asked."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, dict[str, str], bytes]] = []
        self.asked: list[tuple[str, str, dict[str, str], bytes]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                outer.asked.append((self.command, self.path, dict(self.headers), body))
                status, headers, said = outer.answers.pop(0)
                if status == 0:
                    self.close_connection = True
                    return
                self.send_response(status)
                for name, value in {"Content-Length": str(len(said)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(said)

            def do_GET(self) -> None:
                self._answer()

            def do_POST(self) -> None:
                self._answer()

            def log_message(self, *arguments: Any) -> None:
                """Nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    for name in (rest.USERNAME, rest.PASSWORD, rest.TOKEN):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(rest, "FIRST_PAUSE_SECONDS", 0.001)
    started = Server()
    yield started
    started.close()


def test_what_passes_is_tried_again(server: Server) -> None:
    server.answers = [
        (429, {"Retry-After": "0"}, b""),
        (503, {}, b"later"),
        (0, {}, b""),
        (200, {}, b'{"ok": 1}'),
    ]
    calls = Rest(server.url)
    assert calls.get("runs/get", run_id="a b", page_token="") == {"ok": 1}
    calls.close()
    assert {each[1] for each in server.asked} == {"/api/2.0/mlflow/runs/get?run_id=a+b"}
    assert len(server.asked) == 4


def test_a_server_that_breaks_at_a_call_is_not_asked_for_a_minute(server: Server) -> None:
    server.answers = [(500, {}, b'{"error_code": "INTERNAL_ERROR", "message": "no"}')] * 9
    calls = Rest(server.url)
    with pytest.raises(RestError, match="answered 500: no"):
        calls.get("runs/get")
    calls.close()
    assert len(server.asked) == rest.BROKEN_ATTEMPTS


def test_a_create_without_an_answer_is_not_made_twice(server: Server) -> None:
    server.answers = [(0, {}, b"")] * 9
    calls = Rest(server.url)
    with pytest.raises(RestError) as told:
        calls.create("runs/create", {})
    calls.close()
    assert told.value.away
    assert len(server.asked) == 1


def test_a_refusal_is_told_with_its_words(server: Server) -> None:
    said = {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "no such run"}
    server.answers = [(404, {}, json.dumps(said).encode()), (401, {}, b"who?")]
    calls = Rest(server.url)
    with pytest.raises(RestError, match="no such run") as told:
        calls.get("runs/get")
    assert (told.value.status, told.value.mlflow_code) == (404, "RESOURCE_DOES_NOT_EXIST")
    assert not told.value.away
    with pytest.raises(RestError, match="MLFLOW_TRACKING_TOKEN") as told:
        calls.get("runs/get")
    assert told.value.away
    calls.close()


@pytest.mark.parametrize(
    ("environment", "userinfo", "said"),
    [
        ({rest.USERNAME: "me", rest.PASSWORD: "pw"}, "", "Basic bWU6cHc="),
        ({rest.TOKEN: "abc"}, "", "Bearer abc"),
        ({rest.TOKEN: "abc"}, "me:pw@", "Basic bWU6cHc="),
        ({}, "", None),
    ],
)
def test_who_one_is_as_mlflow_reads_it(
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
    environment: dict[str, str],
    userinfo: str,
    said: str | None,
) -> None:
    assert base64.b64decode("bWU6cHc=") == b"me:pw"
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    server.answers = [(200, {}, b"{}")]
    calls = Rest(server.url.replace("://", f"://{userinfo}"))
    calls.get("x")
    calls.close()
    assert server.asked[0][2].get("Authorization") == said
    assert "pw" not in calls.where


def test_what_is_no_tracking_server_is_told(server: Server) -> None:
    server.answers = [(200, {}, b"<html>")]
    calls = Rest(server.url)
    with pytest.raises(RestError, match="is it a tracking server"):
        calls.get("x")
    calls.close()
    with pytest.raises(SourceUnreadable, match="no URL"):
        Rest("ftp://host")


def test_pages_follow_one_another(server: Server) -> None:
    server.answers = [
        (200, {}, b'{"runs": [1, 2], "next_page_token": "t"}'),
        (200, {}, b"{}"),
    ]
    calls = Rest(server.url)
    assert list(calls.pages("POST", "runs/search", "runs", {"max_results": 2})) == [1, 2]
    calls.close()
    assert [json.loads(each[3]) for each in server.asked] == [
        {"max_results": 2},
        {"max_results": 2, "page_token": "t"},
    ]


def test_a_file_that_comes_short_is_fetched_again(server: Server, tmp_path: Path) -> None:
    server.answers = [
        (200, {"Content-Length": "9", "Connection": "close"}, b"abc"),
        (200, {}, b"abcdefghi"),
    ]
    calls = Rest(server.url)
    calls.fetch("/file", tmp_path / "file")
    calls.close()
    assert (tmp_path / "file").read_bytes() == b"abcdefghi"


def test_a_server_that_gives_one_page_for_ever_is_left(server: Server) -> None:
    page = (200, {}, b'{"runs": [{"id": 1}], "next_page_token": "a"}')
    server.answers = [page] * 9
    calls = Rest(server.url)
    with pytest.raises(RestError, match="the same page again"):
        list(calls.pages("GET", "runs/list", "runs", {}))
    calls.close()
    assert len(server.asked) == 2


def test_a_delay_that_is_no_number_is_none(server: Server) -> None:
    server.answers = [(503, {"Retry-After": "\xb2"}, b""), (200, {}, b"{}")]
    calls = Rest(server.url)
    assert calls.get("runs/get") == {}
    calls.close()
