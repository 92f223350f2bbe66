"""What this process may do: forks, its place among others, open files."""

from __future__ import annotations

import multiprocessing
import sys

from runstone import _uri
from runstone._doctor import places
from runstone._doctor.model import FAILURE, OK, WARNING, Asked, Line, Lines
from runstone._journal import rules

LEAST_FILES = 64
"""A journal, its sender and the channels to a server take some thirty."""

FEW_FILES = 1024
"""What Linux gives unless told otherwise; workers of a data loader need as much."""

FORK_SUPPORT = "GRPC_ENABLE_FORK_SUPPORT"

LOCAL_RANK = "LOCAL_RANK"

"""Calls to this machine pass proxies by."""

PROXIES = ("grpc_proxy", "https_proxy", "http_proxy")


def forks(asked: Asked, name: str) -> Lines:
    """How workers begin, and what gRPC is told of it."""
    default = multiprocessing.get_start_method(allow_none=True)
    method = default or multiprocessing.get_all_start_methods()[0]
    said = asked.environment.get(FORK_SUPPORT)
    details = {"start_method": method, FORK_SUPPORT: said}
    if said is None:
        yield Line(
            name, OK, f"workers begin by {method}; Runstone makes forks safe by itself", "", details
        )
    elif said.lower() in ("1", "true", "yes", "on", "t", "y"):
        yield Line(
            name,
            WARNING,
            f"{FORK_SUPPORT}={said}: gRPC's own handlers run at each fork, beside Runstone's",
            f"unset {FORK_SUPPORT}: Runstone has calls wait for a fork without it",
            details,
        )
    else:
        yield Line(name, OK, f"workers begin by {method}; {FORK_SUPPORT}={said}", "", details)


def grpc_settings(asked: Asked, name: str) -> Lines:
    """Variables that change how gRPC works, and proxies on the way."""
    found = {
        each: value
        for each, value in sorted(asked.environment.items())
        if each.startswith("GRPC_") and each != FORK_SUPPORT
    }
    proxy = next(
        (
            (each, value)
            for wanted in PROXIES
            for each in (wanted, wanted.upper())
            if (value := asked.environment.get(each))
        ),
        None,
    )
    details: dict[str, object] = {"variables": found, "proxy": proxy[1] if proxy else None}
    if found.get("GRPC_TRACE"):
        yield Line(
            name,
            WARNING,
            f"GRPC_TRACE={found['GRPC_TRACE']} has gRPC write a great deal, and slows every call",
            "unset GRPC_TRACE",
            details,
        )
    else:
        said = ", ".join(f"{each}={value}" for each, value in found.items())
        yield Line(name, OK, said or "no GRPC_ variable is set", details=details)
    if proxy and _leaves_the_machine(asked):
        yield Line(
            f"{name}.proxy",
            WARNING,
            f"{proxy[0]}={proxy[1]}: calls to servers beyond this machine go through that proxy",
            "if the server is not behind it, add its host to no_grpc_proxy (or no_proxy)",
            details,
        )


def _leaves_the_machine(asked: Asked) -> bool:
    remote = (each for each in places.targets(asked).values() if isinstance(each, _uri.Remote))
    return any(not _uri.is_loopback(each.host) for each in remote)


def ranks(asked: Asked, name: str) -> Lines:
    """Which rank the points of this process carry, by what its launcher says."""
    rank = rules.rank()
    launchers = dict(rules.LAUNCHERS)
    found = {
        each: asked.environment[each]
        for each in (*launchers, *launchers.values(), LOCAL_RANK)
        if asked.environment.get(each)
    }
    details = {"rank": rank, "variables": found}
    if rank is not None:
        yield Line(name, OK, f"points carry the rank {rank} ({_said(found)})", details=details)
        return
    halves = [(place, size) for place, size in launchers.items() if place in found]
    for place, size in halves:
        if size not in found:
            yield Line(
                name,
                WARNING,
                f"{place}={found[place]} is not used: {size} is not set, so this process trains"
                " alone",
                f"set {size} as well, or unset {place}",
                details,
            )
            return
        if not (found[place].isdigit() and found[size].isdigit()):
            yield Line(
                name,
                WARNING,
                f"{place}={found[place]} of {size}={found[size]} is no rank",
                "set both to whole numbers",
                details,
            )
            return
    why = f" ({_said(found)})" if found else ""
    yield Line(name, OK, f"this process trains alone: points carry no rank{why}", details=details)


def _said(found: dict[str, str]) -> str:
    return ", ".join(f"{each}={value}" for each, value in found.items())


def open_files(asked: Asked, name: str) -> Lines:
    """How many files and connections this process may have open."""
    del asked
    if sys.platform == "win32":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    details = {"soft": soft, "hard": hard}
    unlimited = soft == resource.RLIM_INFINITY
    text = "without limit" if unlimited else str(soft)
    if unlimited or soft >= FEW_FILES:
        yield Line(name, OK, f"open files: {text}", details=details)
        return
    status = FAILURE if soft < LEAST_FILES else WARNING
    yield Line(name, status, f"open files: only {text}", "ulimit -n 4096 before it starts", details)
