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
    ragged = chosen.down == 2  # the larger tiles are for factors whose neighbours can be read together
    extents = dict(n=chosen.rows + 3, k=39 if ragged else 36, m=chosen.columns // 2 + (5 if ragged else 4))
    check(card, Case("dense_forward", extents, {"activation": 1, "alpha": 0.0}), precision)
    extents = extents | dict(n=extents["k"], k=chosen.rows + (3 if ragged else 4))
    check(card, Case("dense_backward_weight", extents, {}), precision)
    check(card, Case("dense_backward_input", extents, {}), precision)


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


class TestNarrowArrays:
    """With "bf16", large temporaries are stored in 16 bits."""

    @staticmethod
    def narrow(calls, temporary):
        from fastnn.kernels.numba_gpu.narrow import narrow_arrays

        by_address = {key[0] - temporary.ctypes.data for key in narrow_arrays(calls, temporary)}
        return sorted(place // 2**20 for place in by_address)

    @pytest.fixture
    def memory(self, card):
        """Five arrays of a megabyte in a row."""
        whole = np.empty((5, 2**18), np.float32)
        return whole, list(whole)

    @staticmethod
    def call(name, *args):
        return spec.OPS[name], args

    def test_images_between_layers_are(self, memory):
        whole, (a, b, c, d, e) = memory
        dense = self.call("dense_forward", a.reshape(512, 512), np.empty((512, 512), np.float32), None, 0, 0.0, b.reshape(512, 512))
        calls = [self.call("relu_forward", e, a), dense, self.call("add", a, b, c), self.call("relu_forward", c, c)]
        calls += [self.call("global_avgpool2d_forward", c.reshape(2, 8, 8, 2048), d[:4096].reshape(2, 2048))]
        assert self.narrow(calls, whole) == [0, 1, 2], "e is read before it is written, and what is written of d is small"

    @pytest.mark.parametrize("use", ["a loss", "an optimizer", "a part", "a part of it is written", "another dtype"])
    def test_others_are_not(self, memory, use):
        whole, (a, b, c, *_) = memory
        lr, loss = np.ones(1), np.empty(512, np.float32)
        uses = {
            "a loss": self.call("mse_forward", b.reshape(512, 512), c.reshape(512, 512), loss),
            "an optimizer": self.call("sgd_step", b, lr, c),
            "a part": self.call("relu_forward", b[2**17 :], c[: 2**17]),
            "a part of it is written": self.call("relu_forward", a[: 2**17], b[: 2**17]),
            "another dtype": self.call("relu_forward", b.view(np.float64), c.view(np.float64)),
        }
        first = [self.call("relu_forward", np.empty_like(a), a), self.call("relu_forward", a, b)]
        assert self.narrow(first, whole) == [0, 1]
        last = self.call("relu_forward", b, np.empty_like(b))
        assert 1 not in self.narrow([*first, uses[use], last], whole)

    def test_what_is_read_as_one_was_not_written_as_several(self, memory):
        whole, arrays = memory
        written = [self.call("relu_forward", np.empty_like(array), array) for array in arrays[:3]]
        several = self.call("relu_forward", whole[:2], np.empty_like(whole[:2]))
        assert self.narrow(written, whole) == [0, 1, 2]
        assert self.narrow([*written, several], whole) == [2]

    def test_a_model_learns_as_with_wide_ones(self, card, monkeypatch):
        from fastnn.kernels.numba_gpu import narrow, program

        planned = []
        plan = program.plan
        monkeypatch.setattr(program, "plan", lambda *args: (planned.append(plan(*args)), planned[-1])[1])
        monkeypatch.setattr(narrow, "LEAST", 0)
        rng = np.random.default_rng(0)
        x, y = rng.integers(0, 256, (8, 6, 6, 1), dtype=np.uint8), np.arange(8) % 3
        outcomes = {}
        for backend, backwards in (("numpy", False), ("cuda", False), ("cuda", True)):
            card.backwards = backwards
            with fastnn.use_backend(backend):
                fastnn.set_precision("bf16" if backend == "cuda" else "float32")
                fastnn.set_seed(0)
                convolution = layers.Conv2D(4, 3, padding="same", use_bias=False)
                normalized = [layers.BatchNormalization(), layers.Activation("relu"), layers.MaxPooling2D(2)]
                head = [layers.Conv2D(8, 2, activation="tanh"), layers.Dropout(0.1), layers.Flatten(), layers.Dense(3, "softmax")]
                model = fastnn.Sequential([layers.Input((6, 6, 1)), layers.Rescaling(1 / 255), convolution, *normalized, *head])
                model.compile(fastnn.optimizers.SGD(0.1, momentum=0.9), "sparse_categorical_crossentropy")
                losses = model.fit(x, y, batch_size=8, epochs=4, verbose=0).history["loss"]
                outcomes[backend, backwards] = losses, model.get_weights()
                fastnn.set_precision("float32")
        assert outcomes["cuda", False][0] == outcomes["cuda", True][0]
        (losses, weights), (exact_losses, exact_weights) = outcomes["cuda", False], outcomes["numpy", False]
        np.testing.assert_allclose(losses, exact_losses, atol=0.03)
        assert losses != exact_losses
        for ours, theirs in zip(weights, exact_weights, strict=True):
            np.testing.assert_allclose(ours, theirs, atol=0.05)
        step = max(planned, key=len)
        stored = {
            (step.op, i): arg.narrow for step in step for args in step.calls for i, arg in enumerate(args) if hasattr(arg, "narrow")
        }
        wide = {"softmax_forward", "softmax_xent_forward", "softmax_xent_backward", "momentum_step", "begin_step"}
        assert not any(is_narrow for (op, _), is_narrow in stored.items() if op in wide)
        assert all(stored["batchnorm_maxpool_forward", i] == (i in (0, 12)) for i in (0, 1, 2, 12, 13, 14, 15)), "x and y"
        assert stored["conv2d_backward_weight", 1] and not stored["conv2d_backward_weight", 9], "dy, and not dw"


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
