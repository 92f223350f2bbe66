"""The version of this distribution; reading it from the metadata would cost 20 ms at import."""

__version__ = "0.1.0"
