"""Small rules: sizes of pages, digests of creates, backoff of the sweeper."""

from types import MappingProxyType

import pytest

from runstone_kit.errors import InvalidArgument, Unavailable
from runstone_registry.errors import EtagMismatch, RequestIdReused, TagNotFound
from runstone_registry.model import PendingOwner, Remembered
from runstone_registry.service_base import (
    MAX_TAGS_BYTES,
    audited_tags,
    check_etag,
    digest_of,
    remembered,
    tags_size,
)
from runstone_registry.service_models import without
from runstone_registry.service_sweep import MAX_RETRY_MS, RETRY_MS, Sweeper
from runstone_registry.sqlstore_rows import cut
from support.registry import FakeArtifacts, FakeClock, away


def test_a_page_has_at_least_one_row() -> None:
    assert cut([], 3, 10) == ([], False)
    assert cut([("a", 99)], 3, 10) == (["a"], False)
    assert cut([("a", 99), ("b", 1)], 3, 10) == (["a"], True)
    assert cut([("a", 5), ("b", 5), ("c", 0)], 3, 10) == (["a", "b", "c"], False)
    assert cut([("a", 5), ("b", 5), ("c", 1)], 3, 10) == (["a", "b"], True)
    assert cut([("a", 1), ("b", 1)], 1, 10) == (["a"], True)


def test_a_digest_heeds_content_and_not_order() -> None:
    one = digest_of("A", "n", {"a": "1", "b": "2"})
    assert one == digest_of("A", "n", MappingProxyType({"b": "2", "a": "1"}))
    others = [
        digest_of("B", "n", {"a": "1", "b": "2"}),
        digest_of("A", "n", {"a": "1", "b": "3"}),
        digest_of("A", "n", {"a": "1"}),
        digest_of("A", "m", {"a": "1", "b": "2"}),
    ]
    assert len({one, *others}) == 5


class Known:
    """A session that remembers one create."""

    def remembered(self, request_id: str) -> Remembered | None:
        return Remembered("once", "digest", "m", "s", 1) if request_id == "once" else None


def test_a_request_id_is_for_one_create() -> None:
    session = Known()
    assert remembered(session, "", "digest") is None  # type: ignore[arg-type]
    assert remembered(session, "other", "digest") is None  # type: ignore[arg-type]
    assert remembered(session, "once", "digest") is not None  # type: ignore[arg-type]
    with pytest.raises(RequestIdReused):
        remembered(session, "once", "another")  # type: ignore[arg-type]


def test_an_empty_etag_is_not_checked() -> None:
    check_etag("", "now")
    check_etag("now", "now")
    with pytest.raises(EtagMismatch):
        check_etag("before", "now")


def test_tags_are_measured_in_bytes() -> None:
    assert tags_size({"é": "😀"}) == 6
    assert tags_size({"k": "v" * (MAX_TAGS_BYTES - 1)}) == MAX_TAGS_BYTES
    with pytest.raises(InvalidArgument):
        tags_size({"k": "v" * MAX_TAGS_BYTES})
    assert audited_tags({"k": "v" * 501})["tags.k"] == "v" * 500 + "…"
    assert without({"a": "1", "b": "2"}, ["a", "a"]) == {"b": "2"}
    with pytest.raises(TagNotFound):
        without({}, ["a"])


class Outbox:
    """A store that holds pending owners only, and may be away."""

    def __init__(self, *owners: PendingOwner) -> None:
        self.owners = {owner.model_version_id: owner for owner in owners}
        self.away = False

    def read(self, work):  # type: ignore[no-untyped-def]
        if self.away:
            raise Unavailable("gone", reason="DATABASE_UNAVAILABLE")
        return work(self)

    write = read

    def due_owners(self, now_ms: int, limit: int) -> list[PendingOwner]:
        return [owner for owner in self.owners.values() if owner.due_ms <= now_ms][:limit]

    def claim_owner(self, owner: str, now_ms: int, retry_ms: int) -> bool:
        before = self.owners.get(owner)
        if before is None or before.due_ms > now_ms:
            return False
        self.owners[owner] = PendingOwner(owner, retry_ms, before.attempts + 1)
        return True

    def drop_owner(self, owner: str) -> None:
        del self.owners[owner]

    def forget_requests(self, before_ms: int) -> None:
        pass


def test_the_sweeper_waits_longer_each_time() -> None:
    outbox = Outbox(PendingOwner("o", 0))
    clock, artifacts = FakeClock(), FakeArtifacts(fault=away())
    sweeper = Sweeper(outbox, artifacts, clock)  # type: ignore[arg-type]
    waits = []
    for _ in range(12):
        assert sweeper.sweep() == 0
        waits.append(outbox.owners["o"].due_ms - clock.now)
        clock.now = outbox.owners["o"].due_ms
    assert waits[:3] == [RETRY_MS, 2 * RETRY_MS, 4 * RETRY_MS]
    assert waits[-1] == MAX_RETRY_MS
    artifacts.fault = lambda _method: None
    assert sweeper.sweep() == 1
    assert outbox.owners == {}


def test_the_sweeper_bears_a_database_that_is_away() -> None:
    outbox = Outbox(PendingOwner("o", 0))
    outbox.away = True
    sweeper = Sweeper(outbox, FakeArtifacts(), FakeClock())  # type: ignore[arg-type]
    assert sweeper.sweep() == 0
    sweeper.delete_now(["o"])
    outbox.away = False
    assert sweeper.sweep() == 1
