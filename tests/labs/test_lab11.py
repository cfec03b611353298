"""Lab 11 against what the lab printed, the tape and central differences; the lab's mistaken formulas give its mistaken numbers."""

import numpy as np
import pytest

import fastnn
from fastnn import ops

from .helpers import load_lab, run_lab

lab = load_lab(11)
RNG = np.random.default_rng(0)


def central_jacobian(f, x, h=1e-6):
    """Return the derivative of each output of f, a row, by each element of x."""
    columns = []
    for i in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[i] += h
        down[i] -= h
        columns.append((np.ravel(f(up)) - np.ravel(f(down))) / (2 * h))
    return np.array(columns).T


def test_multiplication_and_bias():
    x, w, b = RNG.normal(size=(1, 4)), RNG.normal(size=(4, 3)), RNG.normal(size=(1, 3))
    z, dz_dx, dz_dw = lab.multiplication(x, w)
    np.testing.assert_allclose(z, np.einsum("nd,dk->nk", x, w), rtol=1e-13)
    np.testing.assert_allclose(dz_dx.T, central_jacobian(lambda v: lab.multiplication(v, w)[0], x), rtol=1e-8)
    np.testing.assert_array_equal(dz_dw, x.T)
    shifted, dz_db = lab.bias_addition(z, b)
    np.testing.assert_array_equal(shifted, z + b)
    np.testing.assert_allclose(dz_db, central_jacobian(lambda v: lab.bias_addition(z, v)[0], b), atol=1e-9)


@pytest.mark.parametrize("name", lab.ACTIVATIONS)
def test_jacobians_of_activations(name):
    z = np.array([[-1.3, 0.4, 2.1, -0.2]])
    a, da_dz = lab.activation(name, z)
    s = 1 / (1 + np.exp(-z))
    p = np.exp(z) / np.exp(z).sum()
    by_formula = {
        "linear": (z, np.eye(4)),
        "sigmoid": (s, np.diag((s * (1 - s))[0])),
        "tanh": (np.tanh(z), np.diag(1 - np.tanh(z[0]) ** 2)),
        "relu": (np.maximum(z, 0), np.diag([0, 1, 1, 0])),
        "softmax": (p, np.diag(p[0]) - p.T @ p),
    }
    np.testing.assert_allclose(a, by_formula[name][0], rtol=1e-13)
    np.testing.assert_allclose(da_dz, by_formula[name][1], rtol=1e-12, atol=1e-16)
    np.testing.assert_allclose(da_dz, central_jacobian(lambda v: lab.activation(name, v)[0], z), rtol=1e-6, atol=1e-9)
    z = fastnn.Variable(z)
    with fastnn.GradientTape() as tape:
        y = fastnn.activations.get(name)(z)
    np.testing.assert_allclose(da_dz, tape.jacobian(y, z).numpy()[0, :, 0], rtol=1e-13, atol=1e-16)


def test_losses():
    y, a = np.array([[0.0, 1.0, 0.0]]), np.array([[0.2, 0.7, 0.1]])
    value, slope = lab.mean_squared(y, a)
    assert value == pytest.approx((0.04 + 0.09 + 0.01) / 3)
    np.testing.assert_allclose(slope.T, central_jacobian(lambda v: lab.mean_squared(y, v)[0], a), rtol=1e-7)
    value, slope = lab.cross_entropy(y, a)
    assert value == pytest.approx(-np.log(0.7))
    np.testing.assert_allclose(slope[:, 0], [0, -1 / 0.7, 0], rtol=1e-13)


def test_the_mistaken_slopes():
    z = np.array([[-1.0, 0.5, 2.0]])
    a, right = lab.activation("relu", z)
    np.testing.assert_array_equal(lab.relu_jacobian_mistaken(a), np.eye(3))  # whatever the input
    np.testing.assert_array_equal(right, np.diag([0, 1, 1]))
    for outputs in (1, 10):
        y, a = RNG.normal(size=(2, 1, outputs))
        np.testing.assert_allclose(lab.mean_squared_slope_mistaken(y, a), outputs * lab.mean_squared(y, a)[1], rtol=1e-13)


def network():
    r = np.random.default_rng(1)
    sizes = [(5, 4, "tanh"), (4, 3, "sigmoid"), (3, 2, "softmax")]
    return [lab.Layer(r.normal(size=(i, o)), r.normal(size=(1, o)), name) for i, o, name in sizes]


