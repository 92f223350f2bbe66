"""Signatures of models: the types, how they are inferred, and how data is held to them.

The JSON is MLflow's, character by character. numpy, pandas, scipy, pydantic and pyspark load where
they are used, never with this room.
"""
