"""Which token goes to which server, and which goes nowhere."""

from pathlib import Path

import pytest

from runstone import _credentials
from runstone._uri import Embedded, Remote
from runstone.exceptions import InvalidArgument

LOCAL = Remote("127.0.0.1", 5051)
FAR = Remote("runs.example.com", 5051)
FAR_TLS = Remote("runs.example.com", 5051, tls=True)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("TRACKING_TOKEN", "TRACKING_TOKEN_FILE", "ALLOW_PLAIN_TOKEN"):
        monkeypatch.delenv(f"RUNSTONE_{name}", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    return tmp_path


def test_without_one_nothing_is_sent() -> None:
    assert _credentials.metadata(FAR) == ()
    assert _credentials.metadata(Embedded(Path("/data"))) == ()


def test_the_environment_beats_what_was_kept(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _credentials.keep(LOCAL.address, "kept")
    assert _credentials.metadata(LOCAL) == (("authorization", "Bearer kept"),)
    (home / "token").write_text("of-a-file\n", "utf-8")
    monkeypatch.setenv("RUNSTONE_TRACKING_TOKEN_FILE", str(home / "token"))
    assert _credentials.token_for(LOCAL) == "of-a-file"
    monkeypatch.setenv("RUNSTONE_TRACKING_TOKEN", "said")
    assert _credentials.token_for(LOCAL) == "said"
    assert _credentials.token_for(Embedded(home)) == ""


def test_a_kept_token_goes_to_its_server_alone_and_only_the_owner_reads_it() -> None:
    _credentials.keep(FAR.address, "of-far")
    _credentials.keep(LOCAL.address, "of-local")
    assert _credentials.token_for(FAR_TLS) == "of-far"
    assert _credentials.token_for(LOCAL) == "of-local"
    assert _credentials.token_for(Remote("127.0.0.1", 5052)) == ""
    assert _credentials.place().stat().st_mode & 0o777 == 0o600
    assert _credentials.drop(FAR.address)
    assert not _credentials.drop(FAR.address)
    assert _credentials.token_for(FAR_TLS) == ""


def test_who_is_not_known_is_told_what_to_change(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "runstone auth login" in _credentials.advice(LOCAL)
    _credentials.keep(LOCAL.address, "kept")
    assert str(_credentials.place()) in _credentials.advice(LOCAL)
    (home / "token").write_text("of-a-file\n", "utf-8")
    monkeypatch.setenv("RUNSTONE_TRACKING_TOKEN_FILE", str(home / "token"))
    assert "RUNSTONE_TRACKING_TOKEN_FILE" in _credentials.advice(LOCAL)
    # Logging in would change nothing.
    assert "auth login" not in _credentials.advice(LOCAL)


def test_none_goes_plain_over_a_network_unless_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNSTONE_TRACKING_TOKEN", "secret")
    with pytest.raises(InvalidArgument, match=r"runstones://runs\.example\.com:5051") as caught:
        _credentials.token_for(FAR)
    assert "secret" not in str(caught.value)
    assert _credentials.token_for(FAR_TLS) == "secret"
    monkeypatch.setenv("RUNSTONE_ALLOW_PLAIN_TOKEN", "true")
    assert _credentials.token_for(FAR) == "secret"


@pytest.mark.parametrize(
    "host", ["127.attacker.example", "127.0.0.1.example.com", "localhost.example.com", "128.0.0.1"]
)
def test_a_name_that_looks_like_this_machine_is_a_strangers(
    monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    monkeypatch.setenv("RUNSTONE_TRACKING_TOKEN", "secret")
    with pytest.raises(InvalidArgument, match="runstones://"):
        _credentials.token_for(Remote(host, 5051))
    for near in ("localhost", "127.0.0.1", "127.8.9.1", "::1"):
        assert _credentials.token_for(Remote(near, 5051)) == "secret"


def test_the_environments_token_is_not_for_every_server(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNSTONE_TRACKING_TOKEN", "said")
    monkeypatch.setenv("RUNSTONE_TRACKING_TOKEN_FILE", str(home / "none"))
    assert _credentials.metadata(LOCAL, ambient=False) == ()
    _credentials.keep(LOCAL.address, "kept")
    assert _credentials.token_for(LOCAL, ambient=False) == "kept"
    assert _credentials.token_for(LOCAL) == "said"


def test_who_has_no_home_has_no_token_and_is_told_when_one_is_to_be_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.setattr(Path, "home", homeless)
    assert _credentials.metadata(FAR) == ()
    assert not _credentials.drop(FAR.address)
    with pytest.raises(InvalidArgument, match="set XDG_CONFIG_HOME"):
        _credentials.keep(FAR.address, "token")


@pytest.mark.parametrize("token", ["two words", "line\nbreak", "jot\u00e1"])
def test_what_is_no_token_is_told(monkeypatch: pytest.MonkeyPatch, token: str) -> None:
    monkeypatch.setenv("RUNSTONE_TRACKING_TOKEN", token)
    with pytest.raises(InvalidArgument, match="RUNSTONE_TRACKING_TOKEN holds no token"):
        _credentials.token_for(LOCAL)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"a": 1}', '{"a": {"token": 1}}', '{"a": {}}'])
def test_a_damaged_file_is_told(home: Path, text: str) -> None:
    (home / "runstone").mkdir()
    (home / "runstone" / "credentials.json").write_text(text, "utf-8")
    with pytest.raises(InvalidArgument, match="log in again"):
        _credentials.token_for(LOCAL)


def test_a_file_that_cannot_be_read_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNSTONE_TRACKING_TOKEN_FILE", "/nowhere/token")
    with pytest.raises(InvalidArgument, match="RUNSTONE_TRACKING_TOKEN_FILE: /nowhere/token"):
        _credentials.token_for(LOCAL)
