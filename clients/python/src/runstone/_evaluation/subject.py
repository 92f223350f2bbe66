"""What is judged: a function, a fitted object, a model of pyfunc, or answers that stand in data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from runstone._evaluation.examples import Examples
from runstone._values import invalid
from runstone.exceptions import UntrustedModel

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

RAW = ("mlflow.sklearn", "mlflow.xgboost", "mlflow.catboost")
"""Loaders of models whose own object is asked, for it knows probabilities and no schema."""


@dataclass(frozen=True)
class Subject:
    """How a model is asked.

    Attributes:
        predict: Features to answers; None when the answers stand in the data.
        probabilities: Features to the probability of each class; None when it knows none.
        score: Features, targets and weights to scikit-learn's score; None when it has none.
        classes: The classes of the probabilities' columns; None when it does not say.
        raw: The fitted object, for explanations; None when there is none.
        model_id: The logged model's id.
        wants_array: Whether it was fitted on arrays, and so complains of names.
        signed: Whether it was saved with a signature.
    """

    predict: Callable[[Any], Any] | None = None
    probabilities: Callable[[Any], Any] | None = None
    score: Callable[..., Any] | None = None
    classes: Any = None
    raw: Any = None
    model_id: str | None = None
    wants_array: bool = False
    signed: bool = False


@dataclass(frozen=True)
class Answers:
    """What a model said of each row.

    Attributes:
        predictions: One for each row.
        others: Further columns of its output; None when there are none.
        column: The name of the predictions in its output; None when they have none.
    """

    predictions: pd.Series[Any]
    others: pd.DataFrame | None = None
    column: str | None = None


def subject(
    model: Any, env_manager: str, model_config: Mapping[str, Any] | None, model_id: str | None
) -> Subject:
    """How to ask what the caller gave as a model.

    Raises:
        InvalidArgument: it is none, or an argument does not go with it.
    """
    if env_manager != "local":
        raise invalid(
            "env_manager", f"must be 'local': the model runs in this process, not {env_manager!r}"
        )
    if model_config and not isinstance(model, str):
        raise invalid("model_config", "goes with a model's URI; give it when you load the model")
    if isinstance(model, str):
        if model.startswith(("endpoints:", "apps:")):
            raise invalid("model", "must be a model's URI; endpoints cannot be evaluated")
        from runstone._pyfunc.loading import load

        try:
            model = load(model, model_config=dict(model_config) if model_config else None)
        except UntrustedModel as error:
            raise UntrustedModel(
                f"{error.message}. Here: evaluate takes the loaded model, too:"
                " runstone.pyfunc.load_model(uri, allow_pickle=True)"
            ) from None
    found = _subject(model)
    if model_id is not None and found.model_id not in {None, model_id}:
        raise invalid("model_id", f"is {model_id}, and the model's own is {found.model_id}")
    return found


def _subject(model: Any) -> Subject:
    if model is None:
        return Subject()
    flavors = getattr(getattr(model, "metadata", None), "flavors", None)
    if isinstance(flavors, Mapping):
        loader = str(flavors.get("python_function", {}).get("loader_module", ""))
        signed = getattr(model.metadata, "signature", None) is not None
        return replace(_of_pyfunc(model, loader), signed=signed)
    if callable(getattr(model, "predict", None)):
        return _of_object(model, model.predict, scored=True)
    if callable(model):
        return Subject(predict=model)
    raise invalid(
        "model",
        "must be a function, an object with predict, a model's URI or None, not"
        f" {type(model).__name__}",
    )


def _of_pyfunc(model: Any, loader: str) -> Subject:
    model_id = getattr(model, "model_id", None)
    raw = model.get_raw_model() if loader in RAW and hasattr(model, "get_raw_model") else None
    # XGBoost's Booster takes its own matrices only, which the wrapper makes.
    if raw is None or not callable(getattr(raw, "predict", None)) or _is_booster(raw):
        return Subject(predict=model.predict, raw=raw, model_id=model_id)
    return _of_object(raw, raw.predict, scored=loader == "mlflow.sklearn", model_id=model_id)


def _is_booster(raw: Any) -> bool:
    return type(raw).__name__ == "Booster"


def _of_object(
    raw: Any, predict: Callable[[Any], Any], *, scored: bool, model_id: str | None = None
) -> Subject:
    score = getattr(raw, "score", None) if scored else None
    probabilities = getattr(raw, "predict_proba", None)
    return Subject(
        predict=predict,
        probabilities=probabilities if callable(probabilities) else None,
        score=score if callable(score) else None,
        classes=getattr(raw, "classes_", None),
        raw=raw,
        model_id=model_id,
        wants_array=not hasattr(raw, "feature_names_in_"),
    )


def answers(asked: Subject, rows: Examples, column: str | None) -> Answers:
    """What the model says of the rows, or what stands in the data.

    Args:
        asked: The model.
        rows: The data.
        column: The column of the model's output that holds the predictions, when it has several.

    Raises:
        InvalidArgument: the output has no such column, or is not one for each row.
    """
    if asked.predict is None:
        if rows.predictions is None:
            raise invalid(
                "predictions", "must name the column of data that holds them, or model be given"
            )
        return _checked(rows.predictions, rows, None, rows.predictions_name)
    output = asked.predict(rows.features(asked.wants_array))
    predictions, others, name = _columns(output, column)
    return _checked(predictions, rows, others, name)


def _columns(output: Any, column: str | None) -> tuple[Any, pd.DataFrame | None, str | None]:
    import pandas as pd

    if isinstance(output, list) and output and all(isinstance(each, dict) for each in output):
        output = pd.DataFrame(output)
    elif isinstance(output, dict):
        output = pd.DataFrame({name: list(values) for name, values in output.items()})
    if not isinstance(output, pd.DataFrame):
        return output, None, column
    if column in output.columns:
        return output[column], output.drop(columns=column), column
    if len(output.columns) == 1:
        return output.iloc[:, 0], None, str(output.columns[0])
    wanted = "is not among" if column else "must name one of"
    raise invalid(
        "predictions", f"{wanted} the columns of the model's output: {', '.join(map(str, output))}"
    )


def _checked(
    predictions: Any, rows: Examples, others: pd.DataFrame | None, column: str | None
) -> Answers:
    import numpy as np
    import pandas as pd

    array = np.asarray(predictions)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.shape[:1] != (len(rows),):
        raise invalid(
            "model",
            f"must give one prediction for each of {len(rows)} rows; it gave the shape"
            f" {array.shape}",
        )
    values = pd.Series(array if array.ndim == 1 else list(array), name="prediction")
    return Answers(values, None if others is None else others.reset_index(drop=True), column)


def probabilities(asked: Subject, rows: Examples) -> np.ndarray[Any, Any] | None:
    """The probability of each class for each row; None when the model knows none."""
    import numpy as np

    if asked.probabilities is None:
        return None
    return np.asarray(asked.probabilities(rows.features(asked.wants_array)))
