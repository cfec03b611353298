"""Run an unmodified script of a course with fastnn's modules in the place of the course's own.

``python -m fastnn.compat.run --course dlfs ch07/train_convnet.py [arguments of the script]``
"""

from __future__ import annotations

import argparse
import os
import runpy
import sys
from collections.abc import Sequence

from . import COURSES, install


def main(argv: Sequence[str] | None = None) -> None:
    """Install a course's modules, then run the script as ``python script.py [args]`` would."""
    parser = argparse.ArgumentParser(
        prog="python -m fastnn.compat.run",
        description="Run an unmodified script of a course with fastnn's modules in the place of the course's own.",
    )
    parser.add_argument("--course", required=True, choices=COURSES, help="which course's modules to replace")
    parser.add_argument(
        "--only",
        action="append",
        metavar="MODULE",
        help="replace this module only, for example cs231n.fast_layers; may be repeated",
    )
    parser.add_argument(
        "--package",
        metavar="PACKAGE",
        help="where the modules lie, for example assignment2.cs231n, if not where the course has them",
    )
    parser.add_argument("script", help="the script")
    parser.add_argument("args", nargs=argparse.REMAINDER, help="the script's own arguments")
    options = parser.parse_args(argv)
    if not os.path.isfile(options.script):
        parser.error(f"there is no file {options.script}")
    try:
        names = install(options.course, options.only, options.package)
    except ValueError as error:
        parser.error(str(error))
    print(f"fastnn stands in for {', '.join(names)}", file=sys.stderr)
    sys.argv = [options.script, *options.args]
    sys.path.insert(0, os.path.dirname(os.path.abspath(options.script)))
    try:
        runpy.run_path(options.script, run_name="__main__")
    finally:
        if not any(name in sys.modules for name in names):
            print("the script imported none of these: nothing was replaced (--package says where they lie)", file=sys.stderr)


if __name__ == "__main__":
    main()
