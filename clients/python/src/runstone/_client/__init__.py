"""The client: every call of the three services, and what is commonly made of them."""

from __future__ import annotations

from runstone._client._compare import CompareCalls
from runstone._client._experiments import ExperimentCalls
from runstone._client._explain import explained
from runstone._client._governance import GovernanceCalls
from runstone._client._metrics import MetricCalls
from runstone._client._traces import TraceCalls
from runstone._client._watch import WatchCalls
from runstone._client._webhooks import WebhookCalls

__all__ = ["Client"]


@explained
class Client(
    ExperimentCalls,
    MetricCalls,
    WatchCalls,
    TraceCalls,
    CompareCalls,
    GovernanceCalls,
    WebhookCalls,
):
    """Every call of a Runstone server. Safe to share between threads, and across a fork.

    An argument beats the environment, the environment the default. Nothing is opened before the
    first call. Without a tracking URI the embedded suite of ``./runstone-data`` is used, and
    started when it does not run.

    Args:
        tracking_uri: ``runstone://host:port``, ``runstones://host:port`` (TLS), ``file:path``;
            else RUNSTONE_TRACKING_URI.
        registry_uri: Where the registry is when it stands elsewhere; else RUNSTONE_REGISTRY_URI.
        artifact_uri: The same for the artifact service; else RUNSTONE_ARTIFACT_URI.
        timeout: Seconds that a call may take; else RUNSTONE_TIMEOUT, else 30 for most calls.
            Uploads and downloads take as long as their bytes do.
        user: Who is at work; else RUNSTONE_USER, else the login's name.

    Raises:
        InvalidUri: one of the URIs cannot be read.

    Calls raise the exceptions of ``runstone.exceptions``; beyond those that a method names,
    Unavailable, DeadlineExceeded, ResourceExhausted and InternalError.

    Example:
        >>> import runstone
        >>> client = runstone.Client()
        >>> run = client.create_run("0", run_name="by hand")
        >>> client.log_metric(run.info.run_id, "loss", 0.25, step=1)
        >>> client.set_terminated(run.info.run_id)
        >>> client.get_run(run.info.run_id).data.metrics
        {'loss': 0.25}

    A trace is stored by its spans, and found by what they and its tags say:
        >>> from runstone.entities import Span
        >>> trace_id = "tr-" + 32 * "a"
        >>> root = Span(trace_id, 16 * "1", "answer", 1_000_000_000, 1_250_000_000, status="OK")
        >>> client.log_spans("0", [root])
        >>> client.set_trace_tag(trace_id, "judged", "good")
        >>> found = client.search_traces("0", "tags.judged = 'good' AND span.name = 'answer'")
        >>> [(trace.info.state, trace.info.execution_duration) for trace in found]
        [('OK', 250)]
        >>> client.delete_traces("0", trace_ids=[trace_id])
        1
    """

    def with_timeout(self, seconds: float) -> Client:
        """The same client with another limit for each call, in seconds."""
        return Client(**{**self._arguments(), "timeout": seconds})
