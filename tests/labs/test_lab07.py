"""Lab 7 against what the lab printed, formulas of calculus and central differences."""

import math

import matplotlib.pyplot as plt
import numpy as np
import pytest

import fastnn

from .helpers import load_lab, run_lab

lab = load_lab(7)


def test_shapes_and_dtypes():
    printed = [
        ((), "float32"),
        ((), "float32"),
        ((3,), "float32"),
        ((2, 3), "float32"),
        ((2, 1, 3), "float32"),
        ((1, 1, 1, 2, 3), "int32"),
        ((2, 2, 3), "int32"),
    ]
    for value, (shape, dtype) in zip(lab.VALUES, printed, strict=True):
        for made in (fastnn.constant(value), fastnn.Variable(value)):
            assert (made.shape, made.dtype) == (shape, dtype)
            np.testing.assert_array_equal(made.numpy(), np.asarray(value, dtype))


def test_the_slope_is_6x_and_not_6():
    assert lab.derivative(lab.f, 2.0).numpy() == 12
    assert lab.f(3.0) - lab.f(2.0) == 15  # not 6, as the lab says of a step of 1
    for h in (0.1, 0.01, 0.001):
        assert lab.difference_quotient(lab.f, 2.0, h) == pytest.approx(12 + 3 * h, rel=1e-9)


def test_first_derivatives_as_printed():
    found = lab.first_derivatives()
    printed = {
        "2 x^2 + a, x = (3, 4)": ([20, 34], [[12, 16]]),
        "2 x + a, x = (3, 4)": ([8, 10], [[2, 2]]),
        "2 x1^2 + x2^3 + a, x1 = 3, x2 = 1": ([21], [[12], [3]]),
        "2 w0^2 + w1^3 + a, w = (3, 2)": ([28], [[12, 12]]),
    }
    for title, (value, derivatives) in printed.items():
        assert found[title][0].tolist() == value
        assert [dx.tolist() for dx in found[title][1]] == derivatives
        assert all(dx.dtype == np.float32 for dx in found[title][1])
    value, (slope,) = found["1 / (1 + exp(-x)), x = 3"]
    for found_value, number in ((value[0], 0.95257413), (slope[0], 0.04517666)):  # float32: two units in the last place
        assert abs(float(found_value) - number) <= 2 * np.spacing(np.float32(number))
    assert len(found) == len(printed) + 1


def test_what_is_watched():
    (d0, d1, d2, d3), watched = lab.watched_and_unwatched()
    assert d0.numpy() == 6
    assert d1 is d2 is d3 is None
    assert watched == ["x0"]
    assert lab.constant_without_watch() is None


def test_several_gradients_need_a_persistent_tape():
    assert lab.several_gradients() == [12, 12, 6, 2]
    a = fastnn.Variable(6.0)
    with fastnn.GradientTape() as tape:
        squared = a**2
    tape.gradient(squared, a)
    with pytest.raises(RuntimeError, match="persistent=True"):
        tape.gradient(squared, a)


def test_second_derivatives():
    def square_plus_x(x):
        return x**2 + x

    assert [d.numpy() for d in lab.second_derivative(square_plus_x, 3.0)] == [7, 2]  # as the cell printed
    assert [d.numpy() for d in lab.second_derivative(square_plus_x, 2.0)] == [5, 2]  # as the text says


@pytest.mark.parametrize("name", lab.RULES)
def test_rules(name):
    function, by_hand = lab.RULES[name]
    x = np.array([0.3, 1.0, 1.5, 2.5])
    slopes = lab.derivative(function, x).numpy()
    np.testing.assert_allclose(slopes, by_hand(x), rtol=1e-13)
    h = 1e-6
    np.testing.assert_allclose(slopes, (function(x + h) - function(x - h)) / (2 * h), rtol=1e-7)


def test_the_inverse_function_has_the_reciprocal_slope():
    inverse, _ = lab.RULES["inverse of x^2"]
    for x in (0.5, 1.0, 3.0):
        forth, back = lab.derivative(lambda v: v**2, x).numpy(), lab.derivative(inverse, x**2).numpy()
        assert forth * back == pytest.approx(1, rel=1e-6)


def test_sigmoids_and_the_formulas_of_the_notes():
    x = np.linspace(-5, 5, 21)
    f = 1 / (1 + np.exp(-x))
    first, second = (d.numpy() for d in lab.second_derivative(fastnn.ops.sigmoid, x))
    np.testing.assert_allclose(first, f * (1 - f), rtol=1e-12)
    np.testing.assert_allclose(second, first * (1 - 2 * f), rtol=1e-11, atol=1e-15)
    assert np.abs(second - first * (1 - f)).max() > 0.1  # the notes' second derivative

    f = np.tanh(x / 2)
    slope = lab.derivative(fastnn.ops.bipolar_sigmoid, x).numpy()
    np.testing.assert_allclose(slope, (1 - f**2) / 2, rtol=1e-12)
    at_3 = math.tanh(1.5)
    assert (f"{(1 + at_3**2) / 2:.4f}", f"{(1 - at_3**2) / 2:.4f}") == ("0.9096", "0.0904")  # as the text says
    assert f"{lab.derivative(fastnn.ops.bipolar_sigmoid, 3.0).numpy():.4f}" == "0.0904"


def test_derivative_curves():
    curves = lab.curves()
    assert len(lab.X) == 100 and len(curves) == 11
    h = 1e-6
    for name, (y, slope) in curves.items():
        function = fastnn.activations.get(name)
        assert y.dtype == slope.dtype == np.float64
        away = np.abs(lab.X) > 2 * h  # from the kinks at 0
        central = (function(lab.X + h).numpy() - function(lab.X - h).numpy()) / (2 * h)
        np.testing.assert_allclose(slope[away], central[away], rtol=1e-6, atol=1e-9, err_msg=name)
    np.testing.assert_array_equal(curves["linear"][0], lab.X)
    np.testing.assert_array_equal(curves["linear"][1], 1)
    np.testing.assert_array_equal(curves["relu"][1], lab.X > 0)
    np.testing.assert_array_equal(curves["leaky_relu"][1], np.where(lab.X > 0, 1, 0.2))  # Keras's slope
    at_zero = lab.curves(np.zeros(1))  # which arange misses by rounding
    assert at_zero["sigmoid"][1] == 0.25 and at_zero["bipolar_sigmoid"][1] == 0.5 and at_zero["relu"][1] == 0


def test_the_script(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    printed = run_lab(7, capsys)
    plt.close("all")
    assert "tape       slope 12.0" in printed
    assert "x = 3: value [0.952574" in printed
    assert "- watched: ['x0']" in printed
    assert "x^2 + x at 3.0: 7.0 2.0" in printed
    assert (tmp_path / "lab07_activations.png").read_bytes().startswith(b"\x89PNG")
