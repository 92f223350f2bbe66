"""The fluent API: one active run, and verbs that log to it."""
