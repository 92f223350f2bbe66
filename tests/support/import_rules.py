"""A contract for import-linter: the rooms of a service, and which room may import which.

import-linter's own layers know whole modules only; a room here may be several files,
`sqlstore.py` and `sqlstore_runs.py`, and all of them obey the room's rule.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output

# Generated messages and stubs, wherever they stand, are one thing to the rules.
GENERATED = "pb2"
KIT = "runstone_kit"


class Arrow(NamedTuple):
    """What the files of one room may import."""

    rooms: frozenset[str]
    guarded: frozenset[str]


def parse_arrow(text: str) -> tuple[str, Arrow]:
    """Reads "room -> rooms : guarded packages". Raises ValueError."""
    room, separator, rest = text.partition("->")
    if not separator or not room.strip():
        raise ValueError(f"an arrow is 'room -> rooms : packages', not {text!r}")
    rooms, _, guarded = rest.partition(":")
    return room.strip(), Arrow(frozenset(rooms.split()), frozenset(guarded.split()))


def room_of(module: str, rooms: list[str]) -> str | None:
    """The room of `package.file…`: the longest room name that the file has or begins with.

    None for the package itself and for a file that is in no known room.
    """
    parts = module.split(".")
    if len(parts) < 2:
        return None
    name = parts[1]
    fitting = [room for room in rooms if name == room or name.startswith(f"{room}_")]
    return max(fitting, key=len, default=None)


def guarded_package(module: str) -> str:
    """The outside package of an import, with all generated code under one name."""
    if "_pb2" in module.rsplit(".", 1)[-1]:
        return GENERATED
    return module.split(".", maxsplit=1)[0]


class RoomsContract(Contract):
    """See the module. A file in no known room is a fault: every file has a place."""

    type_name = "rooms"

    # import-linter puts the parsed values in the place of these fields.
    packages: Any = fields.ListField(subfield=fields.StringField())
    arrows: Any = fields.ListField(subfield=fields.StringField())
    guarded: Any = fields.SetField(subfield=fields.StringField())
    kit_errors_only: Any = fields.SetField(subfield=fields.StringField())

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        """Collects one line per import that no arrow allows."""
        arrows = dict(parse_arrow(text) for text in self.arrows)
        faults: list[str] = []
        for package in self.packages:
            for module in sorted(graph.find_descendants(package)):
                faults += self._faults(graph, package, module, arrows)
        return ContractCheck(kept=not faults, metadata={"faults": faults})

    def _faults(
        self, graph: ImportGraph, package: str, module: str, arrows: dict[str, Arrow]
    ) -> Iterator[str]:
        room = room_of(module, list(arrows))
        if room is None:
            if module != f"{package}.__main__":
                yield f"{module}: is in no room; name it after one of {', '.join(arrows)}"
            return
        for imported in sorted(graph.find_modules_directly_imported_by(module)):
            reason = self._refusal(room, arrows, package, imported)
            if reason:
                yield f"{module} -> {imported}: {reason}"

    def _refusal(
        self, room: str, arrows: dict[str, Arrow], package: str, imported: str
    ) -> str | None:
        """Why a file of `room` may not import `imported`; None when it may."""
        arrow = arrows[room]
        top = imported.split(".", maxsplit=1)[0]
        if top == package:
            other = room_of(imported, list(arrows))
            allowed = other is None or other == room or other in arrow.rooms
            return None if allowed else f"no arrow from {room} to {other}"
        if top == KIT and room in self.kit_errors_only:
            return None if imported == f"{KIT}.errors" else f"{room} imports only {KIT}.errors"
        outside = guarded_package(imported)
        if outside in self.guarded and outside not in arrow.guarded:
            return f"{outside} is not for {room}"
        return None

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Prints the faults."""
        for fault in check.metadata["faults"]:
            output.print_error(fault, bold=False)
            output.new_line()
