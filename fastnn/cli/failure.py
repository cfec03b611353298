"""Errors of the command line: what they say, and the exit code."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

#: exit code after Ctrl-C
INTERRUPTED = 130


class Failure(Exception):
    """Ends the command with one line on stderr and exit code 1."""


def reason(error: Exception) -> str:
    """Return what went wrong, without the number that the system has for it."""
    return f"{error.strerror}: {error.filename!r}" if isinstance(error, OSError) and error.filename else str(error)


@contextlib.contextmanager
def given_by(option: str) -> Iterator[None]:
    """Let errors about a file or folder name the option that it came from."""
    try:
        yield
    except (OSError, ValueError) as error:
        advice = "; nothing is overwritten, choose another name" if isinstance(error, FileExistsError) else ""
        raise Failure(f"{option}: {reason(error)}{advice}") from error
