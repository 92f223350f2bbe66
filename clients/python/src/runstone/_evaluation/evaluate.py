"""``runstone.evaluate``: from a model and data to metrics, plots and tables of a run."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from runstone import _media, _values
from runstone._arguments import checked
from runstone._entities.tracking import DatasetInput, InputTag, LoggedModelInput, Metric
from runstone._evaluation import custom, record, rows
from runstone._evaluation.artifacts import artifact
from runstone._evaluation.examples import Examples, examples
from runstone._evaluation.metric import EvaluationMetric
from runstone._evaluation.outcome import Outcome
from runstone._evaluation.plan import MODEL_TYPES, Plan, plan
from runstone._evaluation.result import EvaluationResult
from runstone._evaluation.subject import Answers, Subject, answers, probabilities, subject
from runstone._fluent import _state
from runstone._fluent._logging import DATA_CONTEXT
from runstone._fluent._runs import ActiveRun, active_run, start_run
from runstone._journal.rules import check_keys
from runstone._values import invalid
from runstone.exceptions import InvalidArgument

if TYPE_CHECKING:
    from runstone.data import Dataset

NEEDS = {
    "numpy": "numpy",
    "pandas": "pandas",
    "sklearn": "scikit-learn",
    "matplotlib": "matplotlib",
}
"""Modules, and the distributions that have them."""


@checked
def evaluate(
    model: Any = None,
    data: Any = None,
    *,
    model_type: str | None = None,
    targets: Any = None,
    predictions: str | None = None,
    dataset_path: str | os.PathLike[str] | None = None,
    feature_names: Sequence[str] | None = None,
    evaluators: str | Sequence[str] | None = None,
    evaluator_config: Mapping[str, Any] | None = None,
    extra_metrics: Sequence[EvaluationMetric] | None = None,
    custom_artifacts: Sequence[Callable[..., Any]] | None = None,
    env_manager: str = "local",
    model_config: Mapping[str, Any] | None = None,
    inference_params: Mapping[str, Any] | None = None,
    model_id: str | None = None,
) -> EvaluationResult:
    """Judge a model on data, and keep metrics, plots and tables with the active run.

    A run is begun and ended when none is active. What cannot be made of this data, such as a ROC
    curve of one class, is told by a warning and in ``failures`` of the result; the rest is kept.

    A regressor has ``example_count``, ``mean_absolute_error``, ``mean_squared_error``,
    ``root_mean_squared_error``, ``sum_on_target``, ``mean_on_target``, ``r2_score``, ``max_error``
    and ``mean_absolute_percentage_error``. A classifier has ``example_count``, ``accuracy_score``,
    ``recall_score``, ``precision_score``, ``f1_score`` and a confusion matrix; of two classes
    ``true_negatives``, ``false_positives``, ``false_negatives`` and ``true_positives``, of more
    ``per_class_metrics.csv``. With probabilities (``predict_proba``) come ``log_loss``,
    ``roc_auc``, of two classes ``precision_recall_auc``, and ROC, precision-recall, lift (of two
    classes) and calibration curves. A model of scikit-learn has its ``score`` too.

    Args:
        model: A function of a DataFrame, a fitted object with ``predict``, a model of
            ``runstone.pyfunc`` or its URI; None when the predictions stand in the data. A version
            of a registered model, by its URI, notes the metrics in its tag
            ``runstone.evaluation``: see ``Client.set_stage_rules``.
        data: Features: a DataFrame, an array of shape (rows, columns), a list of rows, or a data
            set of ``runstone.data``, which names its targets itself.
        model_type: ``"classifier"`` or ``"regressor"``; None for ``extra_metrics`` alone.
        targets: What is right: the name of a column of a DataFrame, else an array or a list.
        predictions: The column of the data that holds the predictions; with a model, the column
            of its output that does.
        dataset_path: Where the data came from, for the run's inputs.
        feature_names: The columns that are features; of an array, their names.
        evaluators: ``"default"``, ``"classifier"``, ``"regressor"``, ``"shap"``, or a list.
        evaluator_config: ``label_list``, ``pos_label``, ``average`` (``"weighted"``), of more than
            two classes; ``sample_weights``; ``metric_prefix``, for names of metrics and files;
            ``col_mapping``, parameters of metrics to columns; ``calibration_n_bins``,
            ``calibration_classifier_name``, ``max_classes_for_multiclass_roc_pr`` (10);
            ``log_model_explainability``, ``explainability_algorithm``,
            ``explainability_nsamples`` (2000 rows), ``explainability_kernel_link``. For a list of
            evaluators, a dict of these by their names.
        extra_metrics: Metrics of one's own, by ``make_metric``, or of ``runstone.metrics``.
        custom_artifacts: Functions of a DataFrame (``prediction``, ``target``), the metrics and a
            folder for files; each gives a dict of names to figures, images, DataFrames, arrays,
            dicts, texts, bytes or paths.
        env_manager: ``"local"``: the model runs in this process.
        model_config: For the loading of a model by its URI.
        inference_params: Of endpoints, which cannot be evaluated: not to be given.
        model_id: The logged model that the metrics belong to; else the model's own.

    Raises:
        InvalidArgument: an argument is wrong, or two do not go together; nothing is begun then.
            What the model itself raises is passed on.

    Example:
        >>> import pandas, runstone
        >>> frame = pandas.DataFrame({"x": [1.0, 2.0, 3.0], "y": [2.0, 4.0, 7.0]})
        >>> with runstone.start_run():
        ...     result = runstone.evaluate(
        ...         lambda frame: 2 * frame["x"], frame, targets="y", model_type="regressor",
        ...         evaluator_config={"log_model_explainability": False},
        ...     )
        >>> result.metrics["max_error"]
        1.0
    """
    _check_installed()
    if model_type is not None and model_type not in MODEL_TYPES:
        raise invalid("model_type", f"must be of {', '.join(MODEL_TYPES)}, not {model_type!r:.80}")
    if inference_params is not None:
        raise invalid("inference_params", "is for endpoints, which cannot be evaluated")
    planned = plan(evaluators, evaluator_config, model_type)
    metrics = custom.check_metrics(extra_metrics)
    makers = custom.check_makers(custom_artifacts)
    if model_type is None and not metrics:
        raise invalid("extra_metrics", "must be given when there is no model_type")
    mapped = planned.options.get("col_mapping") or {}
    targets = mapped.get(targets, targets) if isinstance(targets, str) else targets
    predictions = mapped.get(predictions, predictions)
    _check_data_set(model, data, targets, predictions)
    in_data = predictions if model is None else None
    known = examples(data, targets, in_data, dataset_path, feature_names)
    _check_rows(known, model_type, planned.options)
    if model is None and known.predictions is None:
        raise invalid("model", "must be given, or predictions name a column of data")
    version = record.version_of(_state.client(), model)
    exact = model if version is None else f"models:/{version.name}/{version.version}"
    asked = subject(exact, env_manager, model_config, model_id)
    with _run() as run, _not_logged_by_itself():
        _note(run, known.dataset, planned, model_id or asked.model_id)
        outcome = Outcome()
        said = answers(asked, known, predictions if model is not None else None)
        given = custom.Given(known, said, planned.options, outcome)
        _judge(outcome, asked, known, said, planned, model_type)
        if planned.measure is not None:
            custom.measure(given, metrics)
            custom.make_artifacts(given, makers)
        result = _keep(run, given, predictions, known.dataset, model_id or asked.model_id)
        if version is not None:
            run_id = run.info.run_id
            record.note(run.client, version, result.metrics, run_id, signed=asked.signed)
        return result


def _check_installed() -> None:
    lacking = [name for module, name in NEEDS.items() if importlib.util.find_spec(module) is None]
    if lacking:
        raise InvalidArgument(
            f"evaluate needs {', '.join(lacking)}: pip install 'runstone[evaluate]'"
        )


def _check_data_set(model: Any, data: Any, targets: Any, predictions: Any) -> None:
    from runstone.data import Dataset

    if data is None:
        raise invalid("data", "must be given")
    if not isinstance(data, Dataset):
        return
    if targets is not None:
        raise invalid("targets", "must not be given with a data set, which names its own")
    if model is None and predictions is not None:
        raise invalid("predictions", "must not be given with a data set, which names its own")
    if model is not None and getattr(data, "predictions", None) is not None:
        raise invalid("model", "must not be given with a data set that has predictions")


def _check_rows(known: Examples, model_type: str | None, options: Mapping[str, Any]) -> None:
    weights = options.get("sample_weights")
    if weights is not None and len(weights) != len(known):
        raise invalid(
            "evaluator_config['sample_weights']",
            f"must be as many as the rows: {len(known)}, not {len(weights)}",
        )
    if model_type is None:
        return
    if known.targets is None:
        raise invalid("targets", f"must be given for a {model_type}")
    _check_values("targets", known.targets, model_type)


def _check_values(role: str, values: Any, model_type: str) -> None:
    import pandas as pd

    if values.ndim != 1:
        raise invalid(role, f"must be one value a row, and have the shape {values.shape}")
    gaps = int(pd.isna(values).sum())
    if gaps:
        raise invalid(role, f"must be there for each row; {gaps} of {len(values)} are missing")
    inferred = pd.Series(values).infer_objects()
    if model_type == "regressor" and not pd.api.types.is_numeric_dtype(inferred):
        raise invalid(role, "must be numbers for a regressor")


@contextmanager
def _run() -> Iterator[ActiveRun]:
    """The active run; else one that ends with the block."""
    active = active_run()
    if active is not None:
        yield active
        return
    with start_run() as begun:
        yield begun


@contextmanager
def _not_logged_by_itself() -> Iterator[None]:
    """Keep autologging, when it is in use, from logging what is predicted and measured here."""
    guard = sys.modules.get("runstone._autolog.guard")
    if guard is None:
        yield
        return
    with guard.inside():
        yield


def _note(run: ActiveRun, dataset: Dataset, planned: Plan, model_id: str | None) -> None:
    prefix = planned.options.get("metric_prefix")
    tags = [InputTag(DATA_CONTEXT, str(prefix))] if prefix else []
    models = [LoggedModelInput(model_id)] if model_id else None
    run.client.log_inputs(run.info.run_id, [DatasetInput(dataset.to_entity(), tags)], models)


def _judge(
    outcome: Outcome,
    asked: Subject,
    known: Examples,
    said: Answers,
    planned: Plan,
    model_type: str | None,
) -> None:
    """Add what belongs to the model's type."""
    if model_type is None or known.targets is None:
        return
    _check_values("predictions", said.predictions.to_numpy(), model_type)
    classes = 0
    if model_type == "classifier":
        classes = _classify(outcome, asked, known, said, planned.measure)
    elif planned.measure is not None:
        from runstone._evaluation import regressor

        _score(outcome, asked, known, planned.measure)
        weights = _weights(planned.measure)
        regressor.measure(outcome, known.targets, said.predictions.to_numpy(), weights)
    if planned.explain is not None:
        from runstone._evaluation.explain import explain

        explain(outcome, asked, known, planned.explain, classes)


