"""MLflow's own Python clients: each call answered by MLflow's server and by ours alike."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from compat.known_differences import KNOWN_DIFFERENCES
from support.compat import Servers, compared, documents
from support.environments import Environment
from support.mlflow_environments import CLIENTS, FULL, OLD_FULL, OLD_SKINNY

SCENARIOS = Path(__file__).parent / "scenarios"
NAMES = sorted(
    path.stem for path in SCENARIOS.glob("[a-z]*.py") if not path.name.startswith("callback_")
)

_numbers = itertools.count()


# What a client can run: the skinny one loads no models, for it has no numpy.
RUNS = [
    (client, scenario)
    for client in CLIENTS
    for scenario in NAMES
    if scenario != "models" or client in (FULL, OLD_FULL)
]

ALSO = {(OLD_FULL, "runs"), (OLD_SKINNY, "registry")}
"""CI has each scenario by the newest client, and these: others send the same requests, but for what
a release changed."""

SHOWN = [
    pytest.param(
        client,
        scenario,
        id=f"{client.name}-{scenario}",
        marks=[] if client is FULL or (client, scenario) in ALSO else [pytest.mark.whole],
    )
    for client, scenario in RUNS
]


@pytest.mark.parametrize(("client", "scenario"), SHOWN)
def test_answers_are_those_of_mlflow(
    servers: Servers, client: Environment, scenario: str, tmp_path: Path
) -> None:
    expected, got = documents(
        [str(client.python), str(SCENARIOS / f"{scenario}.py")],
        servers,
        f"c{next(_numbers)}-{client.name}-{scenario}".replace("_", "-"),
        tmp_path,
    )
    found, gone = compared(expected, got, KNOWN_DIFFERENCES.get(scenario, {}))
    assert not found, f"{len(found)} differences:\n" + "\n".join(map(str, found))
    # An older client may not get as far as an entry.
    assert client is not FULL or not gone, f"in KNOWN_DIFFERENCES and no longer true: {gone}"


def test_known_differences_name_scenarios() -> None:
    others = {"java", *(path.stem for path in SCENARIOS.glob("callback_*.py"))}
    assert set(KNOWN_DIFFERENCES) <= {*NAMES, *others}
