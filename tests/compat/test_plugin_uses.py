"""What is commonly done with MLflow, through the plug-in."""

import pytest

from support.mlflow_plugin import PluginClient


@pytest.mark.parametrize("script", ["plugin_traces.py", "plugin_optuna.py", "plugin_sklearn.py"])
def test_script(plugin: PluginClient, tracking_uri: str, script: str) -> None:
    plugin.run(script, tracking_uri)
