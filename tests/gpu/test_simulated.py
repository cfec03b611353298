"""The GPU backend without a GPU: its kernels run by the simulator, everything around them as it is."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import fastnn
from fastnn import layers
from fastnn.kernels import spec, table
from fastnn.kernels.backends import kernels_of
from fastnn.kernels.spec.activation import FUSED
from fastnn.program import Arena, Program

from ..kernels.cases import FLOATS, Case, cases, conv_case, large_cases
from ..kernels.test_conformance import check_close, reference, run
from ..kernels.user_functions import log_cosh, mish, record, three_averages
from . import simulator

OP_NAMES = [op.name for ops in spec.ON_GPU.values() for op in ops]


@pytest.fixture(scope="module")
def card():
    card, remove = simulator.install()
    yield card
    remove()


def check(card, case, dtype, shift=0):
    """Compare with the reference; the same bits whichever thread runs first."""
    card.backwards = False
    outputs = run("cuda", case, dtype, shift)
    check_close(case, dtype, outputs, reference(case, dtype))
    card.backwards = True
    again = run("cuda", case, dtype, shift)
    card.backwards = False
    for name, array in again.items():
        assert array.tobytes() == outputs[name].tobytes(), f"{name} depends on the order of the threads"


def check_small(card, op_name, dtype, examples):
    from fastnn.kernels.numba_gpu.plan import launches_of

    try:
        launches_of(spec.OPS[op_name])
    except NotImplementedError as error:
        pytest.skip(str(error))

    @settings(max_examples=examples, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    @given(cases(op_name), st.integers(0, 3))
    def small(case, shift):
        check(card, case, dtype, shift)

    small()


@pytest.mark.parametrize("op_name", OP_NAMES)
def test_ops(card, op_name):
    check_small(card, op_name, "float32", 2)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("op_name", OP_NAMES)
def test_ops_thoroughly(card, op_name, dtype):
    check_small(card, op_name, dtype, 10)


@pytest.mark.parametrize("number", range(6))
def test_each_tile_of_the_product_with_ragged_edges(card, monkeypatch, number):
    from fastnn.kernels.numba_gpu import product

    chosen = product.TILES[number]
    monkeypatch.setattr(product, "TILES", (chosen,))
    extents = dict(n=chosen.rows // 2 + 3, k=37, m=chosen.columns // 2 + 5)
    check(card, Case("dense_forward", extents, {"activation": 1, "alpha": 0.0}), "float32")
    extents = dict(n=37, k=chosen.rows // 2 + 3, m=chosen.columns // 2 + 5)
    check(card, Case("dense_backward_weight", extents, {}), "float32")
    check(card, Case("dense_backward_input", extents, {}), "float32")


def in_parts(splits):
    """Plan products in tiles of 32 x 32, their sums in so many parts if these have 8 products at least."""
    from fastnn.kernels.numba_gpu import product

    return lambda rows, columns, depth, *_: (product.TILES[-2], depth if splits == 1 else -(-depth // (8 * splits)) * 8)


@pytest.mark.parametrize("op_name", ["dense_forward", "dense_custom_forward", "dense_backward_weight", "conv2d_backward_weight"])
def test_a_sum_in_parts(card, monkeypatch, op_name):
    from fastnn.kernels.numba_gpu import product

    monkeypatch.setattr(product, "_plan", in_parts(3))
    if op_name.startswith("dense"):
        values = {"activation": 4, "alpha": 0.0, "function": None}
        extents, params = dict(n=50, k=41, m=7), {param.name: values[param.name] for param in spec.OPS[op_name].params}
    else:
        extents = dict(n=2, ih=6, iw=5, oh=6, ow=5, kh=3, kw=3, c=4, cg=2, co=6)
        names = [param.name for param in spec.OPS[op_name].params]
        params = {name: 2 if name == "groups" else 1 for name in names}
    before = card.launches
    check(card, Case(op_name, extents, params), "float32")
    assert card.launches - before >= 4, "two launches, in both orders"


def test_more_columns_than_a_grid_has_are_refused(card):
    from fastnn.kernels.numba_gpu.launch import scratch
    from fastnn.kernels.numba_gpu.plan import launches_of

    dy, w, dx = (scratch(*shape, dtype=np.float32) for shape in ((4, 2), (2**23, 2), (4, 2**23)))
    with pytest.raises(
        ValueError, match=r"a product of matrices on the GPU has at most \d+ columns in 65535 groups, got 8388608 in 1"
    ):
        launches_of(spec.OPS["dense_backward_input"])(dy, w, dx)


def test_equal_products_have_one_kernel(card):
    """Whatever the number of samples: a kernel is compiled once."""
    from fastnn.kernels.numba_gpu.launch import scratch
    from fastnn.kernels.numba_gpu.plan import launches_of

    def kernels(n):
        x, w, b, y = (scratch(*shape, dtype=np.float32) for shape in ((n, 8), (8, 4), (4,), (n, 4)))
        forward = launches_of(spec.OPS["dense_forward"])(x, w, b, FUSED["relu"], 0.0, y)
        return [launch.kernel for launch in (*forward, *launches_of(spec.OPS["dense_backward_weight"])(x, y, w, b))]

    assert kernels(20) == kernels(20) == kernels(21)


def check_statistics(card, layer, layer_args, y, launches):
    """Compare mean and variance that a layer gives to a batch normalization with those of what it computes."""
    channels = y.shape[-1]
    rng = np.random.default_rng(1)
    gamma, beta = rng.normal(size=(2, channels)).astype(y.dtype)
    normal, mean, var = np.empty((y.size // channels, channels), y.dtype), np.empty_like(gamma), np.empty_like(gamma)
    results = [y, normal, mean, var]
    outcomes = []
    from fastnn.kernels.numba_gpu import joined

    with fastnn.use_backend("cuda"):
        with table.record(run=False) as recording:
            table.call(layer, *layer_args, y)
            table.call("batchnorm_forward", y.reshape(normal.shape), gamma, beta, 1e-3, normal, mean, var)
        program = Program(recording.calls, results)
        for card.backwards in (False, True):
            before = card.launches
            program.run()
            assert card.launches - before == launches - (y.size <= joined.MOST_WORK), "small ones behind each other are one"
            outcomes.append([result.tobytes() for result in results])
    card.backwards = False
    assert outcomes[0] == outcomes[1]
    wide = y.reshape(normal.shape).astype(np.float64)
    np.testing.assert_allclose(mean, wide.mean(axis=0), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(var, wide.var(axis=0), rtol=1e-5)
    np.testing.assert_allclose(normal, gamma * (wide - wide.mean(axis=0)) / np.sqrt(wide.var(axis=0) + 1e-3) + beta, atol=1e-4)


@pytest.mark.parametrize("number", range(6))
@pytest.mark.parametrize("activation", ["linear", pytest.param("tanh", marks=pytest.mark.slow)])
def test_each_tile_gives_mean_and_variance(card, monkeypatch, number, activation):
    """Three tiles of rows, the last ragged; far from zero, where a difference of plain sums of squares would be wrong."""
    from fastnn.kernels.numba_gpu import product

    chosen = product.TILES[number]
    monkeypatch.setattr(product, "TILES", (chosen,))
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(2 * chosen.rows + 3, 5)), rng.normal(size=(5, chosen.columns // 2 + 5))
    x, w = x.astype(np.float32), w.astype(np.float32)
    b = np.full(w.shape[1], 0 if activation == "tanh" else 100, np.float32)
    y = np.empty((len(x), w.shape[1]), np.float32)
    tile_kernel, merge, normalize = 1, 2, 1
    check_statistics(card, "dense_forward", (x, w, b, FUSED[activation], 0.0), y, tile_kernel + merge + normalize)


@pytest.mark.parametrize("splits", [1, 2])
def test_convolutions_give_mean_and_variance(card, monkeypatch, splits):
    """With two groups of filters; where the sum is split it is added up first."""
    from fastnn.kernels.numba_gpu import product

    monkeypatch.setattr(product, "_plan", in_parts(splits))
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(2, 6, 5, 4)), rng.normal(size=(3, 3, 2, 6))
    x, w, y = x.astype(np.float32), w.astype(np.float32), np.empty((2, 6, 5, 6), np.float32)
    args = (x, w, None, 1, 1, 1, 1, 1, 1, 2, FUSED["relu"], 0.0)
    check_statistics(card, "conv2d_forward", args, y, splits + 2 + 1)


@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "tanh"])
@pytest.mark.parametrize("splits", [1, 2])
def test_a_gradient_and_that_of_the_activation_in_front_are_one(card, monkeypatch, activation, splits):
    """The gradient of the weights stands between the two, and has nothing to do with either's result."""
    from fastnn.kernels.numba_gpu import product

    monkeypatch.setattr(product, "_plan", in_parts(splits))
    rng = np.random.default_rng(0)
    dy, w, x = (rng.normal(size=shape).astype(np.float32) for shape in ((20, 20), (5, 20), (20, 5)))
    alpha = (0.2,) if activation == "leaky_relu" else ()
    dx, dw, db = np.empty_like(x), np.empty_like(w), np.empty(20, np.float32)
    with fastnn.use_backend("cuda"):
        with table.record(run=False) as recording:
            table.call("dense_backward_input", dy, w, dx)
            table.call("dense_backward_weight", x, dy, dw, db)
            table.call(f"{activation}_backward", dx, x, *alpha, dx)
        before = card.launches
        Program(recording.calls, [dx, dw, db]).run()
    assert card.launches - before == 2 * splits, "the products, and the sums of their parts"
    np.testing.assert_allclose(dw, x.T @ dy, atol=1e-5)
    np.testing.assert_allclose(db, dy.sum(axis=0), atol=1e-5)
    slope = {"relu": x > 0, "leaky_relu": np.where(x > 0, 1, 0.2), "tanh": 1 - x**2}[activation]
    np.testing.assert_allclose(dx, dy @ w.T * slope, atol=1e-5)


