"""Endpoints of webhooks. Each request has a ``{webhook}`` of its own, which is told of nothing."""

from compat.rest_endpoints import L, S, W, delete, get, patch, post

ONE, NONE = "webhooks/{webhook}", "webhooks/00000000000000000000000000000000"
EVENTS = [{"entity": "PROMPT", "action": "CREATED"}]

WEBHOOKS = (
    post(
        "webhooks",
        name=(S, "{name}-hook"),
        # An address, for a name would have to be looked up.
        url=(S, "https://8.8.8.8/hook"),
        events=(L, EVENTS),
        description=(S, "d"),
        secret=(S, "s3cret"),
        status=(S, "DISABLED"),
    ),
    get("webhooks", max_results=(W, 5)),
    get("webhooks").about("all"),
    get(ONE),
    get(NONE).about("unknown"),
    patch(
        ONE,
        name=(S, "{name}-new"),
        url=(S, "https://8.8.4.4/hook"),
        events=(L, EVENTS),
        description=(S, "x"),
        secret=(S, "s4cret"),
        status=(S, "ACTIVE"),
    ),
    patch(NONE, name=(S, "{name}-new")).about("unknown"),
    delete(ONE),
    delete(NONE).about("unknown"),
    # One that is there would have both servers send something.
    post(f"{NONE}/test").about("unknown"),
)
