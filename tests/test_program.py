"""Programs made of recorded calls repeat them: state advances, temporaries share memory, what nobody reads is left out."""

import itertools
import warnings

import numpy as np
import pytest

from fastnn import memory
from fastnn.kernels import spec, table, use_backend
from fastnn.kernels.backends import BACKENDS
from fastnn.program import Arena, Program, Replay, _Buffer, _place

INSTALLED = [name for name, backend in BACKENDS.items() if backend.installed()]


@pytest.fixture(params=INSTALLED)
def backend(request):
    with use_backend(request.param):
        yield request.param


def test_replay_advances_state_and_matches_the_closed_form(backend):
    w = np.array([1.0, 2.0])
    g = np.array([0.5, 0.25])
    lr = np.array([0.1])
    with table.record() as recording:
        table.call("sgd_step", g, lr, w)
    Program(recording.calls, []).run(9)
    np.testing.assert_allclose(w, [1.0 - 10 * 0.05, 2.0 - 10 * 0.025], rtol=1e-12)


def test_results_keep_their_buffers_and_temporaries_do_not(backend):
    x = np.array([1.0, -2.0, 3.0])
    middle, y = np.empty(3), np.empty(3)
    with table.record() as recording:
        table.call("relu_forward", x, middle)
        table.call("add", middle, middle, y)
    replayed = Program(recording.calls, [y])
    middle[:] = y[:] = np.nan
    x[:] = [-1.0, 5.0, 0.5]
    replayed.run()
    np.testing.assert_array_equal(y, [0.0, 10.0, 1.0])
    assert np.isnan(middle).all()


def test_calls_without_readers_are_dropped_and_state_updates_are_not():
    x, dead, total = np.ones(4), np.empty(4), np.zeros(4)
    with table.record() as recording:
        table.call("relu_forward", x, dead)
        table.call("accumulate", x, 1.0, total)
    assert [name for name, _ in Program(recording.calls, []).calls] == ["accumulate"]


def test_buffers_alive_at_the_same_time_do_not_overlap():
    rng = np.random.default_rng(0)
    for _ in range(50):
        values = [rng.standard_normal(int(n)) for n in rng.integers(1, 400, 12)]
        sums = [np.zeros(len(v)) for v in values]
        with table.record() as recording:
            live = []
            for value in values:
                out = np.empty(len(value))
                table.call("linear_forward", value, out)
                live.append(out)
                if rng.random() < 0.5:
                    place = int(rng.integers(len(live)))
                    target = next(s for s in sums if len(s) == len(live[place]))
                    table.call("accumulate", live.pop(place), 1.0, target)
        expected = [s.copy() * 2 for s in sums]
        replayed = Program(recording.calls, [])
        replayed.run()
        for got, want in zip(sums, expected, strict=True):
            np.testing.assert_allclose(got, want)


def test_the_arena_is_smaller_than_the_sum_of_a_chain():
    x = np.ones(1000)
    with table.record() as recording:
        a = x
        for _ in range(10):
            b = np.empty(1000)
            table.call("relu_forward", a, b)
            a = b
        result = np.empty(1000)
        table.call("relu_forward", a, result)
    arena = Program(recording.calls, [result]).arena
    assert arena.nbytes < 3 * x.nbytes


def test_temporaries_that_are_alive_at_the_same_time_share_no_memory():
    rng = np.random.default_rng(0)
    for _ in range(200):
        starts, lengths = rng.integers(0, 30, 20), rng.integers(0, 8, 20)
        sizes = rng.integers(1, 5000, 20)
        buffers = [_Buffer(int(n), int(at), int(at + length)) for n, at, length in zip(sizes, starts, lengths, strict=True)]
        arena = _place(buffers)
        assert arena == max(b.end for b in buffers)
        for a, b in itertools.combinations(buffers, 2):
            assert a.last < b.first or b.last < a.first or a.end <= b.offset or b.end <= a.offset
        assert all(b.offset % memory.ALIGNMENT == 0 for b in buffers)


def test_a_temporary_lies_in_the_middle_of_a_larger_one_that_is_no_longer_there():
    large, beside, small = _Buffer(8192, 0, 1), _Buffer(1024, 1, 2), _Buffer(2048, 2, 3)
    assert _place([large, beside, small]) == 8192 + 1024
    assert (small.offset, beside.offset) == (3072, 8192)


