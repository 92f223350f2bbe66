"""Every variable with our prefix that something reads; a test compares it with the servers'."""

from __future__ import annotations

import difflib

from runstone import _settings

PREFIX = "RUNSTONE_"

OTHERS = frozenset(
    {"RUNSTONE_DISABLE_PROGRESS", "RUNSTONE_KIT_WORKER", "RUNSTONE_KUBE_TRACKING_URI"}
)
"""Read by parts of the client that need no setting, and by the kit."""

COMMON = (
    *("database_url", "listen", "metrics_port", "workers", "max_threads", "max_waiting"),
    *("pool_size", "default_deadline_s", "shutdown_delay_s", "shutdown_grace_s", "reflection"),
    *("log_level", "log_format", "access_log", "tokens_file", "service_token"),
)
"""Settings of every server."""

SERVERS = {
    "tracking": ("compaction",),
    "artifact": ("objects_url", "objects_public_url", "tracking_address", "max_transfers"),
    "registry": (
        *("artifact_address", "tracking_address", "lease_s", "sweep_interval_s"),
        *("webhooks_allow_private", "webhooks_timeout_s", "webhooks_threads"),
    ),
    "gateway": (
        *("tracking_address", "artifact_address", "registry_address", "allowed_hosts"),
        *("allowed_origins", "max_json_bytes", "max_transfers", "presigned", "presigned_only"),
    ),
    "suite": ("data_dir", "objects_url", "objects_public_url", "http_port", "idle_timeout"),
}
"""Settings of each server besides."""

SECRET_FIELDS = frozenset({"database_url", "objects_url", "service_token"})
"""They can also come from a file, by their name with _FILE."""

NEAR = 0.65
"""difflib's ratio, without the prefix that all share: finds TRACKING_URL, DATADIR, DB_URL."""


def of_servers() -> frozenset[str]:
    """What the servers read, for one or for all of them."""
    found = set()
    for service, own in SERVERS.items():
        for field in (*COMMON, *own):
            for name in (field, f"{service}_{field}"):
                found.add(PREFIX + name.upper())
                if field in SECRET_FIELDS:
                    found.add(f"{PREFIX}{name.upper()}_FILE")
    return frozenset(found)


def known() -> frozenset[str]:
    """All of them."""
    return of_servers() | OTHERS | frozenset(_settings.CLIENT_VARIABLES)


def nearest(name: str) -> str:
    """The known one that is most like it; empty when none is."""
    own = name.removeprefix(PREFIX)
    if shortened := [each for each in _settings.CLIENT_VARIABLES if each.endswith(f"_{own}")]:
        return shortened[0]
    # What is mistyped on a training machine is meant for the client, mostly.
    for names in (_settings.CLIENT_VARIABLES, sorted(known())):
        bare = {each.removeprefix(PREFIX): each for each in names}
        if found := difflib.get_close_matches(own, bare, 1, NEAR):
            return bare[found[0]]
    return ""
