"""`runstone models serve` as a process of its own."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.processes import EndedEarly, listens, running, wait_until
from support.serving import ask
from support.suites import clean_environment

BODY = {"inputs": [[1.0]]}


@contextmanager
def serve(
    folder: Path, port: int, *arguments: str, **environment: str
) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """The command as a process, once it answers; and its log."""
    log = folder / "serve.log"
    command = [sys.executable, "-m", "runstone.cli", "models", "serve", "-p", str(port)]
    env = clean_environment(**environment)
    with running([*command, *arguments], log, env=env, cwd=folder) as process:

        def answers() -> bool:
            if process.poll() is not None:
                raise EndedEarly(log.read_text())
            return listens(port) and ask(port, "/ping").status == 200

        wait_until(answers, 90, "the model to be served")
        yield process, log


def prediction(port: int) -> float:
    """What 1 is multiplied by."""
    answer = ask(port, "/invocations", BODY)
    assert answer.status == 200, answer
    found: float = answer.json["predictions"][0]
    return found
