"""Errors that are meant to be read by the person at the microscope, not by a developer."""

from __future__ import annotations


class UserError(ValueError):
    """Something the user can put right.

    The message is one sentence that names the file or value at fault, says what was expected and
    what to do. Interfaces show the message alone, without a traceback.
    """


class MissingPackage(UserError):
    """An optional package is not installed; the sentence says which, and how to install it."""
