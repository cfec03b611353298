"""The command line: ``fastnn train``, ``evaluate``, ``predict``, ``warmup`` and ``info``.

Exit codes: 0 for success, 1 for a failure (a file that cannot be read, a missing extra or GPU, training that diverged), 2 for a
wrong command line, 130 for Ctrl-C.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence

from .failure import INTERRUPTED, Failure, reason
from .options import make_parser

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code."""
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")  # as of stderr: a name of a file must not end the command
    args = make_parser().parse_args(argv)
    try:
        return args.run(args)
    except KeyboardInterrupt:
        print("fastnn: interrupted", file=sys.stderr)
        return INTERRUPTED
    except OSError as error:
        print(f"fastnn: error: {reason(error)}", file=sys.stderr)
        return 1
    except (Failure, ImportError, MemoryError, NotImplementedError, ValueError) as error:
        print(f"fastnn: error: {error or type(error).__name__}", file=sys.stderr)
        return 1
