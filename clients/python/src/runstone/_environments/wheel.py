"""A wheel of the Runstone that runs here, for environments and images."""

from __future__ import annotations

import base64
import hashlib
import importlib.metadata
import re
import zipfile
from pathlib import Path

from runstone._version import __version__

OURS = re.compile(r"runstone(\[[^]]*\])?\s*([=<>!~;@ ]|$)")
"""A requirement that asks for Runstone, of which this one goes in."""


def own_wheel(folder: Path) -> Path:
    """A wheel of the Runstone that runs here: no index need have it, and both ends are the same."""
    package = Path(__file__).parents[1]
    path = folder / f"runstone-{__version__}-py3-none-any.whl"
    facts = f"runstone-{__version__}.dist-info"
    found = importlib.metadata.distribution("runstone")
    contents = {
        f"runstone/{file.relative_to(package).as_posix()}": file.read_bytes()
        for file in sorted(package.rglob("*"))
        if file.is_file() and "__pycache__" not in file.parts
    }
    for name in ("METADATA", "entry_points.txt"):
        contents[f"{facts}/{name}"] = (found.read_text(name) or "").encode()
    contents[f"{facts}/WHEEL"] = (
        b"Wheel-Version: 1.0\nGenerator: runstone\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    )
    record = [f"{name},sha256={_digest(data)},{len(data)}" for name, data in contents.items()]
    contents[f"{facts}/RECORD"] = "\n".join([*record, f"{facts}/RECORD,,", ""]).encode()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, data in contents.items():
            # Always of one time, so that the same files are the same wheel.
            archive.writestr(zipfile.ZipInfo(name), data)
    return path


def _digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
