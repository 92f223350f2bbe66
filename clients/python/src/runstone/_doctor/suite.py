"""The embedded suite: whether one serves the data folder, and whether one could."""

from __future__ import annotations

import importlib.util

from runstone._doctor import places
from runstone._doctor.model import FAILURE, OK, WARNING, Asked, Line, Lines

FREE = "runstone server, or any first call, starts one"


def look(asked: Asked, name: str) -> Lines:
    """One line for each data folder; none when the services are somebody else's."""
    for folder in places.data_folders(asked):
        yield _line(name, places.suite(asked, folder))


def _line(name: str, found: places.Suite) -> Line:
    from runstone import _datadir

    details = {"data_dir": str(found.folder), "address": found.address, "suite": found.says}
    if found.address:
        says = found.says or {}
        return Line(
            name,
            OK,
            f"a {says.get('mode', '')} suite, pid {says.get('pid')}, serves {found.folder}",
            details=details,
        )
    if strange := _strangers(found):
        return Line(
            name,
            FAILURE,
            f"{found.folder} is no data folder of Runstone: it holds {strange}",
            "set RUNSTONE_DATA_DIR to a folder that is empty or does not exist yet",
            details,
        )
    if importlib.util.find_spec("runstone_suite") is None:
        return Line(
            name,
            FAILURE,
            "no tracking URI is set and the server is not installed",
            "pip install runstone-server, or set RUNSTONE_TRACKING_URI=runstone://host:port",
            details,
        )
    if found.stale:
        return Line(
            name,
            WARNING,
            f"suite.json of {found.folder} names a suite that is gone: it was killed",
            f"nothing is lost, the next call starts another; {found.folder / 'suite.log'} may say"
            " why it went",
            details,
        )
    state = "no suite serves it now" if _datadir.is_data_folder(found.folder) else "not made yet"
    return Line(
        name, OK, f"{found.folder}: {state}; the first call starts one (--start does)", "", details
    )


def _strangers(found: places.Suite) -> str:
    from runstone import _datadir

    return "" if found.made else _datadir.strangers(found.folder)
