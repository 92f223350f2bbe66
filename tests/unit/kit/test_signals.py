"""Signals that end a server, at the worst of instants."""

import os
import signal
import threading

from runstone_kit.signals import ending


def test_a_signal_that_meets_the_lock_of_its_event_sets_it() -> None:
    event = threading.Event()
    with ending(event):
        # As in the middle of ``event.wait()``: this thread holds the lock when the handler runs.
        with event._cond:
            os.kill(os.getpid(), signal.SIGTERM)
        assert event.wait(10)


def test_each_signal_sets_the_next_event() -> None:
    first, second = threading.Event(), threading.Event()
    with ending(first, second), first._cond:
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGINT)
        assert second.wait(10)
    assert first.wait(10)


def test_an_event_that_is_set_already_is_passed_over() -> None:
    first, second = threading.Event(), threading.Event()
    first.set()
    with ending(first, second):
        os.kill(os.getpid(), signal.SIGINT)
        assert second.wait(10)
        # One too many changes nothing.
        os.kill(os.getpid(), signal.SIGINT)


def test_the_handlers_of_before_come_back() -> None:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    with ending(threading.Event()):
        assert signal.getsignal(signal.SIGTERM) is not before[signal.SIGTERM]
    assert {number: signal.getsignal(number) for number in before} == before
