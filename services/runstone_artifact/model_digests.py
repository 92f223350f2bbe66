"""Two digests of the same bytes: SHA-256, which names them, and BLAKE3, which readers compare."""

from __future__ import annotations

import hashlib

from blake3 import blake3


class Digests:
    """Both in one pass: BLAKE3 adds a tenth to what SHA-256 takes."""

    def __init__(self, data: bytes = b"") -> None:
        self._sha256 = hashlib.sha256(data)
        self._blake3 = blake3(data)

    def update(self, data: bytes | memoryview) -> None:
        """These bytes come next."""
        self._sha256.update(data)
        self._blake3.update(data)

    @property
    def sha256(self) -> str:
        """In lower-case hexadecimal digits."""
        return self._sha256.hexdigest()

    @property
    def blake3(self) -> str:
        """In lower-case hexadecimal digits."""
        return self._blake3.hexdigest()
