"""A model that was loaded to predict, whatever framework made it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runstone._flavors.python_model import Loaded
from runstone._models import example
from runstone._models.flavor import Predictor, Streamer
from runstone.exceptions import InvalidArgument

if TYPE_CHECKING:
    from runstone._models.model import Model


class PyFuncModel:
    """A model behind ``predict``: what it is given is checked against its signature.

    Attributes:
        metadata: What its MLmodel file says.
    """

    def __init__(
        self,
        metadata: Model,
        predictor: Predictor,
        implementation: Any,
        stream: Streamer | None = None,
        *,
        folder: Path,
    ) -> None:
        self.metadata = metadata
        self._predictor = predictor
        self._implementation = implementation
        self._stream = stream
        self._folder = folder

    def __repr__(self) -> str:
        return f"PyFuncModel(flavors={sorted(self.metadata.flavors)}, model_id={self.model_id!r})"

    @property
    def model_id(self) -> str | None:
        """The logged model; None of one that was not logged."""
        return self.metadata.model_id

    @property
    def input_example(self) -> Any:
        """The input example as it was given, read from the model's files; None without one.

        Parameters come with it as a tuple's second.
        """
        return example.load(self._folder, self.metadata.saved_input_example_info)

    @property
    def input_schema(self) -> Any:
        """The Schema of what it takes; None when nobody said."""
        return self.metadata.get_input_schema()

    def predict(self, data: Any, params: Mapping[str, Any] | None = None) -> Any:
        """Predictions for some data.

        Args:
            data: A DataFrame, array, dict, list or scalar; with a signature, what that says, or
                what can become it without loss.
            params: Parameters of this prediction; those that the signature knows.

        Raises:
            SchemaMismatch: data or parameters are not what the signature says.
        """
        return self._predictor(*self._checked(data, params))

    __call__ = predict

    def predict_stream(self, data: Any, params: Mapping[str, Any] | None = None) -> Iterator[Any]:
        """Predictions for some data, piece by piece, as the model makes them.

        Raises:
            InvalidArgument: the model gives only whole answers.
            SchemaMismatch
        """
        if self._stream is None:
            raise InvalidArgument("the model has no predict_stream; use predict")
        yield from self._stream(*self._checked(data, params))

    def get_raw_model(self) -> Any:
        """The model as its own framework has it; a PythonModel as it was logged."""
        loaded = self._implementation
        return loaded.python_model if isinstance(loaded, Loaded) else loaded

    def unwrap_python_model(self) -> Any:
        """The PythonModel that was logged.

        Raises:
            InvalidArgument: it is a framework's model; see ``get_raw_model``.
        """
        if not isinstance(self._implementation, Loaded):
            raise InvalidArgument(
                f"it is no PythonModel but a {type(self._implementation).__name__}:"
                " get_raw_model() gives it"
            )
        return self._implementation.python_model

    def __reduce__(self) -> Any:
        raise TypeError(
            "a PyFuncModel cannot be pickled: its files stay where they are;"
            " pass its URI, and load it there"
        )

    def _checked(self, data: Any, params: Mapping[str, Any] | None) -> tuple[Any, dict[str, Any]]:
        from runstone._schema.enforce import enforce_inputs, enforce_params

        signature = self.metadata.signature
        if signature is None:
            return data, dict(params or {})
        # Of a signature from type hints, the hints themselves are obeyed: see `_flavors.hinted`.
        hinted = signature.is_signature_from_type_hint
        if signature.inputs is not None and not hinted:
            data = enforce_inputs(data, signature.inputs)
        params = dict(params) if isinstance(params, Mapping) else params
        return data, enforce_params(params, signature.params)