@pytest.mark.parametrize("between", ["reads the gradient", "sums the gradient up", "writes the activation"])
def test_they_stay_two_where_another_call_would_notice(card, between):
    rng = np.random.default_rng(0)
    dy, w, y = (rng.normal(size=shape).astype(np.float32) for shape in ((6, 20), (5, 20), (6, 5)))
    dx, other = np.empty_like(y), np.empty_like(y)
    old, total = y.copy(), np.empty(1, np.float32)
    calls = {
        "reads the gradient": ("rescale", dx, 2.0, 0.0, other),
        "sums the gradient up": ("weighted_mean_forward", dx.reshape(-1), np.ones(dx.size, np.float32), total),
        "writes the activation": ("rescale", y, -1.0, 0.0, y),
    }
    with fastnn.use_backend("cuda"):
        with table.record(run=False) as recording:
            table.call("dense_backward_input", dy, w, dx)
            table.call(*calls[between])
            table.call("relu_backward", dx, y, dx)
        Program(recording.calls, [dx, other, y, total]).run()
    plain = dy @ w.T
    if between == "reads the gradient":
        np.testing.assert_allclose(other, 2 * plain, atol=1e-5)
    np.testing.assert_allclose(dx, plain * ((-old if between == "writes the activation" else old) > 0), atol=1e-5)


