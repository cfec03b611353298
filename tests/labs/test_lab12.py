"""Lab 12 against what the lab printed, nested loops and central differences."""

import numpy as np
import pytest
from sklearn.model_selection import train_test_split

from fastnn import GradientTape, Variable, layers, ops

from .helpers import load_lab, run_lab

lab = load_lab(12)
Y = [[4, 6, 8, 4], [10, 101, 7, 8], [9, 13, 104, 5], [1, 9, 11, 101]]
DW = [[10445, 2010, 1842], [2031, 11163, 2037], [1827, 2010, 10433]]
DX = [[105, 13, 16, 4], [23, 209, 18, 16], [18, 34, 306, 12], [1, 18, 24, 205]]


def naive(image, weights, margin):
    """Return a convolution of (C, H, W) with (F, C, K, K) by loops."""
    x = np.pad(image, ((0, 0), (margin, margin), (margin, margin)))
    k = weights.shape[2]
    y = np.zeros((len(weights), x.shape[1] - k + 1, x.shape[2] - k + 1))
    for f, i, j in np.ndindex(y.shape):
        y[f, i, j] = (weights[f] * x[:, i : i + k, j : j + k]).sum()
    return y


def central(f, array, h=1e-6):
    slope = np.zeros_like(array)
    for i in np.ndindex(array.shape):
        kept = array[i]
        array[i] = kept + h
        up = f()
        array[i] = kept - h
        down = f()
        array[i] = kept
        slope[i] = (up - down) / (2 * h)
    return slope


def test_the_example_as_printed():
    y = lab.convolve(lab.IMAGE, lab.DIAGONAL)
    assert y.tolist() == Y
    dw, dx = lab.gradients(lab.IMAGE, lab.DIAGONAL, y)
    assert dw.tolist() == DW
    assert dx.tolist() == DX


@pytest.mark.parametrize("size", [3, 5])
def test_same_padding_against_loops_and_central_differences(size):
    r = np.random.default_rng(size)
    image, weights = r.normal(size=(6, 7)), r.normal(size=(size, size))

    def half_square():
        return 0.5 * (naive(image[None], weights[None, None], size // 2) ** 2).sum()

    y = lab.convolve(image, weights)
    np.testing.assert_allclose(y, naive(image[None], weights[None, None], size // 2)[0], rtol=1e-12, atol=1e-13)
    dw, dx = lab.gradients(image, weights, y)
    np.testing.assert_allclose(dw, central(half_square, weights), rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(dx, central(half_square, image), rtol=1e-6, atol=1e-7)
    by_convolution = lab.gradients_by_convolution(image, weights, y)
    np.testing.assert_allclose(by_convolution[0], dw, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(by_convolution[1], dx, rtol=1e-12, atol=1e-12)


def test_the_turn_that_stops_after_three_rows():
    small, large = np.arange(9.0).reshape(3, 3), np.arange(25.0).reshape(5, 5)
    np.testing.assert_array_equal(lab.turned_mistaken(small), small[::-1, ::-1])
    np.testing.assert_array_equal(lab.turned_mistaken(large)[:3], large[::-1, ::-1][:3])
    np.testing.assert_array_equal(lab.turned_mistaken(large)[3:], 0)


def test_flatten_goes_row_by_row():
    flat = layers.Flatten()(np.array([lab.IMAGE], np.float32)).numpy()
    assert flat.tolist() == [[1, 2, 3, 4, 2, 3, 4, 5, 7, 8, 97, 1, 1, 2, 3, 4]]


def test_the_layer_of_many_channels():
    r = np.random.default_rng(0)
    filters, biases, image, slope = (r.normal(size=s) for s in ((4, 3, 3, 3), (4, 3, 5), (3, 5, 7), (60, 1)))

    def output():
        return np.tanh(naive(image, filters, 0) + biases).reshape(1, -1)

    layer = lab.Convolution(filters, biases)
    np.testing.assert_allclose(layer.forward(image), output(), rtol=1e-12, atol=1e-14)
    for found, array in zip(layer.backward(slope), (filters, biases, image), strict=True):
        expected = central(lambda: (output() @ slope).item(), array)
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-8)


def test_a_step_follows_the_gradient_of_the_tape():
    image, rate = np.random.default_rng(0).normal(size=(1, 8, 8)), 0.1
    convolution, w, b = lab.lab_network()
    before = [Variable(array) for array in (convolution.filters, convolution.biases, w, b)]
    with GradientTape() as tape:
        z = ops.conv2d(image[None], before[0], data_format="channels_first") + before[1]
        p = ops.softmax(ops.reshape(ops.tanh(z), (1, -1)) @ before[2] + before[3])
        loss = -ops.log(p[0, 7])
    gradients = tape.gradient(loss, before)
    lab.step(image, 7, convolution, w, b, rate)
    for variable, gradient, array in zip(before, gradients, (convolution.filters, convolution.biases, w, b), strict=True):
        np.testing.assert_allclose(array, variable.numpy() - rate * gradient.numpy(), rtol=1e-10, atol=1e-13)

    mistaken, w_mistaken, b_mistaken = lab.lab_network()
    lab.step(image, 7, mistaken, w_mistaken, b_mistaken, rate, mistaken=True)
    np.testing.assert_array_equal(w_mistaken, w)
    assert np.abs(mistaken.filters - convolution.filters).max() > 1e-4


@pytest.mark.slow
def test_the_printed_share_is_luck():
    splits = [train_test_split(*lab.digits(), test_size=0.2, random_state=seed) for seed in range(10)]
    mistaken, right = (np.mean([lab.train_as_the_lab(split, way)[1] / 360 for split in splits]) for way in (True, False))
    assert (f"{mistaken:.1%}", f"{right:.1%}") == ("86.6%", "88.3%")  # as the text says


def test_the_digits_cnn_over_five_seeds():
    black_and_white = [lab.digits_cnn(seed, grey=False) for seed in range(5)]
    grey = [lab.digits_cnn(seed) for seed in range(5)]
    assert np.mean(grey) >= 0.925
    assert np.mean(grey) > np.mean(black_and_white) + 0.02
    assert np.mean(black_and_white) > 0.90


def test_the_script_and_the_digits_network_as_printed(capsys):
    assert [len(part) for part in lab.lab_split()] == [1437, 360, 1437, 360]
    printed = run_lab(12, capsys)
    assert "dL/dx = [[105.  13.  16.   4.]" in printed
    assert "as in the lab: 1295 of 1437, 333 of 360, 92.5%\nright: 1328 of 1437, 337 of 360, 93.6%" in printed
