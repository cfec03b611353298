"""Small launches that become one: the same numbers as from launches one by one."""

from __future__ import annotations

import numpy as np
import pytest

import fastnn
from fastnn import layers
from fastnn.kernels import table
from fastnn.kernels.backends import kernels_of
from fastnn.program import Program

from . import simulator


@pytest.fixture
def card():
    card, remove = simulator.install()
    yield card
    remove()


def kernels():
    """Return a kernel of elements, one whose threads share memory, and one of one thread."""
    from fastnn.kernels.numba_gpu.compiler import cuda, uint32
    from fastnn.kernels.numba_gpu.launch import THREADS
    from fastnn.kernels.numba_gpu.sums import TILE, add_up

    def reverse(x, y, n):
        i = uint32(uint32(cuda.blockIdx.x) * uint32(THREADS) + uint32(cuda.threadIdx.x))
        while i < n:
            y[i] = x[n - uint32(1) - i]
            i = uint32(i + uint32(cuda.gridDim.x) * uint32(THREADS))

    def sum_of_all(x, y, n):
        parts = cuda.shared.array(TILE, np.float64)
        t = uint32(cuda.threadIdx.x)
        parts[t] = sum(x[i] for i in range(t, n, THREADS))
        add_up(parts, t)
        if t == 0:
            y[0] = parts[0]

    def add_first(x, y):
        y[0] += x[0]

    return reverse, sum_of_all, add_first


def on_card(card, host):
    from fastnn.kernels.numba_gpu.launch import Array

    array = Array(host.shape, host.dtype, card.allocate(host.nbytes))
    card.view(array)[:] = host
    return array


@pytest.mark.parametrize("backwards", [False, True])
def test_each_kernel_finds_what_the_ones_before_it_wrote(card, backwards):
    from fastnn.kernels.numba_gpu.joined import joined
    from fastnn.kernels.numba_gpu.launch import THREADS, Launch, once, over

    card.backwards = backwards
    reverse, sum_of_all, add_first = kernels()
    n = 600
    x, y, z = (on_card(card, host) for host in (np.arange(float(n)), np.zeros(n), np.zeros(n)))
    total = Launch(sum_of_all, (1, 1, 1), (z, y, np.uint32(n)), THREADS, work=n)
    launches = [*over(n, reverse, x, y), *over(n, reverse, y, z), once(add_first, y, z), total, once(add_first, y, x), total]
    (one,) = joined(launches)
    card.run([one])

    reversed_ = np.arange(float(n))[::-1]
    summed = reversed_.sum() + reversed_[0]
    np.testing.assert_array_equal(card.view(z), [reversed_[0], *range(1, n)])
    np.testing.assert_array_equal(card.view(y), [summed, *reversed_[1:]])
    np.testing.assert_array_equal(card.view(x), [summed, *range(1, n)])


def test_what_becomes_one(card):
    from fastnn.kernels.numba_gpu.joined import MOST_LAUNCHES, MOST_WORK, joined
    from fastnn.kernels.numba_gpu.launch import Launch, once, over

    reverse, _, add_first = kernels()
    x, few = on_card(card, np.zeros(MOST_WORK + 1)), on_card(card, np.zeros(7))
    (small,), (large,), (sums,) = over(7, reverse, few, few), over(MOST_WORK + 1, reverse, few, x), over(7, reverse, x, few)
    single = once(add_first, few, few)
    needs_its_grid = Launch(reverse, (2, 1, 1), (few, few, np.uint32(7)))
    for alone in (large, sums, needs_its_grid):
        assert joined([alone, alone, small, alone]) == [alone, alone, small, alone]
    first, middle, second = joined([small, single, large, small, single])
    assert middle is large
    assert first.kernel is second.kernel, "it is compiled once"
    assert first.args == (*small.args, *single.args)
    assert [len(part.args) for part in joined([single] * (MOST_LAUNCHES + 3))] == [2 * MOST_LAUNCHES, 6]


def test_a_small_launch_moves_up_past_others_with_other_memory(card):
    from fastnn.kernels.numba_gpu.joined import joined
    from fastnn.kernels.numba_gpu.launch import Array, Launch, once

    _, _, add_first = kernels()
    x, y, z = (on_card(card, np.zeros(5)) for _ in range(3))
    of_y = Array((2,), y.dtype, y.address + 3 * y.dtype.itemsize)
    first, other, last = once(add_first, x, x), Launch(add_first, (2, 1, 1), (x, y)), once(add_first, z, z)
    both, then = joined([first, other, last])
    assert (both.args, then) == ((x, x, z, z), other)
    for touched in (x, y, of_y):
        assert joined([first, other, last, once(add_first, touched, z)])[2].args == (touched, z)
    by_address = Launch(add_first, (1, 1, 1), (x,), by_address=(of_y, x))
    for touched in (x, y):
        assert joined([once(add_first, z, z), by_address, once(add_first, touched, z)])[2].args == (touched, z)
    assert len(joined([first, by_address, last])) == 2


def test_training_with_and_without_joining_gives_the_same_bits(card, monkeypatch):
    from fastnn.kernels.numba_gpu import program

    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(6, 5)).astype(np.float32), rng.integers(0, 3, 6)
    outcomes, counts = [], []
    for card.backwards in (False, True):
        for join in (program.joined, list):
            monkeypatch.setattr(program, "joined", join)
            with fastnn.use_backend("cuda"):
                fastnn.set_seed(0)
                model = fastnn.Sequential(
                    [layers.Input((5,)), layers.Dense(4), layers.BatchNormalization(), layers.Dropout(0.2), layers.Dense(3)]
                    + [layers.Activation("softmax")]
                )
                model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
                before = card.launches
                history = model.fit(x, y, batch_size=3, epochs=1, verbose=0).history
                counts.append(card.launches - before)
            outcomes.append((history, [w.tobytes() for w in model.get_weights()]))
        monkeypatch.undo()
    assert all(outcome == outcomes[0] for outcome in outcomes)
    assert counts[0] < 0.6 * counts[1]


def loss_of_a_classifier():
    """Return calls of a loss, its gradient and a metric; and their results."""
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(20, 10)).astype(np.float32), rng.integers(0, 10, 20).astype(np.int32)
    probs, probs_of_loss, dlogits = np.empty((3, 20, 10), np.float32)
    losses, matches, dlosses = np.empty((3, 20), np.float32)
    mean, one, count, totals = np.empty(1, np.float32), np.ones(1, np.float32), np.zeros(1), np.zeros((2, 2))
    calls = [
        ("softmax_forward", logits, probs),
        ("softmax_xent_forward", logits, labels, losses, probs_of_loss),
        ("weighted_mean_forward", losses, None, mean),
        ("collect_mean", mean, 20.0, totals[0]),
        ("sparse_match", probs, labels, matches),
        ("collect_samples", matches, totals[1]),
        ("weighted_mean_backward", one, None, dlosses),
        ("softmax_xent_backward", dlosses, probs_of_loss, labels, dlogits),
        ("increment", count),
    ]
    return calls, (probs, losses, mean, totals, dlogits, count)


@pytest.mark.parametrize("backwards", [False, True])
def test_a_loss_and_its_gradient_are_one_launch(card, backwards):
    card.backwards = backwards
    calls, results = loss_of_a_classifier()
    with fastnn.use_backend("cuda"), table.record(run=False) as recording:
        for call in calls:
            table.call(*call)
        Program(recording.calls, results).run()
    assert card.launches == 1
    calls, expected = loss_of_a_classifier()
    for name, *args in calls:
        kernels_of("numpy")[name](*args)
    for found, wanted in zip(results, expected, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-5)