@pytest.mark.parametrize(
    ("op_name", "extents"), [("batchnorm_forward", dict(m=200, c=35)), ("weighted_mean_forward", dict(m=9000))]
)
def test_sums_in_pieces(card, op_name, extents):
    params = {"eps": 1e-3} if op_name.startswith("batchnorm") else {}
    check(card, Case(op_name, extents, params), "float32")


@pytest.mark.parametrize(
    ("window", "stride", "pad"),
    [(2, 2, 0), (3, 2, 1), pytest.param(3, 1, 0, marks=pytest.mark.slow), pytest.param(2, 3, 0, marks=pytest.mark.slow)],
)
@pytest.mark.parametrize(
    "op_name",
    [
        "maxpool2d_forward",
        "avgpool2d_forward",
        "avgpool2d_backward",
        "maxpool2d_backward__gather",
        "batchnorm_maxpool_forward",
        "batchnorm_maxpool_backward",
        "batchnorm_avgpool_forward",
        "batchnorm_avgpool_backward",
    ],
)
def test_four_channels_at_a_time(card, op_name, window, stride, pad):
    """Beside them the other cases have numbers of channels that 4 does not divide."""
    check(card, conv_case(op_name, n=2, image=9, window=window, c=8, co=8, stride=stride, pad=pad), "float32")


