"""The model that is served now: loaded, asked, and replaced by another while requests run."""

from __future__ import annotations

import logging
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runstone._fluent import _state
from runstone._modeluri import ModelUri, parse_artifact_uri
from runstone._serving import parsing, rendering
from runstone._serving.refusals import failed, mismatch, unavailable
from runstone._serving.settings import Settings
from runstone.exceptions import InvalidArgument

if TYPE_CHECKING:
    from runstone._pyfunc.model import PyFuncModel

log = logging.getLogger("runstone.serving")

LOADING, SERVING, STOPPING = "loading", "serving", "stopping"


@dataclass(slots=True)
class Loaded:
    """One version of the model, ready to predict.

    Attributes:
        version: Its number in the registry; "1" of a model that is in none.
        folder: A temporary folder with its files, removed when nobody uses it any more.
    """

    model: PyFuncModel
    version: str
    folder: Path | None = None
    taken: parsing.Taken = field(default_factory=parsing.Taken)
    users: int = 0
    replaced: bool = False


class Engine:
    """Answers by the model that is loaded now.

    A request uses the version that it began with to its end; that which was replaced goes when
    its last request is answered.
    """

    def __init__(self, settings: Settings, meters: Any) -> None:
        self.settings = settings
        self.meters = meters
        self.state = LOADING
        self._current: Loaded | None = None
        self._lock = threading.Lock()

    @property
    def name(self) -> str:
        """The model's name in the Open Inference Protocol."""
        if self.settings.name:
            return self.settings.name
        named = parse_artifact_uri(self.settings.model_uri)
        if isinstance(named, ModelUri):
            return named.name
        return self.settings.model_uri.rstrip("/").rpartition("/")[2] or "model"

    @property
    def version(self) -> str | None:
        """The version that is served; None while there is none."""
        return self._current.version if self._current else None

    @property
    def follows(self) -> bool:
        """Whether the URI may name another version later."""
        named = parse_artifact_uri(self.settings.model_uri)
        return isinstance(named, ModelUri) and not named.selector.isdigit()

    def named_version(self) -> str:
        """The version that the URI names now; asks the registry.

        Raises:
            What ``Client.resolve_model_uri`` raises.
        """
        if not isinstance(parse_artifact_uri(self.settings.model_uri), ModelUri):
            return "1"
        return str(_state.client().resolve_model_uri(self.settings.model_uri).version)

    def load(self, version: str | None = None) -> None:
        """Load a version (that which the URI names), and serve it from now on.

        Raises:
            What ``runstone.pyfunc.load_model`` raises; what was served before still is.
        """
        from runstone._pyfunc import loading

        version = version or self.named_version()
        uri = self.settings.model_uri
        named = parse_artifact_uri(uri)
        folder = None
        if named is not None:
            folder = Path(tempfile.mkdtemp(prefix="runstone-serving-"))
        if isinstance(named, ModelUri):
            uri = f"models:/{named.name}/{version}" + (f"/{named.path}" if named.path else "")
        try:
            model = loading.load(uri, folder, None, self.settings.allow_pickle, quiet=False)
        except BaseException:
            _remove(folder)
            raise
        loaded = Loaded(model, version, folder, parsing.taken_by(model.metadata))
        with self._lock:
            before, self._current = self._current, loaded
            if before is not None:
                before.replaced = True
                unused = before.users == 0
            if self.state == LOADING:
                self.state = SERVING
        if before is not None and unused:
            _remove(before.folder)

    def stop(self) -> None:
        """Take no more requests. Those in progress go on."""
        self.state = STOPPING

    def close(self) -> None:
        """Remove the files of the model, when no request is left."""
        with self._lock:
            current, self._current = self._current, None
        if current is not None:
            _remove(current.folder)

    def check_serving(self) -> None:
        """Raises Refusal unless requests are taken."""
        if self.state != SERVING:
            raise unavailable(f"the model is {self.state}")

    @contextmanager
    def using(self) -> Iterator[Loaded]:
        """The version that is served now, kept until the end of the ``with``. Raises Refusal."""
        with self._lock:
            found = self._current
            if found is None:
                raise unavailable(f"the model is {self.state}")
            found.users += 1
        try:
            yield found
        finally:
            with self._lock:
                found.users -= 1
                last = found.replaced and found.users == 0
            if last:
                _remove(found.folder)

    def answer(self, body: bytes, content_type: str) -> bytes:
        """The body of an answer to a body of MLflow's protocol. Raises Refusal."""
        with self.using() as loaded:
            query = parsing.read(body, content_type, loaded.taken)
            found = self.predict(loaded, query.data, query.params)
        return rendering.predictions(found, whole=query.whole)

    def predict(self, loaded: Loaded, data: Any, params: dict[str, Any] | None = None) -> Any:
        """The model's predictions. Raises Refusal: the caller's data, or the model, is at fault."""
        try:
            found = loaded.model.predict(data, params)
        except InvalidArgument as error:
            raise mismatch(error.message) from None
        except Exception as error:
            refusal = failed(error)
            level = logging.ERROR if refusal.status >= 500 else logging.INFO
            log.log(level, "%s failed on a request", self.settings.model_uri, exc_info=error)
            raise refusal from error
        self.meters.predicted(rows_of(data))
        return found


def rows_of(data: Any) -> int:
    """How many rows some data has; 1 when it has no length."""
    if isinstance(data, dict):
        return max(map(rows_of, data.values()), default=1)
    shape = getattr(data, "shape", None)
    if shape is not None:
        return int(shape[0]) if shape else 1
    return len(data) if isinstance(data, list) else 1


def _remove(folder: Path | None) -> None:
    if folder is not None:
        shutil.rmtree(folder, ignore_errors=True)
