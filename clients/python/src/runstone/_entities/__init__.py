"""What the services hold, as plain values: frozen, shaped and named as MLflow's entities are.

Times are Unix milliseconds.
"""
