"""statsmodels: results of a fit, which it can keep as a pickle alone."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from runstone._flavors.calls import keep_extra
from runstone._flavors.libraries import is_of, library, load_pickle, predicting, table
from runstone._models import environment, paths
from runstone._models.flavor import Flavor, Predictor, Written
from runstone._values import invalid

FILE = "model.statsmodels"


class Statsmodels(Flavor):
    """What ``fit`` gives, of regressions and of time series."""

    name: ClassVar[str] = "statsmodels"
    loader_module: ClassVar[str] = "mlflow.statsmodels"
    distributions: ClassVar[tuple[str, ...]] = ("statsmodels", "numpy", "pandas", "scipy")

    def write(
        self, model: Any, folder: Path, *, remove_data: bool = False, extra_files: Any = None
    ) -> Written:
        statsmodels = library("statsmodels")
        if not self.owns(model):
            raise invalid(
                "statsmodels_model",
                f"must be the results of a fit of statsmodels, not {type(model).__name__}",
            )
        path = folder / FILE
        try:
            model.save(str(path), remove_data)
        except Exception as error:
            raise invalid("statsmodels_model", f"cannot be pickled: {error}") from error
        return Written(
            {
                "statsmodels_version": statsmodels.__version__,
                "data": FILE,
                **keep_extra(extra_files, folder),
            },
            FILE,
            [*environment.distributions_of(environment.modules_of_pickle(path))],
        )

    def read(self, folder: Path, configuration: Mapping[str, Any], **options: Any) -> Any:
        library("statsmodels")
        return load_pickle(_file(folder, configuration))

    def unsafe(self, folder: Path, configuration: Mapping[str, Any]) -> str | None:
        return f"a pickle ({_file(folder, configuration).name})"

    def predictor(self, model: Any, configuration: Mapping[str, Any]) -> Predictor:
        if is_of(getattr(model, "model", None), "statsmodels", "TimeSeriesModel"):
            return partial(_forecast, model)
        return predicting(model.predict)

    def owns(self, model: Any) -> bool:
        return is_of(model, "statsmodels", "Results", "ResultsWrapper")


def _file(folder: Path, configuration: Mapping[str, Any]) -> Path:
    return paths.inside(folder, configuration.get("data", FILE), "flavors.statsmodels.data")


def _forecast(model: Any, data: Any, _: Mapping[str, Any]) -> Any:
    """Of a time series, what is between the ``start`` and the ``end`` that the one row holds."""
    asked = table(data)
    columns = list(getattr(asked, "columns", ()))
    if not {"start", "end"} <= set(columns) or len(asked) != 1:
        raise invalid("data", "of a time series must have one row with the columns start and end")
    return model.predict(start=asked["start"].iloc[0], end=asked["end"].iloc[0])
