"""Projects: code that says itself how it is run, from a folder, a git repository or an archive."""
