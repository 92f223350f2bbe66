"""What goes wrong with model folders; raised here, never sent by a server."""

from __future__ import annotations

from runstone._exceptions.kinds import (
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    PermissionDenied,
)


class ModelFormatError(InvalidArgument):
    """A model folder is not what it says: its MLmodel, or a file that this names."""


class SchemaMismatch(InvalidArgument):
    """Data is not what a model's signature says; ``field_violations`` names each fault."""


class FlavorNotFound(NotFound):
    """No flavor of that name is installed, or the model has none that is."""


class LibraryMissing(FailedPrecondition):
    """The call needs a library that is not installed here; the message says which."""


class UntrustedModel(PermissionDenied):
    """Loading the model would run code of its author, and nobody said that it may."""
