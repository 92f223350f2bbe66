"""What an MLproject file may say, and what is said where it says something else."""

from __future__ import annotations

from pathlib import Path

import pytest

from runstone._projects import mlproject
from runstone._projects.mlproject import (
    CondaEnv,
    DockerEnv,
    EntryPoint,
    Parameter,
    Project,
    PythonEnv,
)
from runstone.exceptions import ProjectInvalid

TUTORIAL = """\
name: tutorial

python_env: python_env.yaml

entry_points:
  main:
    parameters:
      alpha: {type: float, default: 0.5}
      l1_ratio: {type: float, default: 0.1}
    command: "python train.py {alpha} {l1_ratio}"
"""

DOCUMENTED = """\
name: My Project

conda_env: my_env.yaml

entry_points:
  main:
    parameters:
      data_file: path
      regularization: {type: float, default: 0.1}
    command: "python train.py -r {regularization} {data_file}"
  validate:
    parameters:
      data_file: path
    command: "python validate.py {data_file}"
"""

MULTISTEP = """\
name: multistep_example
conda_env: conda.yaml
entry_points:
  etl_data:
    parameters:
      ratings_csv: path
      max_row_limit: {type: int, default: 100000}
    command: "python etl_data.py --ratings-csv {ratings_csv} --max-row-limit {max_row_limit}"
  main:
    parameters:
      als_max_iter: {type: int, default: 10}
    command: "python main.py --als-max-iter {als_max_iter}
                             --max-row-limit 3"
"""

DOCKER = """\
name: docker-example
docker_env:
  image: mlflow-docker-example
  volumes: ["/local/path:/container/mount/path"]
  environment: [["NEW_ENV_VAR", "new_var_value"], "VAR_TO_COPY_FROM_HOST_ENVIRONMENT"]
entry_points:
  main:
    command: python train.py
"""

CONTINUED = """\
entry_points:
  main:
    parameters:
      max_epochs: {type: int, default: 5}
      accelerator: {type: str, default: "auto"}
      verbose: {type: bool, default: True}
    command: |
        python train.py \\
          --trainer.max_epochs {max_epochs} \\
          --trainer.accelerator {accelerator} --verbose {verbose}
"""


def load(folder: Path, text: str, *files: str) -> Project:
    (folder / "MLproject").write_text(text)
    for name in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("")
    return mlproject.load(folder)


def test_the_example_of_the_tutorial(tmp_path: Path) -> None:
    project = load(tmp_path, TUTORIAL, "python_env.yaml")
    assert (project.name, project.environment) == ("tutorial", PythonEnv("python_env.yaml"))
    assert project.entry_point("main") == EntryPoint(
        "main",
        "python train.py {alpha} {l1_ratio}",
        {
            "alpha": Parameter("alpha", "float", "0.5"),
            "l1_ratio": Parameter("l1_ratio", "float", "0.1"),
        },
    )


def test_the_documented_examples(tmp_path: Path) -> None:
    project = load(tmp_path, DOCUMENTED, "my_env.yaml")
    assert project.environment == CondaEnv("my_env.yaml")
    assert project.entry_point("main").parameters["data_file"] == Parameter("data_file", "path")
    project = load(tmp_path, MULTISTEP, "conda.yaml")
    assert project.entry_point("main").parameters["als_max_iter"].default == "10"
    project = load(tmp_path, DOCKER)
    assert project.environment == DockerEnv(
        "mlflow-docker-example",
        ("/local/path:/container/mount/path",),
        (("NEW_ENV_VAR", "new_var_value"), "VAR_TO_COPY_FROM_HOST_ENVIRONMENT"),
    )
    declared = load(tmp_path, CONTINUED).entry_point("main").parameters
    assert [each.type for each in declared.values()] == ["int", "string", "bool"]
    assert declared["verbose"].default == "True"


def test_without_a_file_scripts_are_entry_points(tmp_path: Path) -> None:
    (tmp_path / "my train.py").touch()
    (tmp_path / "-c.py").touch()
    (tmp_path / "run.sh").touch()
    project = mlproject.load(tmp_path)
    assert (project.environment, project.entry_points) == (None, {})
    assert project.entry_point("my train.py").command == "python 'my train.py'"
    assert project.entry_point("-c.py").command == "python ./-c.py"
    assert project.entry_point("run.sh").command == "bash run.sh"


