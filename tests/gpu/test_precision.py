"""Products on tensor cores: their instruction emulated by the simulator, against products of factors that NumPy rounds."""

from __future__ import annotations

import numpy as np
import pytest

import fastnn
from fastnn import layers
from fastnn.kernels import spec
from fastnn.kernels.backends import kernels_of

from ..kernels.cases import Case
from ..kernels.test_conformance import check_close, run
from . import simulator
from .test_simulated import check_statistics

#: precision -> bits behind the binary point, how ties are rounded, and the error that this makes in products
ROUNDING = {"tf32": (10, lambda m: np.copysign(np.floor(np.abs(m) + 0.5), m), 1e-3), "bf16": (7, np.rint, 8e-3)}


@pytest.fixture(scope="module")
def installed():
    card, remove = simulator.install()
    yield card
    remove()


@pytest.fixture
def card(installed):
    yield installed
    fastnn.set_precision("float32")
    installed.backwards = False


def rounded(x, precision):
    bits, to_integer, _ = ROUNDING[precision]
    mantissa, exponent = np.frexp(x.astype(np.float64))
    return np.ldexp(to_integer(mantissa * 2 ** (bits + 1)), exponent - bits - 1).astype(x.dtype)


def check(card, case, precision):
    """The result is that of rounded factors, added in float32; the same bits whichever thread runs first."""
    with fastnn.use_backend("cuda"):
        fastnn.set_precision(precision)
    outputs = run("cuda", case, "float32")
    arguments = case.arguments("float32")
    for array in case.op.inputs:
        if array.name in ("x", "w", "dy"):
            arguments[array.name] = rounded(arguments[array.name], precision)
    kernels_of("numpy")[case.op_name](*arguments.values())
    # db is the sum of dy as it is, by another kernel
    expected = {name: arguments[name] for name in outputs if name != "db"}
    check_close(case, "float32", {name: outputs[name] for name in expected}, expected)
    card.backwards = True
    for name, again in run("cuda", case, "float32").items():
        assert again.tobytes() == outputs[name].tobytes(), f"{name} depends on the order of the threads"


@pytest.mark.parametrize("precision", ROUNDING)
@pytest.mark.parametrize("number", [-1, -2, pytest.param(-3, marks=pytest.mark.slow), pytest.param(0, marks=pytest.mark.slow)])
def test_each_tile_with_ragged_edges(card, monkeypatch, number, precision):
    from fastnn.kernels.numba_gpu import product

    chosen = product.TENSOR_TILES[precision][number]
    monkeypatch.setitem(product.TENSOR_TILES, precision, (chosen,))
    extents = dict(n=chosen.rows + 3, k=39, m=chosen.columns // 2 + 5)
    check(card, Case("dense_forward", extents, {"activation": 1, "alpha": 0.0}), precision)


@pytest.mark.parametrize("precision", ROUNDING)
@pytest.mark.parametrize("op_name", ["dense_backward_input", "dense_backward_weight"])
def test_dense_gradients(card, op_name, precision):
    check(card, Case(op_name, dict(n=35, k=41, m=19), {}), precision)


@pytest.mark.parametrize("precision", ROUNDING)
@pytest.mark.parametrize("op_name", ["conv2d_forward", "conv2d_backward_input", "conv2d_backward_weight"])
def test_convolutions(card, op_name, precision):
    extents = dict(n=2, ih=7, iw=6, oh=4, ow=6, kh=3, kw=3, c=4, cg=2, co=6)
    params = dict(stride_h=2, stride_w=1, pad_top=1, pad_left=1, dilation_h=1, dilation_w=1, groups=2, activation=0, alpha=0.0)
    names = [param.name for param in spec.OPS[op_name].params]
    check(card, Case(op_name, extents, {name: params[name] for name in names}), precision)


@pytest.mark.parametrize("precision", ROUNDING)
def test_a_sum_in_parts(card, monkeypatch, precision):
    from fastnn.kernels.numba_gpu import product

    monkeypatch.setattr(product, "_plan", lambda *_: (product.TENSOR_TILES[precision][-1], 32))
    check(card, Case("dense_forward", dict(n=50, k=100, m=7), {"activation": 4, "alpha": 0.0}), precision)


@pytest.mark.parametrize("number", [-1, pytest.param(0, marks=pytest.mark.slow)])
def test_a_tile_gives_mean_and_variance(card, monkeypatch, number):
    from fastnn.kernels.numba_gpu import product

    chosen = product.TENSOR_TILES["bf16"][number]
    monkeypatch.setitem(product.TENSOR_TILES, "bf16", (chosen,))
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(chosen.rows + 3, 4)), rng.normal(size=(4, chosen.columns + 5))
    x, w = x.astype(np.float32), w.astype(np.float32)
    with fastnn.use_backend("cuda"):
        fastnn.set_precision("bf16")
    check_statistics(card, "dense_forward", (x, w, None, 0, 0.0), np.empty((len(x), w.shape[1]), np.float32), 1 + 2 + 1)


@pytest.mark.parametrize("precision", ROUNDING)
def test_nan_and_infinity_go_through(card, precision):
    x = np.array([[np.nan, 1], [np.inf, 1], [-np.inf, 1], [np.finfo(np.float32).tiny, 1]], np.float32)
    with fastnn.use_backend("cuda"):
        fastnn.set_precision(precision)
        y = fastnn.kernels.matmul(x, np.ones((2, 3), np.float32))
    np.testing.assert_array_equal(y[:, 0], [np.nan, np.inf, -np.inf, 1])


def test_float64_is_not_rounded(card):
    a = np.random.default_rng(0).normal(size=(5, 6))
    with fastnn.use_backend("cuda"):
        fastnn.set_precision("bf16")
        np.testing.assert_allclose(fastnn.kernels.matmul(a, a.T), a @ a.T, rtol=1e-13)


@pytest.mark.parametrize("precision", ROUNDING)
def test_a_model_changes_its_precision_and_learns(card, precision):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(6, 8)).astype("float32"), np.arange(6) % 3
    with fastnn.use_backend("cuda"):
        model = fastnn.Sequential([layers.Input((8,)), layers.Dense(5, "tanh"), layers.Dense(3, "softmax")])
        model.compile("sgd", "sparse_categorical_crossentropy")
        exact = model.predict(x)
        fastnn.set_precision(precision)
        assert fastnn.get_precision() == precision
        error = np.abs(model.predict(x) - exact).max()
        assert 1e-6 < error < ROUNDING[precision][2]
        losses = model.fit(x, y, batch_size=6, epochs=3, verbose=0).history["loss"]
        assert losses[2] < losses[0]
        assert {weight.dtype for weight in model.get_weights()} == {np.dtype(np.float32)}
        fastnn.set_precision("float32")
        again = model.predict(x)
    with fastnn.use_backend("numpy"):
        np.testing.assert_allclose(again, model.predict(x), rtol=1e-5)


class TestBadInput:
    def test_an_unknown_precision(self):
        with pytest.raises(ValueError, match=r"precision must be one of 'float32', 'tf32', 'bf16'; got 'fp16'"):
            fastnn.set_precision("fp16")

    def test_a_backend_for_the_cpu(self):
        with fastnn.use_backend("numpy"):
            fastnn.set_precision("float32")
            with pytest.raises(ValueError, match=r"'tf32' is for the tensor cores of a GPU.*'numpy', computes on the CPU"):
                fastnn.set_precision("tf32")
        assert fastnn.get_precision() == "float32"
