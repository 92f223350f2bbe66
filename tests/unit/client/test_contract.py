"""The client and the contract, compared by reflection: nothing of one is missing in the other."""

from __future__ import annotations

import inspect
import json
import re
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from runstone import Client, _channel
from runstone.auth.v1 import permission_pb2
from support.protos import FOLDER, SERVICES, comments, descriptor, reasons

LINE = re.compile(r"- ([A-Z_]+): ([A-Z_]+(?:, [A-Z_]+)*)(?: when [^.]+)?\.$")
RPCS = [(name, method) for name in SERVICES for method in descriptor(name).methods]
IDS = [method.name for _, method in RPCS]


def config_of(name: str) -> Any:
    return json.loads((FOLDER / name / "v1" / "service_config.json").read_text("utf-8"))


@cache
def configured(name: str) -> list[str]:
    config = config_of(name)
    service = descriptor(name).full_name
    names = [each for entry in config["methodConfig"] for each in entry["name"]]
    assert all(entry["timeout"] for entry in config["methodConfig"])
    assert {each["service"] for each in names} == {service}
    return [each["method"] for each in names]


def snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


@pytest.mark.parametrize("name", SERVICES)
def test_the_comments_name_every_reason_and_rpc(name: str) -> None:
    enum = import_module(f"runstone.{name}.v1.error_reason_pb2").ErrorReason.DESCRIPTOR
    names = {value.name.removeprefix("ERROR_REASON_") for value in enum.values if value.number}
    assert set(reasons(name)) == names
    assert set(comments(name)) == {method.name for method in descriptor(name).methods}


FOR_SERVERS = {"AppendBatches": "for who logs for many; a process for itself has append_metrics"}
"""RPCs without a method, and why."""


@pytest.mark.parametrize(("name", "rpc"), RPCS, ids=IDS)
def test_every_rpc_has_a_method(name: str, rpc: Any) -> None:
    if rpc.name in FOR_SERVERS:
        assert not hasattr(Client, snake(rpc.name))
        return
    method = getattr(Client, snake(rpc.name))
    assert callable(method)
    assert (method.__doc__ or "").strip()
    module = inspect.getsource(inspect.getmodule(method))  # type: ignore[arg-type]
    assert f"self._{name}.{rpc.name}(" in module


@pytest.mark.parametrize(("name", "rpc"), RPCS, ids=IDS)
def test_every_rpc_has_a_permission(name: str, rpc: Any) -> None:
    permission = rpc.GetOptions().Extensions[permission_pb2.permission]
    assert permission.resource
    assert permission.action != permission_pb2.ACTION_UNSPECIFIED


@pytest.mark.parametrize(("name", "rpc"), RPCS, ids=IDS)
def test_every_rpc_has_one_entry_in_the_service_config(name: str, rpc: Any) -> None:
    assert configured(name).count(rpc.name) == 1


@pytest.mark.parametrize("name", SERVICES)
def test_the_service_config_names_nothing_else(name: str) -> None:
    assert set(configured(name)) == {method.name for method in descriptor(name).methods}


@pytest.mark.parametrize("name", SERVICES)
def test_the_packaged_service_config_is_the_contracts(name: str) -> None:
    package = Path(import_module(f"runstone.{name}.v1").__file__ or "").parent
    contract = FOLDER / name / "v1" / "service_config.json"
    assert (package / "service_config.json").read_bytes() == contract.read_bytes()


@pytest.mark.parametrize(("name", "rpc"), RPCS, ids=IDS)
def test_every_rpc_lists_its_errors(name: str, rpc: Any) -> None:
    comment = comments(name)[rpc.name]
    listed = comment[comment.index("Errors:") + 1 :]
    assert listed
    for line in listed:
        found = LINE.match(line)
        assert found, line
        for reason in found[2].split(", "):
            assert reasons(name)[reason] == found[1], line


@pytest.mark.parametrize(("name", "rpc"), RPCS, ids=IDS)
def test_a_create_is_retried_by_those_alone_who_send_a_request_id(name: str, rpc: Any) -> None:
    keyed = rpc.name.startswith("Create") and "request_id" in rpc.input_type.fields_by_name
    assert keyed == (rpc.name in _channel.CREATES)
    if keyed:
        (entry,) = (
            each
            for each in config_of(name)["methodConfig"]
            if rpc.name in {named["method"] for named in each["name"]}
        )
        assert "retryPolicy" not in entry
        assert _channel.service(name).methods[rpc.name].idempotent


@pytest.mark.parametrize(("name", "rpc"), RPCS, ids=IDS)
def test_only_unavailable_is_retried(name: str, rpc: Any) -> None:
    config = config_of(name)
    for entry in config["methodConfig"]:
        if rpc.name in {each["method"] for each in entry["name"]} and "retryPolicy" in entry:
            assert entry["retryPolicy"]["retryableStatusCodes"] == ["UNAVAILABLE"]
