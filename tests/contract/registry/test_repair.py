"""What breaks off leaves nothing behind: reservations, peers that are away, the sweeper."""

import threading

import pytest

from runstone_kit.errors import Unavailable
from runstone_kit.ids import SystemIds
from runstone_registry.errors import PeerUnavailable, VersionNotReady
from runstone_registry.model import AuditEvent, PendingOwner, Stage, VersionStatus
from runstone_registry.model_commands import (
    CreateVersion,
    Listing,
    Transition,
    UploadSource,
    VersionSelector,
)
from runstone_registry.service_sweep import INLINE, LEASE_MS, MAX_RETRY_MS
from runstone_registry.store import WriteSession
from support.processes import wait_until
from support.registry import Died, Registry, away, dies


def untouched(registry: Registry) -> None:
    """The model has no version, and the audit tells of none."""
    events = registry.service.list_audit_events(Listing("churn")).items
    assert [event.action for event in events] == ["CreateRegisteredModel"]
    assert registry.service.get_registered_model("churn").latest_versions == ()


def test_the_peers_are_away(registry: Registry) -> None:
    registry.model()
    registry.runs.away = True
    with pytest.raises(PeerUnavailable) as caught:
        registry.version()
    assert (caught.value.reason, caught.value.metadata) == (
        "PEER_UNAVAILABLE",
        {"peer": "tracking"},
    )
    assert registry.pending() == []
    registry.runs.away = False
    registry.artifacts.fault = away()
    with pytest.raises(PeerUnavailable):
        registry.version()
    with pytest.raises(PeerUnavailable):
        registry.service.create_model_version(CreateVersion("churn", UploadSource()))
    untouched(registry)
    registry.artifacts.fault = lambda _method: None
    # The copy may still be under way at the peer, so it is left alone until it surely ended.
    assert registry.sweeper.sweep() == 0
    registry.clock.advance(LEASE_MS / 1000)
    assert registry.sweeper.sweep() == 2
    assert registry.pending() == []
    assert registry.version().version == 1


@pytest.mark.parametrize("when", ["before", "after"])
def test_the_service_dies_around_the_copy(registry: Registry, when: str) -> None:
    registry.model()
    if when == "before":
        registry.artifacts.fault = dies("copy_run_artifacts")
    else:
        registry.artifacts.after = dies("copy_run_artifacts")
    with pytest.raises(Died):
        registry.version()
    untouched(registry)
    assert len(registry.artifacts.owners) == (when == "after")
    assert len(registry.pending()) == 1
    # The next process must not take it for dead too early: it may be another replica's.
    assert registry.sweeper.sweep() == 0
    registry.clock.advance(LEASE_MS / 1000)
    assert registry.sweeper.sweep() == 1
    assert registry.artifacts.owners == {}
    assert registry.pending() == []
    registry.artifacts.fault = registry.artifacts.after = lambda _method: None
    assert registry.version().version == 1


