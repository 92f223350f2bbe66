"""Environments of Python packages, for models that are served and projects that are run."""
