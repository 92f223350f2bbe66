"""How pipelines of Transformers predict behind one interface: texts in, plain values out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from runstone._models.flavor import Predictor
from runstone._values import invalid
from runstone.exceptions import InvalidArgument


def predicts(pipeline: Any) -> bool:
    """Whether the pipeline is of a kind that ``pyfunc`` knows."""
    return _answer(pipeline) is not None


def pipeline_predictor(pipeline: Any, defaults: Mapping[str, Any]) -> Predictor:
    """The function behind ``pyfunc``.

    Args:
        pipeline: Of Transformers.
        defaults: Arguments of every call, which parameters replace.

    Raises:
        InvalidArgument: the pipeline is of a kind that is not known here.
    """
    answer = _answer(pipeline)
    if answer is None:
        raise InvalidArgument(
            f"a {type(pipeline).__name__} cannot predict here;"
            " runstone.transformers.load_model gives the pipeline itself"
        )

    def predict(data: Any, params: Mapping[str, Any]) -> Any:
        given = _filled(pipeline, _texts(data))
        return answer(pipeline, given, {**defaults, **params})

    return predict


def _answer(pipeline: Any) -> Callable[[Any, Any, dict[str, Any]], Any] | None:
    task = str(getattr(pipeline, "task", ""))
    for known, answer in _ANSWERS.items():
        if task == known or task.startswith(f"{known}_"):
            return answer
    return None


def _texts(data: Any) -> Any:
    """Texts, or dicts of texts, from what may stand in a table."""
    if hasattr(data, "to_dict") and hasattr(data, "columns"):
        if len(data.columns) == 1:
            return data.iloc[:, 0].tolist()
        return data.to_dict(orient="records")
    if hasattr(data, "tolist"):
        data = data.tolist()
    if isinstance(data, str | dict):
        return data
    if not isinstance(data, list) or not all(isinstance(each, str | dict) for each in data):
        raise invalid("data", "must be a text, a dict, a list of those, or a DataFrame")
    return data


def _filled(pipeline: Any, given: Any) -> Any:
    """Texts within the template that the model was saved with."""
    template = getattr(pipeline, "prompt_template", None)
    if not isinstance(template, str):
        return given
    if isinstance(given, list):
        return [_filled(pipeline, each) for each in given]
    return template.replace("{prompt}", given) if isinstance(given, str) else given


def _called(pipeline: Any, given: Any, params: dict[str, Any]) -> Any:
    if isinstance(given, dict) and str(pipeline.task) != "text-classification":
        return pipeline(**given, **params)
    return pipeline(given, **params)


def _table(pipeline: Any, given: Any, params: dict[str, Any]) -> Any:
    import pandas as pd

    found = _called(pipeline, given, params)
    return pd.DataFrame([found] if isinstance(found, dict) else found)


def _generated(key: str) -> Callable[[Any, Any, dict[str, Any]], Any]:
    def answer(pipeline: Any, given: Any, params: dict[str, Any]) -> Any:
        params.pop("include_prompt", None)
        collapse = params.pop("collapse_whitespace", False)
        found = _called(pipeline, given, params)
        texts: list[str] = []
        for each in found:
            texts += [one[key] for one in (each if isinstance(each, list) else [each])]
        return [" ".join(text.split()) if collapse else text.strip() for text in texts]

    return answer


def _tokens(pipeline: Any, given: Any, params: dict[str, Any]) -> Any:
    found = _called(pipeline, given, params)
    many = found if found and isinstance(found[0], list) else [found]
    return [
        ",".join(str(token.get("entity_group", token.get("entity"))) for token in each)
        for each in many
    ]


def _masked(pipeline: Any, given: Any, params: dict[str, Any]) -> Any:
    found = _called(pipeline, given, params)
    if not isinstance(found[0], list):
        return [found[0]["token_str"].strip()]
    # A text with several masks has a list for each of them.
    return [
        each[0]["token_str"].strip()
        if isinstance(each[0], dict)
        else [mask[0]["token_str"].strip() for mask in each]
        for each in found
    ]


def _features(pipeline: Any, given: Any, params: dict[str, Any]) -> Any:
    import numpy as np

    found = _called(pipeline, given, params)
    # As MLflow: the first token's vector, of the first text.
    return found if isinstance(found, np.ndarray) else np.array(found[0][0])


def _answers(pipeline: Any, given: Any, params: dict[str, Any]) -> Any:
    found = _called(pipeline, given, params)
    return [each["answer"] for each in (found if isinstance(found, list) else [found])]


_ANSWERS: dict[str, Callable[[Any, Any, dict[str, Any]], Any]] = {
    "text-classification": _table,
    "token-classification": _tokens,
    "fill-mask": _masked,
    "feature-extraction": _features,
    "text-generation": _generated("generated_text"),
    "text2text-generation": _generated("generated_text"),
    "summarization": _generated("summary_text"),
    "translation": _generated("translation_text"),
    "question-answering": _answers,
}
"""Task to what predicts; others are for the pipeline itself."""
