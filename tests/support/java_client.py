"""MLflow's Java client, fetched once by Maven, and how a scenario of its is run."""

import hashlib
import os
import shutil
from pathlib import Path

from support.binaries import REPOSITORY, Unobtainable, cache_folder, locked, run_visibly

SCENARIOS = REPOSITORY / "tests" / "compat" / "java"
POM = SCENARIOS / "pom.xml"


def _found(program: str, package: str) -> str:
    found = shutil.which(program)
    if found is None:
        raise Unobtainable(f"no {program} on PATH (Debian: apt install {package})")
    return found


def class_path() -> Path:
    """The folder with the client and what it needs, filled once. Raises Unobtainable."""
    digest = hashlib.sha256(POM.read_bytes()).hexdigest()[:8]
    folder = cache_folder() / "environments" / f"mlflow-java-{digest}"
    if not folder.is_dir():
        with locked("environment-mlflow-java"):
            if not folder.is_dir():
                _fetch(folder)
    return folder


def _fetch(folder: Path) -> None:
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    run_visibly(
        [
            *(_found("mvn", "maven"), "--batch-mode", "--file", str(POM)),
            *("dependency:copy-dependencies", "-DincludeScope=runtime"),
            f"-DoutputDirectory={partial}",
        ],
        "fetching MLflow's Java client by Maven",
        dict(os.environ),
    )
    partial.rename(folder)


def java_scenario(name: str) -> list[str]:
    """The command that compiles and runs a scenario. Raises Unobtainable."""
    return [
        *(_found("java", "default-jdk-headless"), "-cp", f"{class_path()}{os.sep}*"),
        # The logger it would like to have is not among what it brings.
        "-Dorg.slf4j.simpleLogger.defaultLogLevel=off",
        str(SCENARIOS / f"{name}.java"),
    ]
