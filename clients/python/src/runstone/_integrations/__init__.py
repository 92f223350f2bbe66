"""What hooks in training frameworks share: which run, what of a configuration, never raising.

Knows no framework; each hook is a module of ``runstone.integrations``.
"""
