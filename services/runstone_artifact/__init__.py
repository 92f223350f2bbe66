"""The artifact service: files of runs and model versions, kept by the digest of their bytes."""