@pytest.mark.parametrize("op_name", ["batchnorm_forward", "batchnorm_inference", "batchnorm_backward"])
def test_four_columns_at_a_time(card, op_name):
    check(
        card,
        Case(op_name, dict(m=70, c=12), {param.name: 1e-3 if param.name == "eps" else 1 for param in spec.OPS[op_name].params}),
        "float32",
    )


def test_parameters_of_several_pieces_and_of_one(card):
    from fastnn.kernels.numba_gpu.optim import PIECE

    rng = np.random.default_rng(0)
    sizes, lr = (2 * PIECE + 3, 5, PIECE), np.array([0.5])
    weights, gradients = ([rng.normal(size=size) for size in sizes] for _ in range(2))
    expected = [w - 0.5 * g for w, g in zip(weights, gradients, strict=True)]
    with fastnn.use_backend("cuda"):
        with table.record(run=False) as recording:
            for w, g in zip(weights, gradients, strict=True):
                table.call("sgd_step", g, lr, w)
        before = card.launches
        Program(recording.calls, weights).run()
    assert card.launches - before == 1
    for w, wanted in zip(weights, expected, strict=True):
        np.testing.assert_array_equal(w, wanted)


def test_more_elements_than_kernels_count_to(card):
    from fastnn.kernels.numba_gpu.launch import scratch
    from fastnn.kernels.numba_gpu.plan import launches_of

    few, channel = scratch(1, 2**15, 2**13, 4, dtype=np.float32), scratch(4, dtype=np.float32)
    many, rows = scratch(1, 2**16, 2**14, 4, dtype=np.float32), scratch(2**30, 4, dtype=np.float32)
    for name, *args in (
        ("avgpool2d_backward", few, 2, 2, 2, 2, 0, 0, many),
        ("maxpool2d_forward", few, 2, 2, 1, 1, 2**15, 2**13, many, many),
        ("avgpool2d_forward", few, 2, 2, 1, 1, 2**15, 2**13, many),
        ("batchnorm_inference", rows, *[channel] * 4, 1e-3, rows),
    ):
        with pytest.raises(ValueError, match=r"an array on the GPU has at most \d+ elements, got 4294967296"):
            launches_of(spec.OPS[name])(*args)


@pytest.mark.parametrize("shape", [(2, 3, 3_000_000), (2, 3_000_000, 3), (100_000, 3, 3)])
def test_a_card_has_as_many_blocks_as_a_transposition_asks_for(card, shape):
    from fastnn.kernels.numba_gpu.launch import scratch
    from fastnn.kernels.numba_gpu.plan import launches_of

    images, rows, columns = shape
    x, y = scratch(*shape, dtype=np.float32), scratch(images, columns, rows, dtype=np.float32)
    (launch,) = launches_of(spec.OPS["transpose"])(x, y)
    assert all(extent <= 65535 for extent in launch.grid[1:])


