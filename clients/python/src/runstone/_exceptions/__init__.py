"""The classes of runstone.exceptions: the kinds, and one class for each reason."""
