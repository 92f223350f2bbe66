"""Being told when a library is imported, now or later, without importing it."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import sys
import threading
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

_lock = threading.Lock()
_waiting: dict[str, list[Callable[[], None]]] = {}


def when_imported(module: str, call: Callable[[], None]) -> None:
    """Call when the module is there: at once when it is imported already, else after its import."""
    with _lock:
        if not _is_there(module):
            _waiting.setdefault(module, []).append(call)
            if _finder not in sys.meta_path:
                sys.meta_path.insert(0, _finder)
            return
    call()


def _is_there(module: str) -> bool:
    found = sys.modules.get(module)
    # One that is in the middle of its import lacks what is to be patched.
    return found is not None and not getattr(
        getattr(found, "__spec__", None), "_initializing", False
    )


class _Finder(importlib.abc.MetaPathFinder):
    """Finds nothing itself: it has whoever finds a module that is waited for tell of its end."""

    def __init__(self) -> None:
        self._busy = threading.local()

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname not in _waiting or getattr(self._busy, "name", None) == fullname:
            return None
        self._busy.name = fullname
        try:
            spec = importlib.util.find_spec(fullname)
        finally:
            self._busy.name = None
        if spec is None or spec.loader is None:
            return spec
        spec.loader = _Teller(spec.loader)
        return spec


class _Teller(importlib.abc.Loader):
    """A loader that tells when it is done."""

    def __init__(self, loader: Any) -> None:
        self._loader = loader

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        made: ModuleType | None = self._loader.create_module(spec)
        return made

    def exec_module(self, module: ModuleType) -> None:
        # The module is to find its own loader, as if nobody had come between.
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        self._loader.exec_module(module)
        with _lock:
            calls = _waiting.pop(module.__name__, [])
        for call in calls:
            call()


_finder = _Finder()
