"""Exceptions by kind: one for each status of vlmz.h."""

from __future__ import annotations


class VlmzError(Exception):
    """Whatever fails in the library; `str()` is one line that says what was wrong.

    The messages have the form `<file>: <what>: found …, expected …`, with control characters
    escaped.
    """

    #: The library's number of the failure.
    status = 12


class InvalidArgumentError(VlmzError, ValueError):
    """An argument is out of its range, empty, or of another model."""

    status = 1


class NotCapableError(VlmzError):
    """The model cannot do that; see `Model.capabilities`."""

    status = 2


class UnsupportedError(VlmzError):
    """This machine, or this build, lacks what is needed: an instruction set, a decoder."""

    status = 3


class BadDataError(VlmzError, ValueError):
    """A file is damaged, or it is not what it should be."""

    status = 4


class NotFoundError(VlmzError, FileNotFoundError):
    """There is no such file, or it is not a regular file."""

    status = 5


class NoPermissionError(VlmzError, PermissionError):
    """A file may not be read or written."""

    status = 6


class CannotCreateError(VlmzError, OSError):
    """The output exists already, or it cannot be created."""

    status = 7


class ReadWriteError(VlmzError, OSError):
    """The system failed to read or write, or the model's file changed while it was in use."""

    status = 8


class OutOfMemoryError(VlmzError, MemoryError):
    """There is less memory, or there are fewer threads, than the call needs."""

    status = 9


class BusyError(VlmzError):
    """The conversation is in another call, or another process writes the file."""

    status = 10


class CancelledError(VlmzError):
    """The call was cancelled before it had a result."""

    status = 11


class InternalError(VlmzError, RuntimeError):
    """A fault of the library."""

    status = 12


class NotTrustedError(VlmzError):
    """The file is not signed by a key that is trusted."""

    status = 13


_KINDS: dict[int, type[VlmzError]] = {kind.status: kind for kind in VlmzError.__subclasses__()}


def error_of(status: int, message: str) -> VlmzError:
    """The exception for a status; of one that this version does not know, a plain `VlmzError`."""
    return _KINDS.get(status, VlmzError)(message)
