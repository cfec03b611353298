"""What tests of all folders share."""

import tracemalloc
from contextlib import contextmanager

import pytest

import fastnn
from fastnn import activations, layers, losses, optimizers


@pytest.fixture
def own_names(monkeypatch):
    """Names of the user's own functions that a test registers are forgotten after it: other tests have functions of these names."""
    for registry in (activations.REGISTRY, losses.REGISTRY, optimizers.REGISTRY):
        monkeypatch.setattr(registry, "own", dict(registry.own))


@pytest.fixture
def fresh():
    """The same random numbers and automatic names whichever tests ran before."""
    fastnn.set_seed(0)
    layers.clear_session()


@pytest.fixture
def in_empty_folder(tmp_path, monkeypatch):
    """What a test writes to the current folder lies in `tmp_path`."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def error_line(capsys):
    """Return a function that returns the only line on stderr, without what every error of the shell begins with."""

    def line():
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("fastnn: error: ")
        return line.removeprefix("fastnn: error: ")

    return line


@pytest.fixture
def memory_below():
    """Return a context manager that checks that what runs in it takes less than so many bytes of Python's memory."""

    @contextmanager
    def measured(limit):
        tracemalloc.start()
        try:
            yield
            assert tracemalloc.get_traced_memory()[1] < limit
        finally:
            tracemalloc.stop()

    return measured
