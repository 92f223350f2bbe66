"""MLflow's REST API in front of the services: a map between its JSON and our RPCs."""
