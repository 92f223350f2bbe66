"""The services: whether they answer, how fast, whether they are well, their version and clock."""

from __future__ import annotations

import statistics
import time
from typing import Any

from runstone import _uri, _version
from runstone._doctor import health, places
from runstone._doctor.model import FAILURE, OK, WARNING, Asked, Line, Lines

NAMES = {
    "tracking": "runstone.tracking.v1.TrackingService",
    "artifact": "runstone.artifact.v1.ArtifactService",
    "registry": "runstone.registry.v1.RegistryService",
}

DEPENDS = {
    "tracking": {"database": "database"},
    "artifact": {"database": "database", "objects": "object store"},
    "registry": {"database": "database"},
}
"""What the health of each service asks, by the name it asks it by, and what people call it."""

CALLS = 5
"""Probes; their median is told."""

SLOW_SECONDS = 0.25
"""A call that takes so long is told: a script makes hundreds of them."""

CALL_SECONDS = 3.0
"""A probe that takes longer has no answer."""

SKEWED_SECONDS = 2.0
"""Points and runs of machines that differ by this cannot be put in order."""

FAR_SECONDS = 300.0
"""Tokens and signed URLs of a machine that differs by this are refused."""


def look(asked: Asked, name: str) -> Lines:
    """The lines of one service; ``name`` is ``service.tracking`` or another's."""
    service = name.partition(".")[2]
    targets = places.targets(asked)
    target = targets[service]
    where = places.place(asked, target)
    if where is None:
        return
    import grpc

    variable, seconds = _variable(targets, service), asked.within(CALL_SECONDS)
    channel = _open(where)
    try:
        answers = [health.ask(channel, NAMES[service], seconds) for _ in range(CALLS)]
        yield _reached(name, service, variable, where, answers)
        if answers[-1].status is None:
            return
        yield from _parts(name, service, channel, seconds)
    except grpc.RpcError as error:
        yield _away(name, variable, where, error)
        return
    except ValueError:
        yield _stranger(name, variable, where)
        return
    finally:
        channel.close()
    # Services at one address are one process: said once.
    first = next(each for each in _uri.SERVICES if targets[each] == target)
    if service == first:
        yield _versions(service, answers[-1].version)
        yield _clock(service, answers)


def _open(where: places.Place) -> Any:
    from runstone import _channel

    address = _channel.Address(where.address, where.tls)
    proxy = int(not _channel.stays_here(where.address))
    return _channel.open_channel(address, [("grpc.enable_http_proxy", proxy)])


def _variable(targets: dict[str, _uri.Target], service: str) -> str:
    """What names the address of a service."""
    own = targets[service] != targets["tracking"]
    return f"RUNSTONE_{service.upper()}_URI" if own else "RUNSTONE_TRACKING_URI"


def _reached(
    name: str, service: str, variable: str, where: places.Place, answers: list[health.Answer]
) -> Line:
    first, last = answers[0], answers[-1]
    median = statistics.median(each.seconds for each in answers[1:])
    details = {
        "target": where.label,
        "address": where.address,
        "first_ms": _ms(first.seconds),
        "median_ms": _ms(median),
        "calls": len(answers),
        "health": last.status,
    }
    if last.status is None:
        return Line(
            name,
            FAILURE,
            f"what answers at {where.label} is not the {service} service",
            f"correct {variable}; services with addresses of their own are named as"
            " runstone://host?artifact=host:port&registry=host:port",
            details,
        )
    took = f"median {_ms(median):g} ms, the first call {_ms(first.seconds):g} ms"
    if last.status != health.SERVING:
        return Line(
            name,
            FAILURE,
            f"the {service} service at {where.label} answers ({took}) and says that it cannot"
            " serve",
            "see which part below; the server's log says why",
            details,
        )
    if median > SLOW_SECONDS:
        return Line(
            name,
            WARNING,
            f"the {service} service at {where.label} answers slowly: {took}",
            "log_metric does not wait for it; for the other calls run nearer to the server, or look"
            " at its load",
            details,
        )
    return Line(
        name, OK, f"the {service} service at {where.label} answers: {took}", details=details
    )


def _parts(name: str, service: str, channel: Any, seconds: float) -> Lines:
    for part, called in DEPENDS[service].items():
        own = f"{name}.{part}"
        answer = health.ask(channel, f"{NAMES[service]}/{part}", seconds)
        if answer.status == health.SERVING:
            yield Line(own, OK, f"the {called} of the {service} service answers it")
        elif answer.status is None:
            yield Line(own, OK, f"this server does not tell how its {called} is")
        else:
            yield Line(
                own,
                FAILURE,
                f"the {service} service cannot use its {called}",
                _what_to_do(part),
                {"health": answer.status},
            )


def _what_to_do(part: str) -> str:
    if part == "objects":
        return (
            "start the object store, or see RUNSTONE_OBJECTS_URL of the server (bucket, keys);"
            " its log has the reason"
        )
    return (
        "start the database, or see RUNSTONE_DATABASE_URL of the server; on SQLite, the disk of its"
        " data folder. Its log has the reason"
    )


