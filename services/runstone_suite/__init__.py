"""The whole suite in one process: all services on one port, by default on SQLite and a folder."""