class TestPrograms:
    def test_what_is_read_goes_up_and_what_is_written_comes_back(self, card):
        w, g, lr = np.array([1.0, 2.0]), np.array([0.5, 0.25]), np.array([0.1])
        with fastnn.use_backend("cuda"):
            with table.record() as recording:
                table.call("sgd_step", g, lr, w)
            program = Program(recording.calls, [])
            program.run(0)
            np.testing.assert_allclose(w, [0.95, 1.975])
            program.run(9)
            np.testing.assert_allclose(w, [1.0 - 10 * 0.05, 2.0 - 10 * 0.025])
            g[:] = 1.0
            program.run(2)
        np.testing.assert_allclose(w, [0.5 - 0.2, 1.75 - 0.2])

    def test_arrays_that_are_not_writeable_are_copied_once(self, card, monkeypatch):
        x, index, y = np.arange(6.0).reshape(3, 2), np.array([2, 0], np.int32), np.empty((2, 2))
        x.flags.writeable = False
        copied = []
        monkeypatch.setattr(card, "upload", lambda *args: (copied.append(args[1]), type(card).upload(card, *args)))
        with fastnn.use_backend("cuda"):
            with table.record() as recording:
                table.call("gather", x, index, 1.0, 0.0, y)
            program = Program(recording.calls, [y])
            copied.clear()
            for _ in range(3):
                program.run()
        assert copied.count(x.ctypes.data) == 1
        assert copied.count(index.ctypes.data) == 3
        np.testing.assert_array_equal(y, x[index])

    def test_an_array_that_is_not_aligned_here_is_there(self, card):
        content, index, y = np.arange(6.0).reshape(3, 2), np.array([2, 0], np.int32), np.empty((2, 2))
        x = np.frombuffer(bytes(1) + content.tobytes(), offset=1).reshape(3, 2)
        assert not x.flags.aligned and not x.flags.writeable
        with fastnn.use_backend("cuda"):
            kernels_of("cuda")["gather"](x, index, 1.0, 0.0, y)
        np.testing.assert_array_equal(y, content[index])

    def test_programs_share_arrays_that_are_not_writeable_and_never_hold_two(self, card, monkeypatch):
        x, index = np.zeros((1000, 2)), np.array([2, 0], np.int32)
        x.flags.writeable = False
        taken, programs = [], []
        monkeypatch.setattr(card, "allocate", lambda nbytes: (taken.append(nbytes), type(card).allocate(card, nbytes))[1])
        with fastnn.use_backend("cuda"):
            for _ in range(2):
                y = np.empty((2, 2))
                with table.record(run=False) as recording:
                    table.call("gather", x, index, 1.0, 0.0, y)
                programs.append(Program(recording.calls, [y]))
                programs[-1].run()
        assert len([nbytes for nbytes in taken if nbytes >= x.nbytes]) == 1

    def test_programs_share_the_memory_of_their_temporaries(self, card, monkeypatch):
        x, arena = np.linspace(-1, 1, 1000), Arena()
        taken, programs = [], []
        monkeypatch.setattr(card, "allocate", lambda nbytes: (taken.append(nbytes), type(card).allocate(card, nbytes))[1])
        with fastnn.use_backend("cuda"):
            for scale in (2.0, 3.0):
                middle, total = np.empty(1000), np.zeros(1000)
                with table.record(run=False) as recording:
                    table.call("relu_forward", x, middle)
                    table.call("accumulate", middle, scale, total)
                programs.append((Program(recording.calls, [], arena), scale, total))
            for program, _, _ in programs * 2:
                program.run()
        for _, scale, total in programs:
            np.testing.assert_allclose(total, 2 * scale * np.maximum(x, 0))
        own = 2 * 8000  # x and total
        assert sum(nbytes > own for nbytes in taken) == 2
        assert sum(8000 <= nbytes < own for nbytes in taken) == 1, "the temporary"

    def test_temporaries_never_leave_the_card(self, card, monkeypatch):
        x, middle, y = np.array([1.0, -2.0, 3.0]), np.empty(3), np.empty(3)
        moved = []
        with fastnn.use_backend("cuda"):
            with table.record() as recording:
                table.call("relu_forward", x, middle)
                table.call("add", middle, middle, y)
            program = Program(recording.calls, [y])
            monkeypatch.setattr(card, "upload", lambda *args: (moved.append(args[1]), type(card).upload(card, *args)))
            monkeypatch.setattr(card, "download", lambda *args: (moved.append(args[0]), type(card).download(card, *args)))
            program.run()
        assert moved == [x.ctypes.data, y.ctypes.data]
        np.testing.assert_array_equal(y, [2.0, 0.0, 6.0])

    def test_memory_is_given_back(self, card):
        before = len(card._memory)
        with fastnn.use_backend("cuda"):
            fastnn.kernels.add(np.ones(5), np.ones(5))
        assert len(card._memory) == before

    def test_too_little_memory_names_the_largest_arrays(self, card, monkeypatch):
        def allocate(nbytes):
            raise MemoryError("3 MiB are needed, 2 MiB are free")

        monkeypatch.setattr(card, "allocate", allocate)
        with (
            fastnn.use_backend("cuda"),
            pytest.raises(MemoryError, match=r"3 MiB.* are [xy] of relu_forward \(4 MiB\), [xy] of .*smaller batch"),
        ):
            fastnn.kernels.relu_forward(np.ones(2**20, np.float32))

    def test_an_op_without_kernels_is_named(self, card, monkeypatch):
        from fastnn.kernels.numba_gpu import linear

        monkeypatch.delattr(linear, "dense_forward")
        with pytest.raises(NotImplementedError, match="dense_forward has no kernel for the GPU"):
            run("cuda", large_cases("dense_forward")[0], "float32")

    def test_arrays_that_do_not_fit_are_refused(self, card):
        add = kernels_of("cuda")["add"]
        with pytest.raises(ValueError, match="add: b has extent 3 along axis 'size', expected 2"):
            add(np.ones(2), np.ones(3), np.ones(2))
        with pytest.raises(TypeError, match="add: b must be real, all real arrays float32 or all float64; got float32"):
            add(np.ones(2), np.ones(2, np.float32), np.ones(2))
        with pytest.raises(TypeError, match="add: y must be a C-contiguous array"):
            add(np.ones(2), np.ones(2), np.ones(4)[::2])
        with pytest.raises(TypeError, match="add takes a, b, y; got 2 arguments"):
            add(np.ones(2), np.ones(2))


