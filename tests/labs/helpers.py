"""What the tests of the labs share: loading a lab by its number, and comparing values with numbers as they were printed."""

import importlib.util
import re
import runpy
from pathlib import Path

import numpy as np

LABS = Path(__file__).parents[2] / "examples" / "labs"
NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?")


def lab_path(number):
    """Return the path of a lab's script."""
    (path,) = LABS.glob(f"lab{number:02}_*.py")
    return path


def load_lab(number):
    """Return a lab's script as a module; the cells that print do not run."""
    spec = importlib.util.spec_from_file_location(f"lab{number:02}", lab_path(number))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run_lab(number, capsys):
    """Run a lab's script; return what it prints."""
    runpy.run_path(str(lab_path(number)), run_name="__main__")
    return capsys.readouterr().out


def assert_printed(values, text, digits=4):
    """Check that `values` round to the numbers in `text`, which NumPy printed with a precision of `digits`.

    NumPy leaves out zeros at the end: ``0.5`` printed with 4 digits is 0.5000. In ``2.2e-05`` the digits count from the 2.
    """
    printed = NUMBER.findall(text)
    values = np.ravel(values)
    assert len(values) == len(printed), f"{len(values)} values for {len(printed)} printed numbers"
    for value, number in zip(values, printed, strict=True):
        unit = 10.0 ** (int(number.partition("e")[2] or 0) - digits)
        assert abs(value - float(number)) <= 0.5001 * unit, f"{value!r} would not be printed as {number}"


def assert_same_float(value, text, ulps=4):
    """Check a number against one that was printed in full: all digits but the last, which rounding leaves open."""
    printed = float(text)
    assert abs(value - printed) <= ulps * np.spacing(abs(printed)), f"{value!r} is not {text}"