def _classify(
    outcome: Outcome,
    asked: Subject,
    known: Examples,
    said: Answers,
    options: Mapping[str, Any] | None,
) -> int:
    """Add what a classifier has; gives the number of classes."""
    from runstone._evaluation import classifier
    from runstone._evaluation.labels import labels

    config = options or {}
    predicted = said.predictions.to_numpy()
    likely = probabilities(asked, known) if options is not None else None
    found = labels(known.targets, predicted, likely, asked.classes, config)
    if options is not None:
        assert known.targets is not None
        both = classifier.Classified(
            known.targets, predicted, likely, found, _weights(config), config
        )
        _score(outcome, asked, known, config)
        classifier.measure(outcome, both)
        classifier.picture(outcome, both)
    return len(found.ordered)


def _weights(config: Mapping[str, Any]) -> Any:
    import numpy as np

    weights = config.get("sample_weights")
    return None if weights is None else np.asarray(weights)


def _score(outcome: Outcome, asked: Subject, known: Examples, config: Mapping[str, Any]) -> None:
    score = asked.score
    if score is not None:
        features = known.features(asked.wants_array)
        outcome.measure(
            "score", lambda: score(features, known.targets, sample_weight=_weights(config))
        )


def _keep(
    run: ActiveRun,
    given: custom.Given,
    predictions: str | None,
    dataset: Dataset,
    model_id: str | None,
) -> EvaluationResult:
    """Log what was found, the metrics in one call."""
    outcome, client, run_id = given.outcome, run.client, run.info.run_id
    prefix = str(given.config.get("metric_prefix") or "")
    numbers = outcome.numbers(prefix)
    check_keys(list(numbers))
    now = _values.now_ms()
    points = [
        Metric(name, number, now, 0, None, model_id, dataset.name, dataset.digest)
        for name, number in numbers.items()
    ]
    client.log_batch(run_id, points)
    kept = dict(outcome.files)
    values = {f"{prefix}{name}": value for name, value in outcome.values.items()}
    table = rows.table(given.rows, given.answers, values, predictions, given.used)
    if table is not None:
        file_name = f"{prefix}{rows.NAME}.json"
        client.log_table(run_id, table, file_name)
        kept[rows.NAME] = (file_name, _media.merged_table(None, table, file_name))
    for file_name, data in outcome.files.values():
        client.put_bytes(run_id, data, file_name)
    artifacts = {
        name: artifact(f"runs:/{run_id}/{file_name}", data)
        for name, (file_name, data) in kept.items()
    }
    return EvaluationResult(numbers, artifacts, run_id, outcome.failures)
