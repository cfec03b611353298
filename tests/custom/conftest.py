"""What tests of the user's own functions share."""

import subprocess
import sys

import pytest

LOAD = """
import sys, fastnn
try:
    fastnn.load_model(sys.argv[1])
except ValueError as error:
    print(error)
"""


@pytest.fixture
def error_elsewhere():
    """Return a function that loads a model file in a process where nobody has registered its functions, and returns the error."""
    return lambda path: subprocess.run([sys.executable, "-c", LOAD, path], capture_output=True, text=True, check=True).stdout
