"""What a framework must tell, for its models to be saved, found, loaded and served.

A flavor is a subclass of ``Flavor`` in a module of its own. Ours are listed in
``_flavors.registry``; others come as entry points of the group ``runstone.flavors``:
name = "package.module:Class".
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

Predictor = Callable[[Any, Mapping[str, Any]], Any]
"""Takes data and parameters; gives predictions. What ``pyfunc`` calls."""

Streamer = Callable[[Any, Mapping[str, Any]], Iterator[Any]]
"""Takes data and parameters; gives the pieces of a prediction."""


@dataclass(frozen=True, slots=True)
class Written:
    """What ``write`` put into the folder.

    Attributes:
        configuration: What the MLmodel file says under the flavor's name.
        path: The file or folder that the model is in, from the model's folder on: what MLflow's
            ``python_function`` hands to its loader. None where that is the folder itself.
        distributions: What loading needs installed, besides the flavor's own ``distributions``.
        python_function: More keys for MLmodel's ``python_function``; None when the model cannot
            predict by it.
    """

    configuration: Mapping[str, Any]
    path: str | None = None
    distributions: Sequence[str] = ()
    python_function: Mapping[str, Any] | None = field(default_factory=dict)


class Flavor(ABC):
    """A framework's way to keep a model in files.

    Attributes:
        name: Its key among MLmodel's flavors, and the public module: ``runstone.<name>``.
        loader_module: What MLmodel names for it: MLflow's module of the same framework, so that
            MLflow loads what is saved here; ``runstone.<name>`` for a flavor MLflow lacks.
        other_loaders: What else MLmodel names where this flavor loads the model.
        distributions: What a model of this flavor needs installed, as pip names it.
    """

    name: ClassVar[str]
    loader_module: ClassVar[str]
    other_loaders: ClassVar[tuple[str, ...]] = ()
    distributions: ClassVar[tuple[str, ...]]

    @abstractmethod
    def write(self, model: Any, folder: Path, *_: Any, **options: Any) -> Written:
        """Put the model into the folder, which is empty. Raises InvalidArgument for a wrong one.

        Options are keyword arguments, each flavor's own.
        """

    @abstractmethod
    def read(self, folder: Path, configuration: Mapping[str, Any], **options: Any) -> Any:
        """The model again, from what ``write`` left. Trust was asked for before.

        Paths in ``configuration`` are not to be trusted: see ``_models.paths.inside``.
        """

    def runtime(self, folder: Path, configuration: Mapping[str, Any], **options: Any) -> Any:
        """What ``predictor`` is to be given of a saved model: the model as ``read`` makes it.

        Another thing for a framework that predicts by something else than what it saves.
        """
        return self.read(folder, configuration, **options)

    @abstractmethod
    def unsafe(self, folder: Path, configuration: Mapping[str, Any]) -> str | None:
        """How reading would run code of the model's author, such as "a pickle (model.pkl)".

        None where it cannot. When in doubt it can.
        """

    @abstractmethod
    def predictor(self, model: Any, configuration: Mapping[str, Any]) -> Predictor:
        """How the model predicts, for ``pyfunc``; ``configuration`` is that of python_function.

        Raises:
            InvalidArgument: it cannot.
        """

    def streamer(self, model: Any, configuration: Mapping[str, Any]) -> Streamer | None:
        """How the model predicts piece by piece; None when it gives only whole answers."""
        return None

    def owns(self, model: Any) -> bool:
        """Whether this framework made the object: for ``runstone.models`` to choose a flavor."""
        return False
