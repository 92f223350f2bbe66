"""Spark's machine learning that logs by itself: ``runstone.pyspark.ml``."""

from runstone.pyspark import ml

__all__ = ["ml"]
