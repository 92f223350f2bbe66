"""Model folders: made, described, logged, found and read. Knows no framework."""