def test_an_elementwise_result_takes_the_place_of_an_input_that_nobody_reads_later(backend):
    x, results = np.linspace(-2, 2, 1000), [np.empty(1000) for _ in range(2)]
    with table.record() as recording:
        first, second, third = (np.empty(1000) for _ in range(3))
        table.call("tanh_forward", x, first)
        table.call("tanh_backward", x, first, second)  # first is read below
        table.call("add", first, second, third)  # in the place of first
        table.call("relu_forward", third, results[0])
        table.call("add", third, third, results[1])
    replayed = Program(recording.calls, results)
    replayed.run()
    y = np.tanh(x)
    third = y + x * (1 - y**2)
    np.testing.assert_allclose(results, [np.maximum(third, 0), 2 * third], atol=1e-14)
    assert replayed.arena.nbytes < 2 * x.nbytes + 3 * memory.ALIGNMENT


def test_views_of_a_temporary_follow_it_into_the_arena(backend):
    x = np.arange(6.0)
    flat, y = np.empty(6), np.empty((1, 3, 2))
    with table.record() as recording:
        table.call("linear_forward", x, flat)
        table.call("transpose", flat.reshape(1, 2, 3), y)
    replayed = Program(recording.calls, [y])
    x += 1
    replayed.run()
    np.testing.assert_array_equal(y[0], np.arange(1.0, 7.0).reshape(2, 3).T)


@pytest.mark.parametrize("activation", ["relu", "tanh", "leaky_relu"])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize(("shape", "images"), [((2, 7, 7, 3), (2, 7, 7, 3)), ((2, 3, 7, 7), (6, 7, 7, 1))], ids=["last", "first"])
def test_a_derivative_before_a_pooling_gives_the_same_bits_behind_it(backend, activation, stride, shape, images):
    rng = np.random.default_rng(0)
    alpha = (0.25,) if activation == "leaky_relu" else ()
    out = (7 - 2) // stride + 1
    z, y, dx, dp = rng.standard_normal(shape), np.empty(shape), np.empty(shape), rng.random((images[0], out, out, images[3]))
    with table.record() as recording:
        spread, pooled, argmax = np.empty(images), np.empty_like(dp), np.empty(dp.shape, np.int32)
        table.call(f"{activation}_forward", z, *alpha, y)
        table.call("maxpool2d_forward", y.reshape(images), 2, 2, stride, stride, 0, 0, pooled, argmax)
        table.call("maxpool2d_backward", dp, argmax, spread)
        table.call(f"{activation}_backward", spread.reshape(shape), y, *alpha, dx)
    expected = dx.copy()
    dx[:] = np.nan
    replayed = Program(recording.calls, [dx])
    replayed.run()
    np.testing.assert_array_equal(dx, expected)
    last = replayed.calls[-1][0].removesuffix("__gather")
    assert last == ("maxpool2d_backward" if stride >= 2 else f"{activation}_backward")


def test_a_spread_gradient_that_others_read_stays():
    y, dp, total = np.random.default_rng(0).random((1, 4, 4, 1)), np.ones((1, 2, 2, 1)), np.zeros((1, 4, 4, 1))
    with table.record() as recording:
        spread, pooled, argmax, dx = np.empty_like(y), np.empty_like(dp), np.empty(dp.shape, np.int32), np.empty_like(y)
        table.call("maxpool2d_forward", y, 2, 2, 2, 2, 0, 0, pooled, argmax)
        table.call("maxpool2d_backward", dp, argmax, spread)
        table.call("tanh_backward", spread, y, dx)
        table.call("accumulate", spread, 1.0, total)
    replayed = Program(recording.calls, [dx])
    dp *= 2
    replayed.run()
    assert total.sum() == 4 + 8


