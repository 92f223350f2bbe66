"""The classes of a classifier's data, and which one is the positive one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from runstone._values import invalid

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Labels:
    """Classes in the order of plots and tables.

    Attributes:
        ordered: In sorted order, but of two the positive one last.
        positive: Of two classes; None of more.
        columns: For each of ``ordered`` its column in the probabilities, which are sorted.
    """

    ordered: np.ndarray[Any, Any]
    positive: Any
    columns: tuple[int, ...]

    @property
    def binary(self) -> bool:
        """Whether there are two."""
        return len(self.ordered) == 2


def labels(
    truth: Any, predicted: Any, probabilities: Any, classes: Any, config: Mapping[str, Any]
) -> Labels:
    """The classes, as ``label_list`` and ``pos_label`` say, or as they stand in the data.

    Args:
        truth: The targets; shape (n,).
        predicted: The predictions; shape (n,).
        probabilities: Shape (n, classes), the columns in sorted order of the classes; or None.
        classes: What the model says its probabilities' columns are; or None.
        config: ``evaluator_config``.

    Raises:
        InvalidField: fewer than two, or they do not fit the probabilities, or ``pos_label`` is
            none of them.
    """
    import numpy as np

    given = config.get("label_list")
    found = _sorted(given) if given is not None else _sorted([*truth.tolist(), *predicted.tolist()])
    width = None if probabilities is None else probabilities.shape[1]
    if given is None and width not in {None, len(found)} and classes is not None:
        # The data lacks a class that the model knows.
        known = _sorted(np.asarray(classes).tolist())
        if len(known) == width and set(found.tolist()) <= set(known.tolist()):
            found = known
    if len(found) < 2:
        raise invalid(
            "evaluator_config['label_list']",
            f"must name two or more classes; the data has only {', '.join(map(str, found))}",
        )
    if width not in {None, len(found)}:
        raise invalid(
            "evaluator_config['label_list']",
            f"must name the {width} classes that the model gives probabilities of, not"
            f" {len(found)}: {', '.join(map(str, found[:20]))}",
        )
    return _ordered(found, config.get("pos_label"))


def _sorted(classes: Any) -> np.ndarray[Any, Any]:
    import numpy as np

    listed = list(classes)
    if len({isinstance(each, str) for each in listed}) > 1:
        # numpy would make texts of the numbers, and no class would be found again.
        raise invalid("targets", "and predictions must all be texts, or none of them")
    return np.unique(np.asarray(listed))


def _ordered(found: np.ndarray[Any, Any], positive: Any) -> Labels:
    places = list(range(len(found)))
    if len(found) != 2:
        return Labels(found, None, tuple(places))
    if positive is None:
        positive = found[1]
    elif positive not in found.tolist():
        raise invalid(
            "evaluator_config['pos_label']",
            f"must be {found[0]} or {found[1]}, not {positive!r:.80}",
        )
    places.sort(key=lambda place: bool(found[place] == positive))
    return Labels(found[places], positive, tuple(places))
