"""Every kernel compiled to machine code, without a GPU: for an A100 and an H100, within limits of registers and memory."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import fastnn
from fastnn.kernels import spec, table
from fastnn.kernels.custom.record import Record, Source
from fastnn.program import Program

from ..kernels.cases import Case, conv_case
from ..kernels.test_conformance import check_close, reference, run
from ..kernels.user_functions import record
from . import on_host, simulator
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
    assert not [kernel for kernel in kernels if kernel["warnings"]]
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


def test_meanwhile_other_threads_compile_for_their_own_card(compiler, monkeypatch):
    def compile_there_too(*args, **options):
        with ThreadPoolExecutor() as pool:
            there = pool.submit(compiler.dispatcher.get_current_device).result()
        return (compiler.dispatcher.get_current_device().compute_capability, there), None

    monkeypatch.setattr(compiler.dispatcher, "get_current_device", lambda: "the user's")
    monkeypatch.setattr(compiler.cuda, "compile_ptx", compile_there_too)
    assert compiler.compile_ptx(None, (), (8, 0)) == ((8, 0), "the user's")
    assert compiler.dispatcher.get_current_device() == "the user's"


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
def test_own_functions_compute_on_a_gpu_what_they_do_on_the_cpu(compiler, dtype):
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
    run = on_host.function(kernel, (*[real] * 6, *[compiler.float64] * 3, *[real] * 4))
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
    from fastnn.kernels.numba_gpu.plan import launches_of

    images, launches = {}, []
    for name, *args in loss_of_a_classifier()[0]:
        for arg in (arg for arg in args if isinstance(arg, np.ndarray)):
            images.setdefault(id(arg), scratch(*arg.shape, dtype=dtype if arg.dtype == np.float32 else arg.dtype))
        launches += launches_of(spec.OPS[name])(*(images.get(id(arg), arg) for arg in args))
    (one,) = joined(launches)
    logs = [compiler.compile_kernel(one.kernel, one.signature, one.threads, card)[2] for card in CARDS]
    check_registers([resources(log) for log in logs])


@pytest.fixture
def host_card(monkeypatch):
    """Run kernels as the compiler has typed them; products on tensor cores are not among them."""
    card, remove = simulator.install(compiler=False)
    monkeypatch.setattr(card, "_run_one", on_host.run)
    yield card
    remove()


ON_HOST = [
    conv_case("conv2d_forward", n=2, image=9, window=3, c=8, co=12, pad=1),
    conv_case("conv2d_forward", n=2, image=9, window=3, c=3, co=5, pad=1, dilation=2),
    conv_case("conv2d_backward_input", n=2, image=9, window=3, c=8, co=12, pad=1),
    conv_case("conv2d_backward_input", n=2, image=9, window=3, c=6, co=5, pad=1, stride=2),
    conv_case("conv2d_backward_weight", n=2, image=9, window=3, c=8, co=12, pad=1),
    conv_case("conv2d_backward_weight", n=2, image=9, window=3, c=6, co=10, pad=1, groups=2),
    conv_case("maxpool2d_forward", n=2, image=9, window=3, c=7, co=7, stride=2, pad=1),
    conv_case("batchnorm_maxpool_forward", n=2, image=9, window=2, c=8, co=8, stride=2),
    conv_case("batchnorm_maxpool_backward", n=2, image=9, window=2, c=8, co=8, stride=2),
    conv_case("batchnorm_avgpool_backward", n=2, image=9, window=3, c=8, co=8, stride=2, pad=1),
    Case("adam_step", {"*": (2100,)}, {"beta1": 0.9, "beta2": 0.99, "eps": 1e-7}),
]


@pytest.mark.parametrize("case", ON_HOST, ids=lambda case: case.op_name)
def test_typed_code_computes_what_the_reference_does(host_card, case):
    check_close(case, "float32", run("cuda", case, "float32", 0), reference(case, "float32"))


@pytest.mark.parametrize("number", range(6))
@pytest.mark.parametrize("ragged", [0, 1])
def test_typed_code_of_each_tile(host_card, monkeypatch, number, ragged):
    from fastnn.kernels.numba_gpu import product

    chosen = product.TILES[number]
    monkeypatch.setattr(product, "TILES", (chosen,))
    case = Case(
        "dense_forward", dict(n=chosen.rows + 3, k=20 + ragged, m=chosen.columns // 2 + 4 + ragged), {"activation": 1, "alpha": 0.0}
    )
    check_close(case, "float32", run("cuda", case, "float32", 0), reference(case, "float32"))


def test_typed_code_reads_and_writes_narrow_arrays(host_card, monkeypatch):
    """One by one and four together; factors are not rounded here, only what is stored between the calls is."""
    from fastnn.kernels.numba_gpu import images, narrow

    monkeypatch.setattr(images, "get_precision", lambda: "bf16")
    monkeypatch.setattr(narrow, "LEAST", 0)
    ran = []
    monkeypatch.setattr(host_card, "_run_one", lambda launch: (ran.append(launch), on_host.run(launch)))
    rng = np.random.default_rng(0)
    x, w, gamma, beta = (rng.normal(size=shape).astype(np.float32) for shape in ((2, 9, 9, 3), (3, 3, 3, 8), 8, 8))
    shapes = x.shape, (2, 7, 7, 8), (2, 3, 3, 8), (8,), (8,), (2, 3, 3, 8)
    outcomes = []
    for backend in ("numpy", "cuda"):
        positive, y, pooled, mean, var, result = (np.empty(shape, np.float32) for shape in shapes)
        argmax = np.empty(pooled.shape, np.int32)
        with fastnn.use_backend(backend):
            with table.record(run=False) as recording:
                table.call("relu_forward", x, positive)
                table.call("conv2d_forward", positive, w, None, 1, 1, 0, 0, 1, 1, 1, 0, 0.0, y)
                if backend == "numpy":
                    normal = np.empty((98, 8), np.float32)
                    table.call("batchnorm_forward", y.reshape(98, 8), gamma, beta, 1e-3, normal, mean, var)
                    table.call("maxpool2d_forward", normal.reshape(y.shape), 2, 2, 2, 2, 0, 0, pooled, argmax)
                else:
                    table.call(
                        "batchnorm_maxpool_forward", y, gamma, beta, 1e-3, 0, 0.0, 2, 2, 2, 2, 0, 0, pooled, argmax, mean, var
                    )
                table.call("rescale", pooled, 1.0, 0.0, result)
            Program(recording.calls, [result]).run()
        outcomes.append(result)
    stored = [tuple(arg.narrow for arg in launch.args if hasattr(arg, "narrow")) for launch in ran]
    assert sum(map(any, stored)) >= 3, "the first three ops read or write one"
    assert np.abs(outcomes[1] - outcomes[0]).max() < 0.05
    assert (outcomes[1] != outcomes[0]).any()


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
