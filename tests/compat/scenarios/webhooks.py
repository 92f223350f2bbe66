"""Webhooks: create, read, list, change, test, delete, and everything that is refused."""

import mlflow
from _recorder import Recorder
from mlflow.entities.webhook import WebhookAction, WebhookEntity, WebhookEvent, WebhookStatus

r = Recorder()
client = mlflow.MlflowClient()
# Addresses, for a name would have to be looked up. Nothing is ever sent there: what could be is
# disabled, or waits for prompts, which no scenario makes.
TARGET = "https://8.8.8.8/hook"
CREATED = WebhookEvent(WebhookEntity.PROMPT, WebhookAction.CREATED)
VERSION = WebhookEvent(WebhookEntity.PROMPT_VERSION, WebhookAction.CREATED)

made = r.call(
    "create", client.create_webhook, r.name, TARGET, [CREATED, VERSION], "about it", "s3cret"
)
r.call(
    "create: names of events",
    client.create_webhook,
    f"{r.name}-b",
    TARGET,
    ["prompt_version.created"],
)
r.call(
    "create: disabled",
    client.create_webhook,
    f"{r.name}-c",
    TARGET,
    ["registered_model.created"],
    status="DISABLED",
)
r.call("create: the same name", client.create_webhook, r.name, TARGET, [CREATED])
for item, arguments in {
    "empty name": ("", TARGET, [CREATED]),
    "long name": ("n" * 300, TARGET, [CREATED]),
    "bad name": ("a b/c", TARGET, [CREATED]),
    "no url": (r.name, "", [CREATED]),
    "http url": (r.name, "http://8.8.8.8/hook", [CREATED]),
    "file url": (r.name, "file:///etc/passwd", [CREATED]),
    "no scheme": (r.name, "8.8.8.8", [CREATED]),
    "rubbish url": (r.name, "https://", [CREATED]),
    "loopback": (r.name, "https://127.0.0.1/hook", [CREATED]),
    "private": (r.name, "https://10.0.0.1/hook", [CREATED]),
    "metadata": (r.name, "https://169.254.169.254/latest", [CREATED]),
    "mapped": (r.name, "https://[::ffff:127.0.0.1]/hook", [CREATED]),
    "no events": (r.name, TARGET, []),
    "unknown event": (r.name, TARGET, ["model_version.exploded"]),
    "event without a dot": (r.name, TARGET, ["created"]),
}.items():
    r.call(f"create: {item}", client.create_webhook, *arguments)
r.call("create: unknown status", client.create_webhook, r.name, TARGET, [CREATED], status="ASLEEP")
r.call("create: empty secret", client.create_webhook, f"{r.name}-d", TARGET, [CREATED], secret="")
for entity in WebhookEntity:
    for action in WebhookAction:
        r.call(
            f"event: {entity.value}.{action.value}",
            client.create_webhook,
            f"{r.name}-e",
            TARGET,
            [f"{entity.value}.{action.value}"],
            status="DISABLED",
        )

hook = made.webhook_id
r.call("get", client.get_webhook, hook)
for wrong in ("unknown", "00000000-0000-0000-0000-000000000000", "a b", "../x"):
    r.call(f"get: {wrong}", client.get_webhook, wrong)
    r.call(f"delete: {wrong}", client.delete_webhook, wrong)
    r.call(f"update: {wrong}", client.update_webhook, wrong, name="x")
    r.call(f"test: {wrong}", client.test_webhook, wrong)
r.call("update: name", client.update_webhook, hook, name=f"{r.name}-new")
r.call("update: text", client.update_webhook, hook, description="other")
r.call("update: url", client.update_webhook, hook, url="https://8.8.8.8/other")
r.call("update: events", client.update_webhook, hook, events=[VERSION])
r.call("update: status", client.update_webhook, hook, status=WebhookStatus.DISABLED)
r.call("update: secret", client.update_webhook, hook, secret="other")
r.call("update: nothing", client.update_webhook, hook)
r.call("update: empty name", client.update_webhook, hook, name="")
r.call("update: http url", client.update_webhook, hook, url="http://8.8.8.8")
r.call("update: unknown event", client.update_webhook, hook, events=["a.b"])
r.call("get: after", client.get_webhook, hook)
r.call(
    "list: ours",
    lambda: sorted(each.name for each in client.list_webhooks() if each.name.startswith(r.name)),
)
r.call(
    "list: a page",
    lambda: [
        len(client.list_webhooks(max_results=1)),
        bool(client.list_webhooks(max_results=1).token),
    ],
)
r.call(
    "list: next page",
    lambda: len(client.list_webhooks(1, client.list_webhooks(max_results=1).token)),
)
r.call("list: rubbish token", client.list_webhooks, page_token="rubbish")
for size in (0, -1, 1000, 1001):
    r.call(f"list: max_results {size}", lambda: len(client.list_webhooks(max_results=size)) > 0)
r.call("delete", client.delete_webhook, hook)
r.call("delete: again", client.delete_webhook, hook)
r.call("get: deleted", client.get_webhook, hook)
for each in client.list_webhooks():
    if each.name.startswith(r.name):
        client.delete_webhook(each.webhook_id)

r.finish()
