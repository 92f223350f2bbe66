"""The process that delivers a journal, started by the one that writes it.

wire      AppendMetrics as bytes
batch     points as columns, cut into calls
plan      which stretch of the journal goes under which numbers
"""