def test_the_database_fails_when_the_version_is_stored(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.model()

    def full(_self: object, _event: AuditEvent) -> None:
        raise Unavailable("gone", reason="DATABASE_UNAVAILABLE")

    session = type(registry.store.write(lambda tx: tx))
    with monkeypatch.context() as patch:
        patch.setattr(session, "append_audit", full)
        with pytest.raises(Unavailable):
            registry.version()
    untouched(registry)
    # Whether it was committed is not known then; the reservation is.
    assert len(registry.artifacts.owners) == 1
    registry.clock.advance(LEASE_MS / 1000)
    registry.sweeper.sweep()
    assert registry.artifacts.owners == {}
    assert registry.version().version == 1


def test_a_change_without_its_audit_event_does_not_happen(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = registry.service
    registry.model()
    registry.version()
    before = service.get_registered_model("churn")

    def broken(_self: object, _event: AuditEvent) -> None:
        raise ZeroDivisionError

    session = type(registry.store.write(lambda tx: tx))
    with monkeypatch.context() as patch:
        patch.setattr(session, "append_audit", broken)
        for change in (
            lambda: registry.model("other"),
            lambda: service.update_registered_model("churn", "x", ""),
            lambda: service.rename_registered_model("churn", "x", ""),
            lambda: service.set_registered_model_tags("churn", {"a": "1"}),
            lambda: service.set_model_alias("churn", "a", 1, ""),
            lambda: service.set_model_version_tags("churn", 1, {"a": "1"}),
            lambda: service.update_model_version("churn", 1, "x", ""),
            lambda: service.transition_model_version_stage(Transition("churn", 1, Stage.STAGING)),
            lambda: service.delete_model_version("churn", 1, ""),
            lambda: service.delete_registered_model("churn", ""),
        ):
            with pytest.raises(ZeroDivisionError):
                change()
    assert service.get_registered_model("churn") == before
    assert registry.pending() == []


def test_a_create_that_outlives_its_lease_fails(registry: Registry) -> None:
    registry.model()

    def slow(method: str) -> None:
        if method == "copy_run_artifacts":
            registry.clock.advance(LEASE_MS / 1000)
            registry.sweeper.sweep()

    registry.artifacts.after = slow
    with pytest.raises(PeerUnavailable):
        registry.version()
    untouched(registry)
    assert registry.artifacts.owners == {}
    registry.artifacts.after = lambda _method: None
    assert registry.version().version == 1


def test_a_claimed_owner_belongs_to_one_sweeper(registry: Registry) -> None:
    def reserve(tx: WriteSession) -> None:
        tx.reserve_owner(PendingOwner("f" * 32, 1000))

    def claim(tx: WriteSession) -> bool:
        return tx.claim_owner("f" * 32, 1000, 9000)

    registry.store.write(reserve)
    assert registry.store.write(lambda tx: tx.claim_owner("f" * 32, 999, 9000)) is False
    assert registry.store.write(claim) is True
    assert registry.store.write(claim) is False
    assert registry.store.write(lambda tx: tx.settle_owner("f" * 32)) is False
    (owner,) = registry.store.read(lambda tx: tx.due_owners(9000, 5))
    assert (owner.due_ms, owner.attempts) == (9000, 1)


def test_a_deletion_is_made_up_for_when_the_peer_is_back(registry: Registry) -> None:
    registry.model()
    for _ in range(3):
        registry.version()
    registry.artifacts.fault = away("delete")
    registry.service.delete_model_version("churn", 1, "")
    registry.service.delete_registered_model("churn", "")
    assert len(registry.artifacts.owners) == len(registry.pending()) == 3
    waited = 0
    while registry.artifacts.owners:
        waited += 60
        registry.clock.advance(60)
        if waited > 3 * MAX_RETRY_MS / 1000:
            registry.artifacts.fault = lambda _method: None
        assert waited < 5 * MAX_RETRY_MS / 1000
        registry.sweeper.sweep()
    assert registry.pending() == []


def test_many_versions_are_deleted_in_rounds(registry: Registry) -> None:
    registry.model()
    for _ in range(INLINE + 5):
        registry.version()
    registry.service.delete_registered_model("churn", "")
    assert len(registry.artifacts.owners) == 5
    assert registry.sweeper.sweep() == 5
    assert registry.artifacts.owners == {}


def test_finalizing_waits_for_the_peer(registry: Registry) -> None:
    registry.model()
    version = registry.upload(files=2)
    registry.artifacts.fault = away("seal")
    with pytest.raises(PeerUnavailable):
        registry.service.finalize_model_version("churn", 1, "")
    found = registry.service.get_model_version(VersionSelector("churn", version=1))
    assert found == version
    registry.artifacts.fault = lambda _method: None
    # Dies between the seal and its own transaction: repeating it is fine.
    registry.artifacts.after = dies("seal")
    with pytest.raises(Died):
        registry.service.finalize_model_version("churn", 1, "")
    registry.artifacts.after = lambda _method: None
    done = registry.service.finalize_model_version("churn", 1, "")
    assert done.status is VersionStatus.READY


def test_an_upload_is_given_up_while_it_is_sealed(registry: Registry) -> None:
    registry.model()
    registry.upload(files=2)

    def give_up(method: str) -> None:
        if method == "seal":
            registry.service.finalize_model_version("churn", 1, "changed my mind")

    registry.artifacts.fault = give_up
    with pytest.raises(VersionNotReady):
        registry.service.finalize_model_version("churn", 1, "")
    assert registry.artifacts.owners == {}


def test_the_background_job_sweeps_at_start_and_when_nudged(registry: Registry) -> None:
    registry.model()
    registry.store.write(lambda tx: tx.orphan_owner("e" * 32, 0))
    registry.artifacts.owners["e" * 32] = 1
    stop = threading.Event()
    thread = threading.Thread(target=registry.sweeper.run, args=(stop, 3600.0, SystemIds()))
    thread.start()
    try:
        wait_until(lambda: not registry.pending())
        registry.store.write(lambda tx: tx.orphan_owner("d" * 32, 0))
        registry.sweeper.nudge()
        wait_until(lambda: not registry.pending())
    finally:
        stop.set()
        registry.sweeper.nudge()
        thread.join(10)
    assert not thread.is_alive()
    assert registry.artifacts.owners == {}