def test_the_slope_of_an_own_activation_beyond_the_edges(card):
    """Where the formula for mish's derivative overflows: beyond 88 in float32."""
    x = np.array([-1e30, -200, -90, 0, 90, 200, 1e30], np.float32)
    with fastnn.use_backend("cuda"):
        _, slope = fastnn.kernels.custom_forward(x, record("custom_forward"), slope=True)
    np.testing.assert_allclose(slope, [0, 0, 0, 0.6, 1, 1, 1], atol=1e-6)


def mlp():
    return [
        layers.Input((6,)),
        layers.Rescaling(1 / 255),
        layers.Dense(5, activation="relu"),
        layers.Dense(3, activation="softmax"),
    ]


def cnn():
    return [
        layers.Input((6, 6, 1)),
        layers.Rescaling(1 / 255),
        layers.Conv2D(3, 3, padding="same", use_bias=False),
        layers.BatchNormalization(),
        layers.Activation("relu"),
        layers.MaxPooling2D(2),
        layers.Dropout(0.25),
        layers.Flatten(),
        layers.Dense(3, activation="softmax"),
    ]


def check_training(build, x, y, optimizer, loss):
    """Two epochs: replayed steps, a smaller last batch; the same draws for dropout."""
    results = []
    for backend in ("numpy", "cuda"):
        with fastnn.use_backend(backend):
            fastnn.set_seed(0)
            model = fastnn.Sequential(build())
            model.compile(optimizer=optimizer, loss=loss, metrics=["accuracy"])
            if not isinstance(optimizer, str):
                optimizer = type(optimizer).from_config(optimizer.get_config())
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                history = model.fit(x, y, batch_size=4, epochs=2, verbose=0).history
            results.append((history["loss"], history["accuracy"], model.get_weights(), model.predict(x)))
    (losses, accuracy, weights, pred), (gpu_losses, gpu_accuracy, gpu_weights, gpu_pred) = results
    np.testing.assert_allclose(gpu_losses, losses, rtol=1e-5)
    assert gpu_accuracy == accuracy
    for ours, theirs in zip(gpu_weights, weights, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)
    np.testing.assert_allclose(gpu_pred, pred, atol=1e-5)


