"""Looks at the registry now and then: when an alias or a stage moves, the server moves too."""

from __future__ import annotations

import threading
import time

from runstone._serving.engine import Engine, log

RETRY_S = 60.0
"""Before a version that could not be loaded is tried again: its files may come later."""


class Follower:
    """Loads what the URI names, beside what is served, whenever that is another version."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._stop = threading.Event()
        self._failed: tuple[str, float] | None = None
        self._reachable = True
        self._thread = threading.Thread(target=self._run, name="following", daemon=True)

    def start(self) -> None:
        """Look from now on, if the URI can name another version at all."""
        if self._engine.follows and self._engine.settings.reload_s > 0:
            self._thread.start()

    def stop(self) -> None:
        """Look no more; returns when no load is in progress."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def look(self) -> bool:
        """Look once; whether another version is served now."""
        engine = self._engine
        uri = engine.settings.model_uri
        try:
            version = engine.named_version()
        except Exception as error:
            if self._reachable:
                log.warning("what %s names cannot be found out: %s", uri, error)
            self._reachable = False
            return False
        self._reachable = True
        if version == engine.version or self._failed_lately(version):
            return False
        before = engine.version
        try:
            engine.load(version)
        except Exception as error:
            self._failed = (version, time.monotonic())
            engine.meters.reloaded("failed")
            log.error(
                "version %s of %s cannot be loaded, version %s goes on: %s",
                *(version, uri, before, error),
            )
            return False
        self._failed = None
        engine.meters.reloaded("loaded")
        log.info("%s is version %s now, %s before", uri, version, before)
        return True

    def _failed_lately(self, version: str) -> bool:
        if self._failed is None or self._failed[0] != version:
            return False
        return time.monotonic() < self._failed[1] + RETRY_S

    def _run(self) -> None:
        while not self._stop.wait(self._engine.settings.reload_s):
            self.look()
