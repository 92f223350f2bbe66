"""Frameworks: one module each, behind the interface of ``interface.py``."""
