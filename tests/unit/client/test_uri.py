"""Where the services are: every form of a tracking URI, and every way to get one wrong."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from runstone import _settings, _uri
from runstone._uri import Embedded, Remote
from runstone.exceptions import InvalidArgument, InvalidUri


def test_nothing_is_the_embedded_suite_of_the_working_folder(tmp_path: Path) -> None:
    targets = _uri.resolve()
    assert targets.tracking == targets.artifact == targets.registry
    assert targets.tracking == Embedded(tmp_path / "runstone-data")


@pytest.mark.parametrize(
    ("uri", "target"),
    [
        ("runstone://host", Remote("host", 5051)),
        ("runstone://host/", Remote("host", 5051)),
        ("runstone://host:80", Remote("host", 80)),
        ("runstones://host:443", Remote("host", 443, tls=True)),
        ("RUNSTONE://host:1", Remote("host", 1)),
        ("runstone://10.0.0.1:7", Remote("10.0.0.1", 7)),
        ("runstone://[::1]:7", Remote("::1", 7)),
        ("file:/data/x", Embedded(Path("/data/x"))),
        ("file:///data/x", Embedded(Path("/data/x"))),
        ("file://localhost/data/x", Embedded(Path("/data/x"))),
        ("file:///data/a%20b", Embedded(Path("/data/a b"))),
        ("/data/x", Embedded(Path("/data/x"))),
    ],
)
def test_forms(uri: str, target: _uri.Target) -> None:
    assert _uri.resolve(uri).tracking == target
    assert _uri.resolve(str(target)).tracking == target


@pytest.mark.parametrize("uri", ["file:some/where", "file:./some/where", "./some/where"])
def test_relative_folders(uri: str, tmp_path: Path) -> None:
    assert _uri.resolve(uri).tracking == Embedded(tmp_path / "some/where")


def test_a_relative_folder_of_the_environment_is_resolved_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    default = _uri.resolve().tracking
    monkeypatch.setenv("RUNSTONE_TRACKING_URI", "file:there")
    named = _uri.resolve().tracking
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    assert _uri.resolve().tracking == named == Embedded(tmp_path / "there")
    assert _uri.resolve("file:there").tracking == Embedded(elsewhere / "there")
    monkeypatch.delenv("RUNSTONE_TRACKING_URI")
    assert _uri.resolve().tracking == default


def test_addresses_are_as_grpc_wants_them() -> None:
    assert Remote("::1", 7).address == "[::1]:7"
    assert Remote("host", 7).address == "host:7"


def test_services_behind_other_addresses() -> None:
    targets = _uri.resolve("runstones://a?artifact=:6000&registry=b:7000")
    assert targets.tracking == Remote("a", 5051, tls=True)
    assert targets.artifact == Remote("a", 6000, tls=True)
    assert targets.registry == Remote("b", 7000, tls=True)


@pytest.mark.parametrize(
    "uri",
    [
        "http://host:5000",
        "https://host",
        "sqlite:///x.db",
        "host:5051",
        "mlruns",
        "runstone:",
        "runstone://",
        "runstone://:5051",
        "runstone://host:0",
        "runstone://host:99999",
        "runstone://host:port",
        "runstone://host/path",
        "runstone://user:secret@host",
        "runstone://host#x",
        "runstone://ho st",
        "runstone://host?artifact",
        "runstone://host?gateway=x:1",
        "runstone://host?artifact=x:y",
        "runstone://[::1",
        "file:",
        "file://other-machine/x",
        "file:a%00b",
    ],
)
def test_what_cannot_be_read(uri: str) -> None:
    with pytest.raises(InvalidUri, match=r"cannot read the URI .*runstone://host:port"):
        _uri.resolve(uri)


def test_argument_beats_environment_beats_default(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("RUNSTONE_DATA_DIR", str(tmp_path / "there"))
    assert _uri.resolve().tracking == Embedded(tmp_path / "there")
    monkeypatch.setenv("RUNSTONE_TRACKING_URI", "runstone://env:1")
    monkeypatch.setenv("RUNSTONE_REGISTRY_URI", "runstone://registry:2")
    monkeypatch.setenv("RUNSTONE_ARTIFACT_URI", "runstone://artifact:3")
    found = _uri.resolve()
    assert [found.tracking, found.registry, found.artifact] == [
        Remote("env", 1),
        Remote("registry", 2),
        Remote("artifact", 3),
    ]
    found = _uri.resolve("runstone://arg:1", "runstone://a:2", "runstone://r:3")
    assert [found.tracking, found.artifact, found.registry] == [
        Remote("arg", 1),
        Remote("a", 2),
        Remote("r", 3),
    ]


def test_timeouts(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _settings.timeout() is None
    monkeypatch.setenv("RUNSTONE_TIMEOUT", "2.5")
    assert _settings.timeout() == 2.5
    assert _settings.timeout(7) == 7
    for bad in ("soon", "0", "-1", "inf", "nan"):
        monkeypatch.setenv("RUNSTONE_TIMEOUT", bad)
        with pytest.raises(InvalidArgument, match="RUNSTONE_TIMEOUT"):
            _settings.timeout()


def test_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNSTONE_USER", "ada")
    assert _settings.user() == "ada"
    assert _settings.user("grace") == "grace"
    monkeypatch.delenv("RUNSTONE_USER")
    monkeypatch.setenv("LOGNAME", "login")
    assert _settings.user() == "login"


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("localhost:5051", "is it runstone://localhost:5051 that is meant?"),
        ("tracking.example", "is it runstone://tracking.example that is meant?"),
        ("http://localhost:5000", "speaks gRPC, not the HTTP of MLflow's servers"),
        ("runs", "there is no scheme"),
        ("s3://bucket", "unknown scheme 's3'"),
    ],
)
def test_the_message_says_what_may_be_meant(uri: str, said: str) -> None:
    with pytest.raises(InvalidUri, match=re.escape(said)):
        _uri.parse(uri)
