"""Webhooks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from google.protobuf.field_mask_pb2 import FieldMask

from runstone._client._base import ClientBase
from runstone._connection import new_id
from runstone._convert import webhooks as convert
from runstone._entities.paging import PagedList
from runstone._entities.registry import Webhook, WebhookTestResult
from runstone.registry.v1 import webhook_pb2


class WebhookCalls(ClientBase):
    """Calls about who is told of changes in the registry."""

    def create_webhook(
        self,
        name: str,
        url: str,
        events: Iterable[Any],
        description: str | None = None,
        secret: str | None = None,
        status: str | None = None,
        *,
        request_id: str | None = None,
    ) -> Webhook:
        """Have events posted to a URL, at least once each, signed with ``secret`` if there is one.

        The URL must be https and lead to a public address, unless the server is set otherwise.

        Raises:
            InvalidField: the URL, an event, or something else cannot be used.
            TooManyWebhooks

        Example:
            >>> import runstone
            >>> client = runstone.Client()
            >>> made = client.create_webhook(
            ...     "to-ci", "https://ci.example.org/hook", ["model_version_stage.transitioned"]
            ... )
            >>> client.get_webhook(made.webhook_id).status
            'ACTIVE'
            >>> client.delete_webhook(made.webhook_id)
        """
        given = webhook_pb2.Webhook(
            name=name, url=url, events=convert.events(events), description=description or ""
        )
        if status is not None:
            given.status = convert.status(status)
        response = self._registry.CreateWebhook(
            webhook_pb2.CreateWebhookRequest(
                webhook=given, secret=secret or "", request_id=request_id or new_id()
            )
        )
        return convert.webhook(response.webhook)

    def get_webhook(self, webhook_id: str) -> Webhook:
        """A webhook, with how its deliveries go. Raises WebhookNotFound."""
        request = webhook_pb2.GetWebhookRequest(webhook_id=webhook_id)
        return convert.webhook(self._registry.GetWebhook(request).webhook)

    def list_webhooks(
        self, max_results: int | None = 100, page_token: str | None = None
    ) -> PagedList[Webhook]:
        """One page of the webhooks, newest first.

        Raises:
            PageTokenInvalid, PageTokenOfOtherQuery
        """
        response = self._registry.ListWebhooks(
            webhook_pb2.ListWebhooksRequest(page_size=max_results or 0, page_token=page_token or "")
        )
        return PagedList(map(convert.webhook, response.webhooks), response.next_page_token)

    def update_webhook(
        self,
        webhook_id: str,
        name: str | None = None,
        description: str | None = None,
        url: str | None = None,
        events: Iterable[Any] | None = None,
        secret: str | None = None,
        status: str | None = None,
    ) -> Webhook:
        """Change what is given; ``secret=""`` ends the signing.

        A new ``url``, and ``status="ACTIVE"``, forget earlier failures and try at once what waits.

        Raises:
            WebhookNotFound
            InvalidField: nothing is given, or something of it cannot be used.
        """
        given = webhook_pb2.Webhook(
            webhook_id=webhook_id, name=name or "", description=description or "", url=url or ""
        )
        if events is not None:
            given.events.extend(convert.events(events))
        if status is not None:
            given.status = convert.status(status)
        changes = {
            "name": name,
            "description": description,
            "url": url,
            "events": events,
            "secret": secret,
            "status": status,
        }
        mask = FieldMask(paths=[field for field, value in changes.items() if value is not None])
        response = self._registry.UpdateWebhook(
            webhook_pb2.UpdateWebhookRequest(webhook=given, update_mask=mask, secret=secret or "")
        )
        return convert.webhook(response.webhook)

    def delete_webhook(self, webhook_id: str) -> None:
        """Delete a webhook with what waits for delivery to it. Raises WebhookNotFound."""
        self._registry.DeleteWebhook(webhook_pb2.DeleteWebhookRequest(webhook_id=webhook_id))

    def test_webhook(self, webhook_id: str, event: Any = None) -> WebhookTestResult:
        """Post a made-up event, of the webhook's first kind or of ``event``, once.

        Raises:
            WebhookNotFound
            Overloaded: several tests are under way.
        """
        request = webhook_pb2.TestWebhookRequest(webhook_id=webhook_id)
        if event is not None:
            request.event = convert.event(event)
        return convert.test_result(self._registry.TestWebhook(request).result)
