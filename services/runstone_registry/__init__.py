"""The registry service: registered models, versions, stages, aliases, requests, comments, audit."""
