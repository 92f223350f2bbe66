"""Messages of the services as entities, and arguments as messages."""
