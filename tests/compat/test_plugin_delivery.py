"""Metrics of MLflow's client go through the journal: fast, read at once, and not lost."""

import pytest

import runstone
from support.mlflow_plugin import PluginClient
from support.processes import wait_until


@pytest.mark.parametrize("name", ["reads", "latest", "asynchronous", "forked", "refused"])
def test_what_a_script_sees(plugin: PluginClient, tracking_uri: str, name: str) -> None:
    plugin.run("plugin_delivery.py", tracking_uri, name)


def test_what_was_logged_outlives_a_killed_client(plugin: PluginClient, tracking_uri: str) -> None:
    process = plugin.start("plugin_delivery.py", tracking_uri, "many")
    assert process.stdout is not None
    assert process.stdin is not None
    run_id = process.stdout.readline().strip()
    process.stdin.write("go\n")
    process.stdin.flush()
    try:
        logged = int(process.stdout.readline())
    finally:
        process.kill()
        process.communicate()
    client = runstone.Client(tracking_uri)
    wait_until(
        lambda: len(client.get_metric_columns(run_id, "loss")) == logged,
        60.0,
        "all that was logged on the server",
    )


def test_what_was_logged_is_delivered_at_exit(plugin: PluginClient, tracking_uri: str) -> None:
    out, _ = plugin.run("plugin_delivery.py", tracking_uri, "left_open")
    assert runstone.Client(tracking_uri).get_run(out.strip()).data.metrics == {"loss": 0.5}


def test_without_a_journal_the_server_gets_them_at_once(
    plugin: PluginClient, tracking_uri: str
) -> None:
    (plugin.folder / "file").touch()
    nowhere = str(plugin.folder / "file" / "journals")
    _, err = plugin.run(
        "plugin_delivery.py", tracking_uri, "without_journal", RUNSTONE_JOURNAL_DIR=nowhere
    )
    assert err.count("the journal cannot be used") == 1
    assert "RUNSTONE_JOURNAL_DIR" in err
