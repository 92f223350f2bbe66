"""Whether each service takes calls: what other lines tell is not told again."""

import pytest

from runstone._doctor import access
from runstone._doctor.model import FAILURE, Asked
from runstone.exceptions import InternalError, RunstoneException, Unavailable, Unimplemented

ASKED = Asked(tracking_uri="runstone://127.0.0.1:1")


@pytest.mark.parametrize(
    ("error", "statuses"),
    [
        (Unavailable("away"), []),
        # Another of the services answers there, which its own line says.
        (Unimplemented("no such call"), []),
        (InternalError("broken"), [FAILURE]),
    ],
)
def test_what_a_call_meets(
    error: RunstoneException, statuses: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def ask(*_: object) -> None:
        raise error

    monkeypatch.setattr(access, "_ask", ask)
    assert [each.status for each in access.look(ASKED, "access.registry")] == statuses