@pytest.mark.parametrize(
    ("build", "shape", "optimizer"), [(mlp, (10, 6), "adam"), (cnn, (6, 6, 6, 1), fastnn.optimizers.SGD(0.1, momentum=0.9))]
)
def test_training_agrees_with_the_reference(card, build, shape, optimizer):
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, shape, dtype=np.uint8), rng.integers(0, 3, shape[0])
    check_training(build, x, y, optimizer, "sparse_categorical_crossentropy")


def test_training_with_own_functions_agrees_with_the_reference(card):
    activation = fastnn.activation(mish, name="own_activation")
    loss = fastnn.loss(log_cosh, name="own_loss")
    optimizer = fastnn.optimizer_step(three_averages, name="own_optimizer")(0.1)

    def build():
        convolution = layers.Conv2D(2, 3, activation=activation)
        dense = layers.Dense(3, activation=activation)
        return [layers.Input((4, 4, 1)), convolution, layers.Activation(activation), layers.Flatten(), dense]

    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(6, 4, 4, 1)).astype("float32"), rng.normal(size=(6, 3)).astype("float32")
    check_training(build, x, y, optimizer, loss)


class TestTheSimulatorFinds:
    """Kernels with a mistake: each kind is noticed."""

    @staticmethod
    def launch(card, body, threads=64):
        from fastnn.kernels.numba_gpu.compiler import cuda, float32, uint32
        from fastnn.kernels.numba_gpu.launch import Array, Launch

        result = Array((threads,), np.dtype(np.float32), card.allocate(4 * threads))

        def kernel(y):
            body(cuda, uint32(cuda.threadIdx.x), cuda.shared.array(threads, float32), y)

        card.run([Launch(kernel, (1, 1, 1), (result,), threads)])
        return card.view(result).copy()

    def test_a_missing_barrier_before_a_read(self, card):
        def right(cuda, t, shared, y):
            shared[t] = t
            cuda.syncthreads()
            y[t] = shared[63 - t]

        def wrong(cuda, t, shared, y):
            shared[t] = t
            y[t] = shared[63 - t]

        np.testing.assert_array_equal(self.launch(card, right), np.arange(63.0, -1, -1))
        assert np.isnan(self.launch(card, wrong)).sum() == 32

    def test_a_missing_barrier_before_a_write(self, card):
        def wrong(cuda, t, shared, y):
            shared[t] = t
            cuda.syncthreads()
            y[t] = shared[63 - t]
            shared[t] = 0

        forwards = self.launch(card, wrong)
        card.backwards = True
        backwards = self.launch(card, wrong)
        card.backwards = False
        assert (forwards != backwards).any()

    def test_barriers_that_are_not_the_same(self, card):
        def wrong(cuda, t, shared, y):
            if t < 32:
                cuda.syncthreads()
            else:
                cuda.syncthreads()

        with pytest.raises(simulator.Divergence, match="at 2 barriers"):
            self.launch(card, wrong)

    def test_a_barrier_that_some_threads_do_not_reach(self, card):
        def wrong(cuda, t, shared, y):
            if t != 5:
                cuda.syncthreads()

        with pytest.raises(simulator.Divergence, match="63 of 64 threads wait"):
            self.launch(card, wrong)

    def test_a_warp_that_does_not_come_together(self, card):
        def wrong(cuda, t, shared, y):
            if t % 2:
                y[t] = cuda.shfl_xor_sync(0xFFFFFFFF, t, 1)

        with pytest.raises(simulator.Divergence, match="16 of 32 lanes"):
            self.launch(card, wrong)

    def test_an_index_outside(self, card):
        def wrong(cuda, t, shared, y):
            y[t + 1] = 0

        with pytest.raises(IndexError):
            self.launch(card, wrong)
