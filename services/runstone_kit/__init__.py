"""What every Runstone service shares: server, interceptors, errors, settings, database, paging."""
