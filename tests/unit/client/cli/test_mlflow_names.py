"""MLflow's names of commands and options, as ours."""

import click
import pytest

from runstone.cli._mlflow_names import OPTIONS, translated
from support.commands import found, leaves


@pytest.mark.parametrize(
    ("path", "given", "ours"),
    [
        ("runs list", "--experiment-id 3 --view active_only", "--experiment 3 --view active"),
        ("runs describe", "--run-id=abc", "abc"),
        ("experiments rename", "--new-name b --experiment-id 3", "3 b"),
        ("experiments export", "-x 3 --filename out.csv", "--output out.csv 3"),
        ("artifacts log", "--run-id abc --local-file f -a below/here", "f abc/below/here"),
        ("artifacts download", "-r abc -a model -d to", "--to to abc model"),
        ("artifacts list", "abc model -r", "abc model -r"),
        ("artifacts log", "-- --run-id abc", "-- --run-id abc"),
        ("runs get", "--run-id", "--run-id"),
        ("runs describe", "--run-id", "--run-id"),
        ("models get", "--run-id abc", "--run-id abc"),
    ],
)
def test_options_are_translated(path: str, given: str, ours: str) -> None:
    assert translated(tuple(path.split()), given.split()) == ours.split()


def test_they_are_of_commands_that_there_are_and_hide_no_option_of_ours() -> None:
    assert set(OPTIONS) <= set(leaves())
    for path, names in OPTIONS.items():
        own = {name for each in found(path).params for name in each.opts if name.startswith("-")}
        assert not own & set(names), path
        targets = {place for place in names.values() if str(place).startswith("--")}
        assert targets <= own, path
        arguments = [each for each in found(path).params if isinstance(each, click.Argument)]
        places = [place for place in names.values() if isinstance(place, int)]
        assert max(places, default=-1) < len(arguments), path
