"""The tracking service: experiments, runs, parameters, tags, data sets, metrics and search."""