@pytest.mark.parametrize("read_by_others", [False, True])
def test_relu_in_front_of_a_batch_normalization_gives_the_same_bits_in_its_gradient(backend, read_by_others):
    rng = np.random.default_rng(0)
    z, dy, gamma = rng.standard_normal((20, 3)), rng.standard_normal((20, 3)), rng.random(3)
    x, total, dx = np.empty((20, 3)), np.zeros((20, 3)), np.empty((5, 4, 3))
    with table.record() as recording:
        y, mean, var, by_x, dgamma, dbeta = (np.empty_like(a) for a in (x, gamma, gamma, x, gamma, gamma))
        table.call("relu_forward", z, x)
        table.call("batchnorm_forward", x, gamma, gamma, 1e-3, y, mean, var)
        table.call("batchnorm_backward", dy, x, gamma, mean, var, 1e-3, 0, by_x, dgamma, dbeta)
        table.call("relu_backward", by_x.reshape(dx.shape), x.reshape(dx.shape), dx)
        if read_by_others:
            table.call("accumulate", by_x, 1.0, total)
    expected = dx.copy()
    assert (expected == 0).any() and expected.any()
    dx[:] = np.nan
    replayed = Program(recording.calls, [dx, dgamma])
    replayed.run()
    np.testing.assert_array_equal(dx, expected)
    assert ("relu_backward" in [name for name, _ in replayed.calls]) == read_by_others


@pytest.mark.parametrize("read_by_others", [False, True])
@pytest.mark.parametrize("relu", [False, True])
def test_both_gradients_of_a_convolution_are_taken_in_one(backend, relu, read_by_others):
    rng = np.random.default_rng(0)
    z, w, dy = (rng.standard_normal(shape) for shape in ((2, 5, 6, 3), (3, 2, 3, 4), (2, 3, 5, 4)))
    x, dx, dz, dw, db, total = (np.zeros_like(a) for a in (z, z, z, w, w[0, 0, 0], z))
    window = 1, 1, 0, 0, 1, 1, 1
    with table.record() as recording:
        table.call("relu_forward", z, x)
        table.call("conv2d_backward_input", dy, w, *window, dx)
        table.call("conv2d_backward_weight", x, dy, *window, dw, db)
        if relu:
            table.call("relu_backward", dx, x, dz)
        if read_by_others:
            table.call("accumulate", dx, 1.0, total)
    results = dw, db, dz if relu else dx, total
    expected = [result.copy() for result in results]
    replayed = Program(recording.calls, results)
    replayed.run()
    expected[-1] *= 2
    for result, wanted in zip(results, expected, strict=True):
        np.testing.assert_allclose(result, wanted, atol=1e-12)
    names = {name for name, _ in replayed.calls} - {"relu_forward", "accumulate"}
    provided = "conv2d_backward" in BACKENDS[backend].load()
    one = {"conv2d_backward"} if provided else {"conv2d_backward_input", "conv2d_backward_weight"}
    assert names == one | ({"relu_backward"} if relu and (read_by_others or not provided) else set())


#: what stands behind a batch normalization of images of 6 x 5 pixels, and the windows
POOLINGS = {
    "maxpool2d": (2, 2, 2, 2, 0, 0),
    "maxpool2d, overlapping": (3, 3, 2, 2, 1, 0),
    "avgpool2d": (3, 2, 2, 2, 1, 1),
    "global_avgpool2d": (),
    "nothing": (),
}


