"""`python -m benchmarks.gpu` where there is no GPU: what it says, and that it runs, on the simulated card."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import fastnn
from fastnn.kernels.backends import BACKENDS

from . import simulator

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(not (ROOT / "benchmarks").exists(), reason="the benchmarks are not part of a package")


@pytest.mark.skipif(BACKENDS["cuda"].installed(), reason="this machine has a GPU")
def test_without_a_gpu_it_says_so(tmp_path):
    command = [sys.executable, "-m", "benchmarks.gpu", "--json", str(tmp_path / "gpu.json")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("benchmarks.gpu: error: nothing is measured: the backend 'cuda' needs")
    assert not list(tmp_path.iterdir())


def test_it_measures_launches_and_kernels(monkeypatch):
    monkeypatch.syspath_prepend(ROOT)
    gpu = importlib.import_module("benchmarks.gpu")
    cases = importlib.import_module("benchmarks.kernel_cases")
    monkeypatch.setitem(cases.CASES, "linear", {"small": {"n": 3, "k": 4, "m": 5}})
    monkeypatch.setattr(gpu, "CALLS", 2)
    _, remove = simulator.install()
    with fastnn.use_backend("cuda"):
        result = {"gpu": "simulated", "torch": None, "precision": "tf32", "launches": gpu.launch_costs(0)}
        result["kernels"] = gpu.kernel_rows(["dense/small"], "tf32", 0)
        fastnn.set_precision("float32")
    remove()
    assert [row["kernel"].split("/")[0] for row in result["kernels"]] == [
        "dense_forward",
        "dense_backward_input",
        "dense_backward_weight",
    ]
    steps = [{"title": "MLP, batch 128", "ms": {"fastnn cuda": 0.02, "torch cuda": 0.3}}]
    text = gpu.tables(result | {"steps": steps})
    assert "simulated; no PyTorch that sees the GPU; tf32" in text
    assert "| MLP, batch 128 | 0.02 | 0.3 |  |  |" in text
    assert len(text.splitlines()) == 2 + 6 + 1 + 5 + 1 + 3