def _away(name: str, variable: str, where: places.Place, error: Any) -> Line:
    from runstone import _failures

    code = error.code().name
    said = _failures.plainly(code, error.details() or "", where.label)
    details = {"target": where.label, "address": where.address, "code": code}
    if "does not speak gRPC" in said or code in ("UNIMPLEMENTED", "UNKNOWN", "INTERNAL"):
        return Line(
            name,
            FAILURE,
            said,
            f"something else listens there: correct {variable}"
            f" (gRPC's port is {_uri.DEFAULT_PORT} unless said)",
            details,
        )
    if "name is not known" in said:
        fix = f"correct the host's name in {variable}; or this machine's DNS does not know it"
        return Line(name, FAILURE, said, fix, details)
    if "TLS" in said:
        return Line(name, FAILURE, said, f"see the lines of tls; or correct {variable}", details)
    if code in ("UNAUTHENTICATED", "PERMISSION_DENIED"):
        return Line(
            name, FAILURE, said, "log in to that proxy, or call the server past it", details
        )
    if where.address.startswith("unix:"):
        fix = "the suite is ending or hangs: see suite.log in its data folder"
    else:
        fix = f"start the server there (runstone server), or correct {variable}; then firewalls"
    return Line(name, FAILURE, said, fix, details)


def _stranger(name: str, variable: str, where: places.Place) -> Line:
    return Line(
        name,
        FAILURE,
        f"what answers at {where.label} is no Runstone server",
        f"something else listens there: correct {variable}",
        {"target": where.label, "address": where.address},
    )


def _versions(service: str, told: str) -> Line:
    own = _version.__version__
    name = f"version.{service}"
    details = {"client": own, "server": told}
    if not told:
        return Line(
            name,
            WARNING,
            f"the server does not tell its version; this client is {own}",
            "update the server: from 0.1.0 on it tells",
            details,
        )
    theirs, ours = _ordered(told), _ordered(own)
    if theirs[:1] < ours[:1]:
        return Line(
            name,
            FAILURE,
            f"the server is {told}, this client {own}: a major release apart",
            f"update the server, or pip install 'runstone=={told}'",
            details,
        )
    if theirs < ours:
        return Line(
            name,
            WARNING,
            f"the server is {told}, older than this client ({own}): new calls fail there",
            f"update the server to {own} (servers first, clients after)",
            details,
        )
    if theirs[:1] > ours[:1]:
        return Line(
            name,
            WARNING,
            f"the server is {told}, this client {own}: a major release behind",
            "pip install --upgrade runstone",
            details,
        )
    fits = "as this client" if theirs == ours else f"newer, and serves this client ({own})"
    return Line(name, OK, f"the server is {told}, {fits}", details=details)


def _ordered(version: str) -> tuple[int, ...]:
    numbers = []
    for part in version.split(".")[:3]:
        digits = "".join(each for each in part if each.isdigit())
        numbers.append(int(digits or 0))
    return tuple(numbers)


def skew(answers: list[health.Answer]) -> tuple[float, float] | None:
    """The server's clock minus ours, as the bounds that every answer leaves; None: it is not told.

    The server read its clock somewhere between our sending and our receiving. So the difference is
    at least (its time - our end) and at most (its time - our beginning); what all answers allow is
    between the largest of the first and the smallest of the second.
    """
    told = [each for each in answers if each.time is not None]
    if not told:
        return None
    least = max((each.time or 0.0) - each.ended for each in told)
    most = min((each.time or 0.0) - each.began for each in told)
    # A clock that was set meanwhile leaves nothing in between.
    return min(least, most), max(least, most)


def _clock(service: str, answers: list[health.Answer]) -> Line:
    name = f"clock.{service}"
    bounds = skew(answers)
    if bounds is None:
        return Line(name, OK, "the server does not tell its clock")
    least, most = bounds
    middle, within = (least + most) / 2, (most - least) / 2
    details = {
        "skew_ms": _ms(middle),
        "within_ms": _ms(within),
        "least_ms": _ms(least),
        "most_ms": _ms(most),
        "here": time.time(),
        "bound": "its time lies between our sending and our receiving; all probes together",
    }
    near = 0.0 if least <= 0.0 <= most else min(abs(least), abs(most))
    if near < SKEWED_SECONDS:
        return Line(
            name,
            OK,
            f"the server's clock is {_apart(middle)}, within {_ms(within):g} ms",
            details=details,
        )
    return Line(
        name,
        FAILURE if near >= FAR_SECONDS else WARNING,
        f"the server's clock is {_apart(middle)}, within {_ms(within):g} ms",
        "set both clocks by NTP (timedatectl set-ntp true); times of runs and points are those of"
        " the machine that logs, and signed URLs and tokens fail by minutes",
        details,
    )


def _apart(seconds: float) -> str:
    size = abs(seconds)
    text = f"{size * 1000:.0f} ms" if size < 1 else f"{size:.1f} s"
    return f"{text} {'ahead of' if seconds >= 0 else 'behind'} ours"


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 2)