def test_a_step_follows_the_gradient_of_the_tape():
    x, y, rate = RNG.normal(size=(1, 5)), np.array([[0.0, 1.0]]), 0.3
    before = [fastnn.Variable(array) for layer in network() for array in (layer.w, layer.b)]
    with fastnn.GradientTape() as tape:
        a = x
        for w, b, layer in zip(before[::2], before[1::2], network(), strict=True):
            a = fastnn.activations.get(layer.activation)(ops.matmul(a, w) + b)
        loss = -ops.sum(y * ops.log(a))
    gradients = tape.gradient(loss, before)

    stepped, mistaken = network(), network()
    assert lab.step(x, y, stepped, lab.cross_entropy, rate) == pytest.approx(float(loss), rel=1e-13)
    lab.step(x, y, mistaken, lab.cross_entropy, rate, mistaken=True)
    after = [array for layer in stepped for array in (layer.w, layer.b)]
    for variable, gradient, array in zip(before, gradients, after, strict=True):
        np.testing.assert_allclose(array, variable.numpy() - rate * gradient.numpy(), rtol=1e-12)
    np.testing.assert_array_equal(mistaken[-1].w, stepped[-1].w)  # the last layer has its gradient from the loss
    assert np.abs(mistaken[0].w - stepped[0].w).max() > 1e-3


def test_by_hand_and_by_fit_are_the_same_steps():
    x, y = RNG.normal(size=(20, 5)), np.eye(2)[RNG.integers(2, size=20)]
    picks = RNG.integers(20, size=60)
    by_hand = network()
    model = lab.train_by_fit(network(), x, y, picks, 0.1, "categorical_crossentropy")
    lab.train_by_hand(by_hand, x, y, picks, 0.1, lab.cross_entropy)
    for found, expected in zip(model.get_weights()[::2], by_hand, strict=True):
        np.testing.assert_allclose(found, expected.w, rtol=1e-9)
    for found, expected in zip(model.get_weights()[1::2], by_hand, strict=True):
        np.testing.assert_allclose(found, expected.b[0], rtol=1e-9)
    np.testing.assert_allclose(model.predict(x), lab.outputs(by_hand, x), rtol=1e-9)


def test_samples_are_drawn_as_one_by_one():
    arrays, picks, generator = lab.lab_draws([(4, 3), (1, 3)], 120, 50)
    one_by_one = np.random.RandomState(42)
    np.testing.assert_array_equal(arrays[0], one_by_one.random_sample((4, 3)))
    np.testing.assert_array_equal(arrays[1], one_by_one.random_sample((1, 3)))
    assert picks.tolist() == [one_by_one.randint(120) for _ in range(50)]
    assert generator.random_sample() == one_by_one.random_sample()


def test_iris_as_printed():
    network, losses, (x, x_test, y, y_test) = lab.iris_classification()
    assert f"{losses[4000]:.5f}" == "0.89642"  # the last that the progress bar showed
    assert (lab.correct(lab.outputs(network, x_test), y_test), len(x_test)) == (21, 30)
    _, model, _ = lab.iris_classification(lab.train_by_fit, "categorical_crossentropy")
    np.testing.assert_allclose(model.get_weights()[0], network[0].w, rtol=1e-9)
    assert lab.correct(model.predict(x_test), y_test) == 21


def test_boston_networks_as_printed():
    assert [f"{error:.5f}" for error in lab.boston_network([], 11_111, 0.1)[1]] == ["56.95890", "54.84047"]
    mistaken = lab.boston_network([13], 1_000, 0.01, mistaken=True)[1]
    assert [f"{error:.5f}" for error in mistaken] == ["64.88076", "63.65933"]


def test_boston_networks_with_the_gradient_through_the_old_weights():
    network, errors = lab.boston_network([13], 1_000, 0.01)
    assert [f"{error:.5f}" for error in errors] == ["62.83574", "62.12388"]  # as the text says
    x, _, y, _ = lab.boston_networks_split()
    picks, _ = lab.network_draws([13, 13, 1], len(x), 1_000)
    model = lab.train_by_fit(lab.lab_network([13, 13, 1], ["sigmoid", "linear"]), x, y, picks, 0.01, "mse")
    assert model.evaluate(x, y) == pytest.approx(errors[0], rel=1e-9)
    np.testing.assert_allclose(model.get_weights()[0], network[0].w, rtol=1e-9)
    assert np.var(y) > 80  # what the mean price would give
    assert max(lab.boston_network([13, 13], 1_000, 0.01)[1]) < 70


def test_boston_regression_of_other_splits_is_around_what_was_printed():
    train, test = np.mean([lab.boston_regression(seed) for seed in range(10)], axis=0)
    assert abs(train - 61.26899) < 5
    assert abs(test - 58.32278) < 10


def test_normalized_prices_are_all_1():
    np.testing.assert_array_equal(lab.unit_length(fastnn.datasets.load_boston()[1][:, None]), 1)


@pytest.mark.parametrize("output", lab.DIGITS_NETWORKS)
def test_networks_on_digits(output):
    shares = [lab.digits_network(output, *lab.DIGITS_NETWORKS[output], seed=seed) for seed in range(3)]
    assert np.mean(shares) > 0.9


def test_the_script(capsys):
    printed = run_lab(11, capsys)
    assert "relu as in the lab: [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]" in printed
    assert "iris: loss of sample 4000 0.89642, 21 of 30 right by hand,\n      21 of 30 by fit" in printed
    assert "one layer:           56.95890 54.84047\nhidden layer, as in the lab: 64.88076 63.65933" in printed
    assert "prices, normalized: [1.]" in printed