def test_a_file_of_the_environment_that_nobody_names(tmp_path: Path) -> None:
    assert load(tmp_path, "name: x", "conda.yaml").environment == CondaEnv("conda.yaml")
    # As with MLflow, this one first.
    assert load(tmp_path, "name: x", "python_env.yaml").environment == PythonEnv("python_env.yaml")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("trian", r"no entry point 'trian' in .* \(did you mean train\?\); there are train, and"),
        ("../x.py", "must be a path within the project"),
        ("/x.py", "must be a path within the project"),
        ("missing.py", "there is no file missing.py"),
        ("out.py", "is a link that leads out of the project"),
        ("x.R", "no entry point 'x.R'"),
    ],
)
def test_an_entry_point_that_is_none(tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / "x.py").touch()
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "out.py").symlink_to("../x.py")
    project = load(tmp_path / "project", "entry_points: {train: {command: python t.py}}")
    with pytest.raises(ProjectInvalid, match=said):
        project.entry_point(name)


ENTRY = "entry_points: {main: {command: python t.py, parameters: {a: %s}}}"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- a", "must hold a mapping"),
        ("a: [", "cannot be read as YAML"),
        ("name: a\nname: b", "the key 'name' stands twice"),
        ("name: [a]", r"name must be a text, not \['a'\]"),
        ("entrypoints: {}", r"entrypoints is no key .*did you mean entry_points\?"),
        ("databricks_spark_job: {}", "databricks_spark_job is no key"),
        ("entry_points: [a]", "entry_points must be a mapping"),
        ("entry_points: {main: python t.py}", "entry_points.main must be a mapping"),
        ("entry_points: {main: {}}", "entry_points.main must have a command"),
        ("entry_points: {main: {command: a, steps: [b]}}", "one of the two"),
        ("entry_points: {main: {command: ''}}", "command must be a text with a program's name"),
        ("entry_points: {main: {comand: x}}", r"main.comand is no key .*did you mean command\?"),
        ("entry_points: {main: {command: x, shell: 1}}", "main.shell must be true or false"),
        ("entry_points: {main: {command: 'x {a}'}}", r"uses \{a\}, which is not among"),
        ('entry_points: {main: {command: "x \'a"}}', "cannot be split into words"),
        ("entry_points: {main: {command: 'x | y'}}", r"main.command has '\|' outside of quotes"),
        (ENTRY % "{type: flaot}", r"type must be one of .* did you mean float|flaot"),
        (ENTRY % "{typ: float}", r"parameters.a.typ is no key .*did you mean type\?"),
        (ENTRY % "{type: float, default: x}", "a.default must be a number, not 'x'"),
        (ENTRY % "{type: int, default: 0.5}", "a.default must be a whole number"),
        (ENTRY % "{type: uri, default: x}", "a.default must be a URI"),
        (ENTRY % "{default: [1]}", "a.default must be a text, a number or a truth value"),
        ("entry_points: {main: {command: x, parameters: {-a: float}}}", "does not begin with '-'"),
        ("python_env: a.yaml", "there is no file a.yaml"),
        ("python_env: ../a.yaml", "must be a path within the project"),
        ("python_env: [a]", "must be the path of a file"),
        ("python_env: a\nconda_env: b", "exclude each other"),
        ("docker_env: {}", "image must be an image such as"),
        ("docker_env: {image: --privileged}", "image must be an image such as"),
        ("docker_env: {image: a b}", "image must be an image such as"),
        ("docker_env: {image: a, volumes: /a}", "volumes must be a list such as"),
        ("docker_env: {image: a, environment: [[A]]}", "environment must be a list such as"),
        ("docker_env: {image: a, environment: ['A=B']}", "environment must be a list such as"),
        ("docker_env: {image: a, volume: []}", r"did you mean volumes\?"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ProjectInvalid, match=said) as caught:
        load(tmp_path, text)
    assert str(tmp_path / "MLproject") in str(caught.value) or "no file" in said


def test_files_that_are_no_text_or_too_long(tmp_path: Path) -> None:
    (tmp_path / "MLproject").write_bytes(b"\xff")
    with pytest.raises(ProjectInvalid, match="cannot be read as YAML"):
        mlproject.load(tmp_path)
    (tmp_path / "MLproject").write_bytes(b"#" * (mlproject.MAX_BYTES + 1))
    with pytest.raises(ProjectInvalid, match="is longer than"):
        mlproject.load(tmp_path)
    (tmp_path / "MLproject").write_text("[" * 100_000)
    with pytest.raises(ProjectInvalid, match="cannot be read as YAML"):
        mlproject.load(tmp_path)
    (tmp_path / "mlproject").touch()
    with pytest.raises(ProjectInvalid, match="MLproject and mlproject; keep one"):
        mlproject.load(tmp_path)
