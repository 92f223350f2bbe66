"""Which checks there are, in the order of the report."""

from __future__ import annotations

from runstone._doctor.model import Check

INSTALLATION = "Installation"
CONFIGURATION = "Configuration"
SERVER = "Server"
SECURITY = "Security"
FOLDERS = "Disks and folders"
WAITING = "Waiting for delivery"
PROCESS = "Process"

AWAY = "the server does not answer at all: see its address, its load, and firewalls on the way"
STUCK = "the disk there does not answer: is it a network's that is away?"

CHECKS = (
    Check("python", INSTALLATION, "installation:python"),
    Check("packages", INSTALLATION, "installation:packages"),
    Check("libraries", INSTALLATION, "installation:libraries"),
    Check("loading", INSTALLATION, "installation:loaded"),
    Check("optional", INSTALLATION, "installation:optional"),
    Check("uri", CONFIGURATION, "configuration:uris"),
    Check("settings", CONFIGURATION, "configuration:settings"),
    Check("variables", CONFIGURATION, "configuration:unknown"),
    Check("contradictions", CONFIGURATION, "configuration:contradictions"),
    Check("suite", SERVER, "suite:look", STUCK),
    Check("service.tracking", SERVER, "services:look", AWAY),
    Check("service.artifact", SERVER, "services:look", AWAY),
    Check("service.registry", SERVER, "services:look", AWAY),
    Check("gateway", SERVER, "gateway:look", AWAY),
    Check("stores", SERVER, "stores:look", AWAY),
    Check("tls", SECURITY, "certificates:look", AWAY),
    Check("access.tracking", SECURITY, "access:look", AWAY),
    Check("access.artifact", SECURITY, "access:look", AWAY),
    Check("access.registry", SECURITY, "access:look", AWAY),
    Check("token_files", SECURITY, "access:files"),
    Check("folder.data", FOLDERS, "folders:data", STUCK),
    Check("folder.journal", FOLDERS, "folders:journal", STUCK),
    Check("folder.offline", FOLDERS, "folders:offline", STUCK),
    Check("folder.temporary", FOLDERS, "folders:temporary", STUCK),
    Check("folder.cache", FOLDERS, "folders:cache", STUCK),
    Check("journals", WAITING, "journals:look", STUCK),
    Check("offline", WAITING, "journals:offline", STUCK),
    Check("forks", PROCESS, "processes:forks"),
    Check("grpc", PROCESS, "processes:grpc_settings"),
    Check("ranks", PROCESS, "processes:ranks"),
    Check("open_files", PROCESS, "processes:open_files"),
)
