"""The same calls on MLflow's server and on ours, and where what they answered differs."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from support.suites import clean_environment

# A scenario that has not ended by then hangs; the slowest takes 30 s on a busy machine.
SCENARIO_SECONDS = 240.0

CLIENT_SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "1",
    # Once is enough to see that an answer would be asked for again, and none of it needs waiting.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "0",
    "MLFLOW_HTTP_REQUEST_BACKOFF_JITTER": "0",
    "PYTHONPATH": "",
}

# The messages that clients and their users' tests look at; others are worded as each server likes.
PUBLIC_MESSAGES = re.compile(
    r"Missing value for required parameter '\w+'"
    # How a value is quoted is each server's own affair; which parameter it was for is not.
    r"|for parameter '[\w.\[\]]+' supplied"
    r"|Changing param values is not allowed"
    r"|must be in the '?\w+'? (?:lifecycle_)?stat"
)
SERVER_FAULT = re.compile(r"too many 500 error responses|Max retries exceeded|^500\b")


class Servers(NamedTuple):
    """Where each of the two answers; MLflow's is first, as what is expected."""

    mlflow: str
    runstone: str


class Difference(NamedTuple):
    """One place of two documents where they are not the same."""

    item: str
    expected: Any
    got: Any

    def __str__(self) -> str:
        return (
            f"{self.item}\n    MLflow:   {_short(self.expected)}\n    Runstone: {_short(self.got)}"
        )


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, sort_keys=True)
    return text if len(text) <= 400 else f"{text[:400]}… ({len(text)} characters)"


def differences(expected: Any, got: Any, item: str) -> Iterator[Difference]:
    """Each place where two documents differ, as a path that begins with ``item``."""
    if isinstance(expected, dict) and isinstance(got, dict):
        if "error" in expected or "error" in got:
            yield from _of_errors(expected, got, item)
            return
        for key in sorted({*expected, *got}):
            if key not in expected or key not in got:
                absent = "<absent>"
                yield Difference(f"{item} / {key}", expected.get(key, absent), got.get(key, absent))
            else:
                yield from differences(expected[key], got[key], f"{item} / {key}")
    elif isinstance(expected, list) and isinstance(got, list) and len(expected) == len(got):
        for place, (one, other) in enumerate(zip(expected, got, strict=True)):
            yield from differences(one, other, f"{item} / {place}")
    elif type(expected) is not type(got) or expected != got:
        yield Difference(item, expected, got)


def _of_errors(expected: dict[str, Any], got: dict[str, Any], item: str) -> Iterator[Difference]:
    """An error is the same with its class, its code, and its message where people test it.

    Where MLflow fails (500) ours tells the user what is wrong: any refusal but a fault of ours.
    """
    if "error" not in expected or "error" not in got:
        yield Difference(item, expected, got)
    elif SERVER_FAULT.search(expected["message"]):
        if SERVER_FAULT.search(got["message"]) or got["error_code"] == "INTERNAL_ERROR":
            yield Difference(f"{item} / fault", expected, got)
    else:
        kind = [expected["error"], expected["error_code"]], [got["error"], got["error_code"]]
        if kind[0] != kind[1] or not says_the_same(expected["message"], got["message"]):
            yield Difference(item, expected, got)


def says_the_same(expected: str, got: str) -> bool:
    """Whether a message has what people test of MLflow's, where there is such a thing in it."""
    tested = PUBLIC_MESSAGES.search(expected)
    if tested is None:
        return True
    # Ours may tell more exactly where: 'tags[0].key' of 'tags'.
    parameter, quote, rest = tested[0].partition("' supplied")
    closer = quote and re.search(rf"{re.escape(parameter)}[\[.][^']*{re.escape(quote + rest)}", got)
    return bool(tested[0] in got or closer)


def compared(
    expected: Mapping[str, Any], got: Mapping[str, Any], known: Mapping[str, str]
) -> tuple[list[Difference], list[str]]:
    """The differences that nobody wrote down, and those written down that are none any more.

    ``known`` names a place, or everything below it.
    """
    found = [each for key in expected for each in _of_item(expected, got, key)]
    found += [Difference(key, "<absent>", got[key]) for key in got if key not in expected]
    explained = {name: [each for each in found if _covers(name, each.item)] for name in known}
    listed = {each.item for group in explained.values() for each in group}
    gone = [
        name for name, group in explained.items() if not group and name.split(" / ")[0] in expected
    ]
    return [each for each in found if each.item not in listed], gone


def _of_item(expected: Mapping[str, Any], got: Mapping[str, Any], key: str) -> Iterator[Difference]:
    if key in got:
        yield from differences(expected[key], got[key], key)
    else:
        yield Difference(key, expected[key], "<absent>")


def _covers(known: str, item: str) -> bool:
    return item == known or item.startswith(f"{known} / ")


def documents(
    command: Sequence[str], urls: Sequence[str], name: str, folder: Path, **settings: str
) -> list[dict[str, Any]]:
    """What a scenario prints on each server, run on all of them at the same time."""
    started = [
        _started(command, url, name, folder / str(number), settings)
        for number, url in enumerate(urls)
    ]
    try:
        return [_document(process, output) for process, output in started]
    finally:
        for process, _ in started:
            process.kill()
            process.wait()


def _started(
    command: Sequence[str], url: str, name: str, folder: Path, settings: Mapping[str, str]
) -> tuple[subprocess.Popen[bytes], Path]:
    folder.mkdir(parents=True)
    environment = clean_environment(
        **CLIENT_SETTINGS,
        MLFLOW_TRACKING_URI=url,
        COMPAT_NAME=name,
        TMPDIR=str(folder),
        HOME=os.environ.get("HOME", str(folder)),
    )
    output = folder / "output"
    with output.open("wb") as out, (folder / "errors").open("wb") as errors:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=errors,
            cwd=folder,
            env={**environment, **settings},
        )
    return process, output


def answered(
    command: Sequence[str], folder: Path, environment: Mapping[str, str], seconds: float
) -> Any:
    """The document that a program prints last."""
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds,
    )
    assert done.returncode == 0, done.stderr[-5000:]
    return json.loads(done.stdout.splitlines()[-1])


def _document(process: subprocess.Popen[bytes], output: Path) -> dict[str, Any]:
    code = process.wait(SCENARIO_SECONDS)
    errors = output.with_name("errors").read_text("utf-8", errors="replace")
    assert code == 0, f"{process.args!r} ended with {code}:\n{errors[-3000:]}"
    said: dict[str, Any] = json.loads(output.read_text("utf-8").splitlines()[-1])
    return said