def record_block(activation, pooling, also_read=None, channels=3):
    """Record batch normalization, activation and pooling, forward and backward; return the calls and what they give.

    The place between two of them that `also_read` names, "normalized" or "activated", is read by another call. The pooling
    takes what lies there for images of so many `channels`; three are normalized.
    """
    rng = np.random.default_rng(0)
    x, gamma, beta = rng.standard_normal((2, 6, 5, 3)), rng.random(3), rng.standard_normal(3)
    alpha = (0.25,) if activation == "leaky_relu" else ()
    columns, name, window = x.reshape(-1, 3), pooling.partition(",")[0], POOLINGS[pooling]
    out = [(6 + 2 * window[4] - window[0]) // 2 + 1, (5 + 2 * window[5] - window[1]) // 2 + 1] if window else []
    images = (6 // channels, 6, 5, channels)
    pooled = np.empty(x.shape if name == "nothing" else (images[0], *out, channels))
    dy, argmax = rng.standard_normal(pooled.shape), ((np.empty(pooled.shape, np.int32),) if name == "maxpool2d" else ())
    z, a, da, dz, dx = (np.empty(x.shape) for _ in range(5))
    mean, var, dgamma, dbeta = (np.empty(3) for _ in range(4))
    total = np.zeros(x.shape)
    with table.record() as recording:
        table.call("batchnorm_forward", columns, gamma, beta, 1e-3, z.reshape(columns.shape), mean, var)
        a = pooled if name == "nothing" else a
        if activation:
            table.call(f"{activation}_forward", z, *alpha, a)
        else:
            a = z
        if name != "nothing":
            table.call(f"{name}_forward", a.reshape(images), *window, pooled, *argmax)
            table.call(f"{name}_backward", dy, *(argmax or window), da.reshape(images))
        else:
            da = dy
        if activation:
            table.call(f"{activation}_backward", da, a, *alpha, dz)
        else:
            dz = da
        columns_of_dz = dz.reshape(columns.shape)
        table.call(
            "batchnorm_backward", columns_of_dz, columns, gamma, mean, var, 1e-3, 0, dx.reshape(columns.shape), dgamma, dbeta
        )
        if also_read:
            table.call("accumulate", {"normalized": z, "activated": a}[also_read], 1.0, total)
    return recording.calls, (pooled, mean, var, dx, dgamma, dbeta, total)


@pytest.mark.parametrize("also_read", [None, "normalized", "activated"])
@pytest.mark.parametrize(
    ("activation", "pooling"),
    [(a, p) for a in (None, "relu", "tanh", "leaky_relu") for p in POOLINGS if a or p != "nothing"],
)
def test_a_batch_normalization_that_activates_and_pools_gives_the_same(backend, activation, pooling, also_read):
    calls, results = record_block(activation, pooling, also_read)
    expected = [result.copy() for result in results]
    for result in results[:-1]:
        result[:] = np.nan
    replayed = Program(calls, results)
    replayed.run()
    expected[-1] *= 2
    for result, wanted in zip(results, expected, strict=True):
        np.testing.assert_allclose(result, wanted, atol=1e-12)
    names = {name for name, _ in replayed.calls}
    if backend in ("cython", "numba"):
        assert all(name in BACKENDS[backend].load() for name in names)
    elif not also_read:
        kind = "max" if "max" in pooling else "avg"
        by = "avg" if "overlapping" in pooling and activation else kind
        wanted = {f"batchnorm_{kind}pool_forward", f"batchnorm_{by}pool_backward"}
        wanted |= {f"{activation}_backward"} if activation and pooling == "maxpool2d" else set()
        assert names == wanted | ({"maxpool2d_backward__gather"} if by != kind else set())


@pytest.mark.parametrize(("activation", "pooling"), [(a, p) for a in (None, "tanh") for p in POOLINGS if p != "nothing"])
def test_a_pooling_of_other_channels_than_were_normalized_gives_the_same(backend, activation, pooling):
    calls, results = record_block(activation, pooling, channels=1)
    expected = [result.copy() for result in results]
    for result in results:
        result[:] = np.nan
    Program(calls, results[:-1]).run()
    for result, wanted in zip(results[:-1], expected, strict=False):
        np.testing.assert_allclose(result, wanted, atol=1e-12)


@pytest.mark.parametrize("changed", [False, True])
@pytest.mark.parametrize("first", [False, True])
def test_a_penalty_is_added_to_the_gradient_of_the_loss_where_weights_have_not_changed(backend, first, changed):
    rng = np.random.default_rng(0)
    w, g, one, lr, dw = rng.standard_normal((4, 3)), rng.standard_normal((4, 3)), np.array([2.0]), np.array([0.1]), np.empty((4, 3))
    with table.record() as recording:
        penalty = np.empty_like(w)
        table.call("penalty_backward", one, w, None, 0.5, 0.25, penalty)
        if changed:
            table.call("sgd_step", g, lr, w)
        table.call("add", *((penalty, g) if first else (g, penalty)), dw)
    before = w.copy()
    replayed = Program(recording.calls, [dw])
    dw[:] = np.nan
    replayed.run()
    np.testing.assert_allclose(dw, g + 2 * (0.5 * np.sign(before) + 0.5 * before), rtol=1e-14)
    assert ("add" in [name for name, _ in replayed.calls]) == changed


def record_sgd(between=None, rates=(0.1, 0.1), rows=5):
    """Record the gradient of a dense layer and the steps of its weights; return the calls and the arrays by name."""
    rng = np.random.default_rng(0)
    arrays = {"x": rng.standard_normal((rows, 4)), "dy": rng.standard_normal((rows, 3)), "w": rng.standard_normal((4, 3))}
    arrays |= {"b": rng.standard_normal(3), "rate": np.array([rates[0]]), "dx": np.empty((rows, 4)), "total": np.zeros((4, 3))}
    b_rate = arrays["rate"] if rates[0] == rates[1] else np.array([rates[1]])
    dw, db = np.empty((4, 3)), np.empty(3)
    with table.record() as recording:
        table.call("dense_backward_weight", arrays["x"], arrays["dy"], dw, db)
        if between == "weights":
            table.call("dense_backward_input", arrays["dy"], arrays["w"], arrays["dx"])
        if between == "rate":
            table.call("increment", arrays["rate"])
        if between == "gradient":
            table.call("accumulate", dw, 1.0, arrays["total"])
        table.call("sgd_step", dw, arrays["rate"], arrays["w"])
        table.call("sgd_step", db, b_rate, arrays["b"])
    return recording.calls, arrays


@pytest.mark.parametrize("rows", [1, 5, 60])
def test_a_dense_layer_takes_its_step_of_sgd_as_its_gradient_is_summed(backend, rows):
    calls, a = record_sgd(rows=rows)
    replayed = Program(calls, [])
    w, b = a["w"] - 0.1 * a["x"].T @ a["dy"], a["b"] - 0.1 * a["dy"].sum(axis=0)
    replayed.run()
    np.testing.assert_allclose(a["w"], w, rtol=1e-12)
    np.testing.assert_allclose(a["b"], b, rtol=1e-12)
    provided = "dense_descent" in BACKENDS[backend].load()
    assert [name for name, _ in replayed.calls] == (["dense_descent"] if provided else [name for name, _ in calls])


@pytest.mark.parametrize("between", ["weights", "rate", "gradient", "two rates"])
def test_a_step_of_sgd_is_not_made_earlier_where_that_would_be_seen(backend, between):
    calls, a = record_sgd(between, rates=(0.1, 0.2) if between == "two rates" else (0.1, 0.1))
    replayed = Program(calls, [a["dx"]])
    before = a["w"].copy()
    replayed.run()  # a["rate"] is what it is after the count
    np.testing.assert_allclose(a["w"], before - a["rate"] * (a["x"].T @ a["dy"]), rtol=1e-12)
    if between == "weights":
        np.testing.assert_allclose(a["dx"], a["dy"] @ before.T, rtol=1e-12)
    assert [name for name, _ in replayed.calls] == [name for name, _ in calls]


@pytest.mark.parametrize("kind", [np.uint8, np.float64])
@pytest.mark.parametrize("reader", ["rescaling", "another layer", "the caller"])
@pytest.mark.parametrize("scale", [1.0, 2.0])
def test_a_batch_that_only_a_rescaling_reads_is_rescaled_as_it_is_gathered(backend, kind, reader, scale):
    rng = np.random.default_rng(0)
    data, other = rng.integers(0, 256, (2, 7, 6)).astype(kind)
    index = np.array([5, 0, 5, 2], np.int32)
    batch, scaled, positive = np.empty((4, 6)), np.empty((4, 3, 2)), np.empty((4, 6))
    with table.record() as recording:
        table.call("gather_uint8" if kind == np.uint8 else "gather", data, index, scale, 0.0, batch)
        table.call("rescale", batch.reshape(4, 3, 2), 1 / 255, -0.5, scaled)
        if reader == "another layer":
            table.call("relu_forward", batch, positive)
    replayed = Program(recording.calls, [scaled, positive, *([batch] if reader == "the caller" else [])])
    for given in (data, other):
        replayed.replace({id(data): given})
        replayed.run()
        np.testing.assert_allclose(scaled, (given[index] * scale / 255 - 0.5).reshape(4, 3, 2), rtol=1e-14, atol=1e-16)
        if reader == "the caller":
            np.testing.assert_array_equal(batch, given[index] * scale)
    assert len(replayed.calls) == len(recording.calls) - (reader == "rescaling" and scale == 1)


@pytest.mark.parametrize("reader", ["dense layers", "another layer", "the caller", "a dense layer, in parts"])
@pytest.mark.parametrize(("rows", "kind"), [(80, np.float64), (80, np.uint8), (5, np.float64)])
def test_a_batch_that_only_dense_layers_read_is_kept_in_halves(backend, rows, kind, reader):
    rng = np.random.default_rng(0)
    data, other = rng.integers(0, 9, (2, 200, 417)).astype(kind)
    w, dy, index = rng.standard_normal((417, 3)), rng.standard_normal((rows, 3)), rng.permutation(200)[:rows].astype(np.int32)
    batch, y, dw, db, positive = np.empty((rows, 417)), np.empty((rows, 3)), np.empty((417, 3)), np.empty(3), np.empty((rows, 417))
    thirds = np.empty((3 * rows, 3))
    with table.record() as recording:
        table.call("gather_uint8" if kind == np.uint8 else "gather", data, index, 0.5, -1.0, batch)
        table.call("dense_forward", batch, w, None, 0, 0.0, y)
        table.call("dense_backward_weight", batch, dy, dw, db)
        if reader == "another layer":
            table.call("relu_forward", batch, positive)
        if reader == "a dense layer, in parts":
            table.call("dense_forward", batch.reshape(-1, 139), w[:139], None, 0, 0.0, thirds)
    replayed = Program(recording.calls, [y, dw, db, positive, thirds, *([batch] if reader == "the caller" else [])])
    for given in (data, other):
        replayed.replace({id(data): given})
        replayed.run()
        x = given[index] * 0.5 - 1
        np.testing.assert_allclose(y, x @ w, rtol=1e-10)
        np.testing.assert_allclose(dw, x.T @ dy, rtol=1e-10)
        np.testing.assert_allclose(db, dy.sum(axis=0), rtol=1e-12)
        if reader == "a dense layer, in parts":
            np.testing.assert_allclose(thirds, x.reshape(-1, 139) @ w[:139], rtol=1e-10)
    provided = "gather__halves" in BACKENDS[backend].load()
    assert any("__halves" in name for name, _ in replayed.calls) == (provided and rows == 80 and reader == "dense layers")


def test_recording_runs_no_kernel_and_the_first_step_counts_once(backend):
    w, g, lr = np.array([1.0, 2.0]), np.array([0.5, 0.25]), np.array([0.1])
    seen = []

    def step():
        table.call("sgd_step", g, lr, w)
        seen.append(w.copy())
        return [w]

    replay = Replay(step, "training of 'net'")
    replay.run()
    np.testing.assert_array_equal(seen, [[1.0, 2.0]])
    np.testing.assert_allclose(w, [0.95, 1.975], rtol=1e-12)
    replay.run(2)
    np.testing.assert_allclose(w, [0.85, 1.925], rtol=1e-12)


def test_a_step_that_looks_at_values_is_run_to_be_recorded(backend):
    w, g, lr = np.array([1.0, 2.0]), np.array([0.5, 0.25]), np.array([0.1])
    seen = []

    def step():
        table.call("sgd_step", g, lr, w)
        table.need_values()
        seen.append(w.copy())
        return [w]

    replay = Replay(step, "training of 'net'")
    replay.run(3)
    np.testing.assert_allclose(seen, [[0.95, 1.975]], rtol=1e-12)
    np.testing.assert_allclose(w, [0.85, 1.925], rtol=1e-12)


def test_a_python_step_is_repeated_in_python_and_said_once():
    runs = []

    def step():
        table.python_step("my own layer")  # where recording ends
        runs.append(None)
        return []

    replay = Replay(step, "training of 'net'")
    with pytest.warns(UserWarning, match="training of 'net' .* my own layer"):
        replay.run(3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        replay.run(2)
    assert len(runs) == 5


def test_a_step_that_there_was_no_memory_for_is_recorded_again():
    runs, count = [], np.zeros(1)

    class Full(Arena):
        def take(self, size):
            if len(runs) == 1:
                raise MemoryError
            return super().take(size)

    def step():
        runs.append(None)
        table.call("increment", count)
        return []

    replay = Replay(step, "counting", Full())
    with pytest.raises(MemoryError):
        replay.run()
    replay.run(3)
    assert len(runs) == 2  # and not each time from now on
    assert count[0] == 3


def test_a_native_step_runs_its_function_once():
    runs = []
    count = np.zeros(1)

    def step():
        runs.append(None)
        table.call("increment", count)
        return []

    replay = Replay(step, "counting")
    replay.run(3)
    replay.run(4)
    assert len(runs) == 1
    assert count[0] == 7


def test_every_argument_of_every_op_has_a_role_the_planner_knows():
    assert {array.role for op in spec.OPS.values() for array in op.arrays} == {"in", "out", "inout"}
