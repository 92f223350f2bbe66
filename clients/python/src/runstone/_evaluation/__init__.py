"""Judging a model: metrics, plots, tables, thresholds. Heavy libraries load where used."""
