"""Who starts workers, and when it gives up; the processes are stand-ins."""

from typing import Any

import pytest

from runstone._serving import supervising
from runstone._serving.settings import Settings
from runstone._serving.worker import EXIT_CANNOT_START, bind


class Clock:
    """Tells the time that a test says."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


class Process:
    """One that ends when a test says so."""

    def __init__(self, command: list[str], **options: Any) -> None:
        self.command = command
        self.options = options
        self.pid = 1
        self.code: int | None = None

    def poll(self) -> int | None:
        return self.code


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(supervising, "time", made)
    monkeypatch.setattr(supervising.subprocess, "Popen", Process)
    return made


@pytest.fixture
def signals(monkeypatch: pytest.MonkeyPatch) -> None:
    """Signals of the tests stay as they are."""
    monkeypatch.setattr(supervising.signal, "signal", lambda *_: None)


def tend(place: Any) -> Any:
    supervising._tend(place, Settings("model"), ["python"], 7, "figures")
    return place.process


def test_a_worker_gets_its_settings_and_the_pipe(clock: Clock) -> None:
    process = tend(supervising._Place())
    assert process.command[:3] == ["python", "-m", "runstone._serving"]
    assert Settings.from_json(process.command[3]) == Settings("model")
    assert process.command[4:] == ["--parent", "7"]
    assert process.options["pass_fds"] == [7]
    assert process.options["env"]["PROMETHEUS_MULTIPROC_DIR"] == "figures"


def test_one_that_died_is_replaced_but_not_at_once(clock: Clock) -> None:
    place = supervising._Place()
    first = tend(place)
    assert tend(place) is first
    first.code = -9
    assert tend(place) is first
    clock.now += supervising.RESTART_S
    second = tend(place)
    assert second is not first
    assert not place.failed


def test_one_that_could_not_start_is_tried_again_while_others_serve(clock: Clock) -> None:
    place = supervising._Place()
    first = tend(place)
    first.code = EXIT_CANNOT_START
    clock.now += supervising.RESTART_S
    assert tend(place) is first
    assert place.failed
    clock.now += supervising.RETRY_S
    second = tend(place)
    assert second is not first
    # It may be about to fail in the same way.
    assert place.failed
    clock.now += supervising.SETTLED_S
    assert tend(place) is second
    assert not place.failed


def test_when_none_can_start_it_ends(
    clock: Clock, signals: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Process] = []

    def start(command: list[str], **options: Any) -> Process:
        process = Process(command, **options)
        process.code = EXIT_CANNOT_START
        made.append(process)
        return process

    monkeypatch.setattr(supervising.subprocess, "Popen", start)
    assert supervising.supervise(Settings("model", port=0, workers=3)) == EXIT_CANNOT_START
    assert len(made) == 3
    ports = {Settings.from_json(each.command[3]).port for each in made}
    assert len(ports) == 1
    assert 0 not in ports


def test_a_port_that_is_taken_is_named(signals: None) -> None:
    with bind("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(
            OSError, match=f"nothing can listen on 127.0.0.1:{port}: Address.*--port"
        ):
            supervising.supervise(Settings("model", port=port, workers=2))
