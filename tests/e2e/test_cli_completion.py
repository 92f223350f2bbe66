"""What a shell completes by asking the suite, and what it does when it cannot ask."""

from collections.abc import Iterator
from pathlib import Path

import pytest

import runstone
from runstone.cli import main
from support.suites import suite


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with suite(tmp_path_factory.mktemp("completion") / "data", "--grpc-port", "0") as started:
        uri = f"runstone://{started.status['tcp']}"
        client = runstone.Client(uri)
        client.create_experiment("iris")
        client.create_experiment("iris flowers")
        client.create_registered_model("net")
        run = client.create_run("0", run_name="first")
        client.put_artifacts(run.info.run_id, {"model/weights": b"w"})
        for _ in range(2):
            client.create_model_version("net", f"runs:/{run.info.run_id}/model")
        client.set_registered_model_alias("net", "champion", 2)
        yield uri


class Shell:
    """Asks for completions as the scripts of `runstone completion` do."""

    def __init__(self, patch: pytest.MonkeyPatch, capture: pytest.CaptureFixture[str]) -> None:
        self._patch = patch
        self._capture = capture

    def completed(self, shell: str, typed: str) -> list[str]:
        """The values that are offered for the last word."""
        words = typed.split(" ")
        self._patch.setenv("_RUNSTONE_COMPLETE", f"{shell}_complete")
        self._patch.setenv("COMP_WORDS", typed)
        self._patch.setenv("COMP_CWORD", str(len(words) - 1))
        with pytest.raises(SystemExit) as ended:
            main([])
        assert ended.value.code == 0
        out, err = self._capture.readouterr()
        assert err == ""
        lines = out.splitlines()
        if shell == "bash":
            return [line.partition(",")[2] for line in lines]
        return lines[1::3]


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(monkeypatch, capsys)


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("runstone runs list --experiment ir", ["iris", "iris flowers"]),
        ("runstone experiments get iris", ["iris", "iris flowers"]),
        ("runstone experiments get x'%", []),
        ("runstone models get n", ["net"]),
        ("runstone models get net ", ["2", "1", "@champion"]),
        ("runstone registry tag set n", ["net"]),
        ("runstone models get nobody ", []),
    ],
)
def test_names_are_completed(
    uri: str, shell: Shell, monkeypatch: pytest.MonkeyPatch, typed: str, offered: list[str]
) -> None:
    monkeypatch.setenv("RUNSTONE_TRACKING_URI", uri)
    assert sorted(shell.completed("zsh", typed)) == sorted(offered)


def test_run_ids_are_completed_in_bash_and_by_the_uri_that_is_typed(uri: str, shell: Shell) -> None:
    [run] = runstone.Client(uri).search_runs(["0"])
    run_id = run.info.run_id
    for before in (f"runstone --tracking-uri {uri} ", "runstone "):
        after = "" if "uri" in before else f"--tracking-uri {uri} "
        assert shell.completed("bash", f"{before}runs get {after}{run_id[:2]}") == [run_id]
    # Two words to bash, and so never the one that is meant.
    asked = f"runstone --tracking-uri {uri} experiments get ir"
    assert shell.completed("bash", asked) == ["iris"]


@pytest.mark.parametrize("place", ["runstone://127.0.0.1:1", "nonsense://", "./not-there", ""])
def test_without_a_suite_nothing_is_completed_and_none_is_started(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RUNSTONE_TRACKING_URI", place)
    assert shell.completed("zsh", "runstone runs list --experiment ") == []
    assert list(tmp_path.iterdir()) == []
