"""The registry's use cases, named after the RPCs."""

from __future__ import annotations

from runstone_registry.service_base import Parts
from runstone_registry.service_delivery import DeliveryPolicy, Dispatcher
from runstone_registry.service_governance import GovernanceUseCases, Moved
from runstone_registry.service_lists import ListUseCases
from runstone_registry.service_models import ModelUseCases
from runstone_registry.service_sweep import Sweeper
from runstone_registry.service_versions import VersionUseCases
from runstone_registry.service_webhooks import WebhookUseCases

__all__ = ["DeliveryPolicy", "Dispatcher", "Moved", "Parts", "RegistryService", "Sweeper"]


class RegistryService(
    ModelUseCases, VersionUseCases, GovernanceUseCases, ListUseCases, WebhookUseCases
):
    """Every use case. Safe to call from many threads."""
