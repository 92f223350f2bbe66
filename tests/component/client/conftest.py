"""A cluster for runs of projects."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from runstone._projects import kube_api, kubernetes
from support.kube_api import FakeCluster
from support.kube_runs import Tags


@pytest.fixture
def tags(monkeypatch: pytest.MonkeyPatch) -> Tags:
    found = Tags()
    monkeypatch.setattr(kubernetes._state, "client", lambda: found)
    return found


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tags: Tags) -> Iterator[FakeCluster]:
    # Pauses are what is waited for, not what is tested.
    monkeypatch.setattr(kube_api, "FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(kube_api, "LONGEST_PAUSE_S", 0.02)
    monkeypatch.setattr(kube_api, "POLL_S", 0.02)
    for name in kubernetes.TRACKING_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    with FakeCluster() as found:
        path = found.kubeconfig(tmp_path)
        monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(path))
        yield found
