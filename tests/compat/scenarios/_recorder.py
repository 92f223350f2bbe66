"""What a scenario's calls answered, as one JSON document that two servers' answers can share.

Ids, times, addresses and the name that the scenario was given are replaced by placeholders, which
are named after where they appear first. Everything else stays: a document differs where an answer
differs. Runs in the environments of other people's clients, so it needs the standard library only.
"""

import base64
import enum
import json
import math
import os
import re
import sys
import tempfile
import time
from pathlib import Path

# An id of a run, a logged model (m-), a trace (tr-), a dataset (d-), or a UUID.
ID = re.compile(r"\b(?:m-|tr-|d-)?(?:[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\b")
KINDS = {"m-": "model", "tr-": "trace", "d-": "dataset"}
MADE_UP = re.compile(r"[a-z]+-[a-z]+-\d{1,4}")
NAME_KEYS = ("name", "run_name", "mlflow.runName")
# An experiment's id is replaced only where it can be nothing else: before the run in a location,
# at the end of one, and after "id".
EXPERIMENT = re.compile(
    r"(?<=artifacts:/)\d+(?=/|$)|(?<=/)\d+(?=/<)|(?<=id[= ])\d+|(?<=id[= ]')\d+"
)
TIME_KEY = re.compile(r"(time|timestamp|_at|_ms|_ns)$")
# A time is "now" when it lies within this of the scenario's start, in seconds.
NOW = 3600.0
NUMBER = re.compile(r"\d+")


class Recorder:
    """Takes down what each call answered. ``name`` is unique: all that is made carries it."""

    def __init__(self):
        self.name = os.environ["COMPAT_NAME"]
        self.folder = Path(tempfile.mkdtemp(prefix="compat-"))
        self.items = {}
        self._placeholders = {}
        # Placeholders tell where an id appeared first, so that one more or one less moves no other.
        self._item = ""
        self._counts = {}
        self._texts = [
            (os.environ["MLFLOW_TRACKING_URI"], "<server>"),
            (str(self.folder), "<folder>"),
            (self.name, "<name>"),
        ]

    def call(self, item, function, *arguments, **options):
        """Calls, writes the answer or the error down as ``item``, and returns the answer."""
        try:
            answer = function(*arguments, **options)
        except Exception as error:
            self.note(item, failure(error))
            return None
        if getattr(function, "__name__", "") == "create_experiment":
            self.experiment(answer, item)
            self.note(item, answer, "experiment_id")
        else:
            self.note(item, answer)
        return answer

    def note(self, item, value, what=""):
        """Writes a value down that no single call answered; ``what`` is the field it would be."""
        assert item not in self.items, f"{item} was recorded before"
        self._item, self._counts = item, {}
        self.items[item] = self._clean(plain(value), what)

    def hide(self, value, placeholder):
        """From now on ``value`` stands as ``placeholder`` (for what no pattern finds)."""
        self._texts.append((str(value), placeholder))

    def experiment(self, experiment_id, what="this"):
        """Names an experiment, whose id is a number like any other."""
        text = str(experiment_id)
        if text.isdecimal() and text != "0":
            self._placeholders.setdefault(text, f"<experiment of {what}>")

    def finish(self):
        """Prints the document on the last line; MLflow's client prints things of its own before."""
        sys.stdout.write("\n" + json.dumps(self.items, allow_nan=False))
        sys.stdout.flush()

    def _number(self, kind, text):
        if text not in self._placeholders:
            self._counts[kind] = self._counts.get(kind, 0) + 1
            number = f" {self._counts[kind]}" if self._counts[kind] > 1 else ""
            self._placeholders[text] = f"<{kind}{number} of {self._item}>"
        return self._placeholders[text]

    def _clean(self, value, key=""):
        if isinstance(value, dict):
            self.experiment(value.get("experiment_id"))
            return {self._text(name): self._clean(each, name) for name, each in value.items()}
        if isinstance(value, list):
            return [self._clean(each, key) for each in value]
        if isinstance(value, str):
            return self._string(value, key)
        if TIME_KEY.search(key) and isinstance(value, int) and _is_now(value):
            return "<now>"
        return value

    def _string(self, value, key):
        if key in NAME_KEYS and MADE_UP.fullmatch(value):
            return "<made up>"
        if key in ("experiment_id", "experiment_ids") and value in self._placeholders:
            return self._placeholders[value]
        if TIME_KEY.search(key) and value.isdecimal() and _is_now(int(value)):
            return "<now>"
        return self._text(value)

    def _text(self, text):
        for value, placeholder in self._texts:
            text = text.replace(value, placeholder)
        text = ID.sub(self._id, text)
        return EXPERIMENT.sub(self._known, text)

    def _id(self, found):
        text = found[0]
        return self._number(next((k for p, k in KINDS.items() if text.startswith(p)), "hex"), text)

    def _known(self, found):
        return self._placeholders.get(found[0], found[0])


def _is_now(value):
    return any(abs(value / unit - time.time()) < NOW for unit in (1, 1e3, 1e6, 1e9))


def failure(error):
    """An error as a user sees it: its class, MLflow's code, the first sentence of its text."""
    text = getattr(error, "message", None) or str(error)
    return {
        "error": type(error).__name__,
        "error_code": getattr(error, "error_code", None),
        "message": first_sentence(str(text)),
    }


def first_sentence(text):
    """Up to the first full stop that ends a sentence, or the first line break."""
    return re.split(r"(?<=[.!?])\s|\n", text, maxsplit=1)[0]


def plain(value):
    """Anything that MLflow answers, as JSON's types; what JSON has no word for is told by name."""
    if value is None or (isinstance(value, (bool, int, str)) and not isinstance(value, enum.Enum)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, bytes):
        return {"bytes": base64.b64encode(value).decode()}
    if isinstance(value, enum.Enum):
        return str(value.value)
    if isinstance(value, dict):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, (set, frozenset)):
        return sorted((plain(each) for each in value), key=str)
    if isinstance(value, (list, tuple)):
        items = [plain(each) for each in value]
        if hasattr(value, "token"):
            return {"page": items, "more": bool(value.token)}
        return items
    return _object(value)


def _object(value):
    name = type(value).__name__
    if hasattr(value, "to_dict") and hasattr(value, "columns"):
        return {"rows": [plain(row) for row in value.to_dict("records")]}
    if hasattr(value, "_properties"):
        return {"": name, **{key: plain(getattr(value, key)) for key in value._properties()}}
    if hasattr(value, "to_dict"):
        return {"": name, **plain(value.to_dict())}
    if hasattr(value, "item"):
        return plain(value.item())
    if hasattr(value, "__dict__"):
        return {"": name, **{k: plain(v) for k, v in vars(value).items() if not k.startswith("_")}}
    return {"": name, "text": str(value)}
