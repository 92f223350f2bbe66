"""Signatures, and data held to them: what MLflow's own code makes of the same."""

from __future__ import annotations

import json
import subprocess
import warnings
from pathlib import Path

from runstone._schema.enforce import enforce_inputs, enforce_params
from runstone.models import signature
from runstone.types import schema
from support import schema_table
from support.schema_table import REFUSED, Library
from support.suites import clean_environment

OURS = Library(
    schema,
    signature.infer_signature,
    enforce_inputs,
    enforce_params,
    signature.signature_from_type_hints,
)

DIFFERENT = {
    "infer two levels of names": "MLflow writes names that it cannot read back; ours are Any",
    "infer params empty list": "MLflow takes every item of nothing for a time; ours are double",
    "column category as string": "MLflow infers text from a category, and then refuses it",
    "column sparse as double": "MLflow fails at pandas' sparse columns",
    "enforce strings of a server": "MLflow leaves arrays of no dimension in the cells",
    "enforce whole number in an object": "5 in JSON is a double where one is asked for",
    "enforce narrow number in an object": "5 in JSON is of no width",
    "enforce time in an object": "MLflow takes no time for a scalar",
    "enforce object left out": "MLflow refuses an optional object that pandas made NaN",
    "enforce None among texts": "MLflow makes the text 'n' of None",
    "enforce None among flags": "MLflow makes False of None",
    "enforce times in an array": "MLflow makes whole numbers of times",
}


def test_what_mlflow_makes_of_it_we_make_of_it(mlflow_python: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [str(mlflow_python), str(Path(schema_table.__file__))],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=clean_environment(MLFLOW_DISABLE_TELEMETRY="true"),
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    theirs = json.loads(done.stdout)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # integer columns, hints without a schema
        ours = json.loads(json.dumps(schema_table.results(OURS)))
    assert ours.keys() == theirs.keys()
    refused = sum(each == REFUSED for each in theirs.values())
    assert refused > 200
    assert len(theirs) - refused > 200
    told = {name: (theirs[name], found) for name, found in ours.items() if found != theirs[name]}
    assert {name: each for name, each in told.items() if name not in DIFFERENT} == {}
    assert told.keys() == DIFFERENT.keys()
    assert not [name for name, (_, found) in told.items() if found == REFUSED]
