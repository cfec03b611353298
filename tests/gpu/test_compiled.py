"""Every kernel compiled to machine code, without a GPU: for an A100 and an H100, within limits of registers and memory."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fastnn.kernels import spec
from fastnn.kernels.custom.record import Record, Source

from ..kernels.user_functions import record
from . import simulator
from .on_host import on_host
from .resources import CARDS, resources
from .test_joined import loss_of_a_classifier

ROOT = Path(__file__).parents[2]
#: registers of a thread: with more, fewer than 384 threads fit on a multiprocessor
MOST_REGISTERS = 170
#: bytes of shared memory of a block that need no special launch
MOST_SHARED = 48 * 1024


pytestmark = pytest.mark.compiler


def compiled(dtype, precision):
    parts = min(os.cpu_count() or 1, 4)
    commands = [[sys.executable, "-m", "tests.gpu.resources", dtype, precision, str(i), str(parts)] for i in range(parts)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT, text=True) for command in commands]
    outputs = [process.communicate()[0] for process in running]
    assert all(process.returncode == 0 for process in running)
    return [json.loads(line) for output in outputs for line in output.splitlines()]


def check_registers(kernels):
    """A local array that is not in registers is a stack frame, even where nothing is said of spills."""
    too_much = [
        kernel for kernel in kernels if kernel["stack"] or kernel["spills"] or not 0 < kernel["registers"] <= MOST_REGISTERS
    ]
    assert not too_much
    assert max(kernel["shared"] for kernel in kernels) <= MOST_SHARED


@pytest.fixture(scope="module", params=["float32", pytest.param("float64", marks=pytest.mark.slow)])
def kernels(request):
    return compiled(request.param, "float32")


def test_every_family_compiles(kernels):
    families = {"linear", "conv", "pool", "norm", "activation", "loss", "optim", "metric", "data", "augment", "step"}
    assert {spec.FAMILY_OF[kernel["op"]] for kernel in kernels} >= families
    assert {tuple(kernel["capability"]) for kernel in kernels} == {(8, 0), (9, 0)}


def test_kernels_stay_in_registers(kernels):
    check_registers(kernels)


@pytest.fixture
def compiler():
    _, remove = simulator.install(compiler=False)
    from fastnn.kernels.numba_gpu import compiler

    yield compiler
    remove()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_own_functions_may_use_all_of_math(compiler, dtype):
    from fastnn.kernels.custom.elementary import DERIVATIVES, STEPS
    from fastnn.kernels.numba_gpu.activation import custom_forward
    from fastnn.kernels.numba_gpu.launch import scratch

    names = [name for name in (*DERIVATIVES, *STEPS, "fabs", "isnan") if hasattr(math, name)]
    exec(f"def f(x): return -x**x + x % 3 + {' + '.join(f'math.{name}(x)' for name in names)}", {"math": math}, scope := {})
    x = scratch(5, dtype=dtype)
    (launch,) = custom_forward(x, Record(Source("activation 'f'", scope["f"])).address, x, x)
    compiler.compile_kernel(launch.kernel, launch.signature, launch.threads, (8, 0))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_own_functions_compute_on_a_gpu_what_they_do_on_the_cpu(compiler, monkeypatch, dtype):
    real = compiler.number(dtype)
    own = record("custom_forward")
    f = compiler.activation_of(own, True, real)
    g = compiler.loss_of(record("custom_loss_forward"), True, real)
    h = compiler.update_of(record("custom_step"), real)

    def kernel(x, t, y, slope, loss, loss_slope, lr, step, params, w, s1, s2, s3):
        for i in range(100):
            y[i], slope[i] = f(x[i])
            loss[i], loss_slope[i] = g(t[i], x[i])
        h(compiler.uint32(1), compiler.uint32(100), compiler.uint32(3), x, lr, step, params, w, s1, s2, s3)

    rng = np.random.default_rng(0)
    x, t, *state = rng.normal(size=(6, 100)).astype(dtype)
    results = np.full((4, 100), np.nan, dtype)
    scalars = np.array([0.1]), np.array([3.0]), np.array([0.8])
    updated = [array.copy() for array in state]
    run = on_host(monkeypatch, kernel, (*[real] * 6, *[compiler.float64] * 3, *[real] * 4))
    run(x, t, *results, *scalars, *updated)

    expected = np.array([x, *results[1:]])
    own.activate(*expected[:2])
    record("custom_loss_forward").loss(x, t, *expected[2:])
    np.testing.assert_allclose(results, expected, atol=1e-6 if dtype == np.float32 else 1e-14)
    new = [array.copy() for array in state]
    record("custom_step").step(x, *scalars, *new)
    rows = np.arange(100) % 3 == 1
    for found, before, after in zip(updated, state, new, strict=True):
        np.testing.assert_allclose(found, np.where(rows, after, before), rtol=1e-6 if dtype == np.float32 else 1e-14)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_whole_loss_as_one_launch_stays_in_registers(compiler, dtype):
    from fastnn.kernels.numba_gpu.joined import joined
    from fastnn.kernels.numba_gpu.launch import scratch
    from fastnn.kernels.numba_gpu.program import launches_of

    images, launches = {}, []
    for name, *args in loss_of_a_classifier()[0]:
        for arg in (arg for arg in args if isinstance(arg, np.ndarray)):
            images.setdefault(id(arg), scratch(*arg.shape, dtype=dtype if arg.dtype == np.float32 else arg.dtype))
        launches += launches_of(spec.OPS[name])(*(images.get(id(arg), arg) for arg in args))
    (one,) = joined(launches)
    logs = [compiler.compile_kernel(one.kernel, one.signature, one.threads, card)[2] for card in CARDS]
    check_registers([resources(log) for log in logs])


def test_an_own_function_that_cannot_be_compiled_is_named_with_the_reason(compiler):
    def wrong(x):
        return math.pow(x)

    with pytest.raises(ValueError, match=r"activation 'wrong' can be compiled for the CPU but not for a GPU: No .* pow\(number"):
        compiler.activation_of(Record(Source("activation 'wrong'", wrong)), False, compiler.float32)


@pytest.mark.parametrize("precision", ["bf16", pytest.param("tf32", marks=pytest.mark.slow)])
def test_products_on_tensor_cores_stay_in_registers(precision):
    kernels = compiled("float32", precision)
    assert len([kernel for kernel in kernels if kernel["shared"] > 10_000]) >= 4 * 4 * 2, "each tile of each op, for two cards"
    check_registers(kernels)
