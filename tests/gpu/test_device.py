"""What the card's module says where there is no card: it is imported with its libraries, which need none."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from . import simulator

pytestmark = pytest.mark.compiler


@pytest.fixture
def device():
    _, remove = simulator.install(compiler=False)
    from fastnn.kernels import numba_gpu

    path = Path(numba_gpu.__file__).with_name("device.py")
    found = importlib.util.spec_from_file_location(f"{numba_gpu.__name__}.not_simulated", path)
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    yield module
    remove()


def test_a_driver_that_is_too_old(device, monkeypatch):
    monkeypatch.setattr(device.driver, "cuDriverGetVersion", lambda: (device.driver.CUresult.CUDA_SUCCESS, 12080))
    with pytest.raises(ImportError, match=r"driver is for CUDA 12\.8; the backend 'cuda' needs one for CUDA 13 \(580\) or newer"):
        device.card()


def test_a_process_that_was_forked(device):
    card = object.__new__(device.Card)
    card._process = -1
    card.free(0)
    with pytest.raises(RuntimeError, match=r"forked from, and cannot be used here: start processes by .*'spawn'"):
        card.make_current()
    with pytest.raises(RuntimeError, match="forked from"):  # reading an array that the other process left
        card.synchronize()
