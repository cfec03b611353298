"""Lab 4 against what the lab printed, the tape and central differences; mistaken formulas give the mistaken numbers."""

import math

import numpy as np
import pytest

from .helpers import assert_printed, load_lab, run_lab

lab = load_lab(4)


def test_one_sigmoid_unit():
    #: Z_1, A_1, error (against each of the targets, all alike), dE_dW, W_0
    printed = [
        ("5.", "0.9933", "2.2397e-05", "-4.4494e-05, -4.4494e-05, -1.3348e-04", "1., 1., 1.0001"),
        ("5.0005", "0.9933", "2.2375e-05", "-4.4451e-05, -4.4451e-05, -1.3335e-04", "1.0001, 1.0001, 1.0003"),
        ("5.001", "0.9933", "2.2354e-05", "-4.4408e-05, -4.4408e-05, -1.3323e-04", "1.0001, 1.0001, 1.0004"),
    ]
    steps = lab.train(**lab.SIGMOID_UNIT)
    for step, (z, a, error, dw, w) in zip(steps, printed, strict=True):
        assert step.inputs[0].ravel().tolist() == [1, 1, 3]
        assert_printed(step.z[0], z)
        assert_printed(step.output, a)
        assert_printed(step.error, error)
        assert_printed(step.dw[0], dw)
        assert_printed(step.w[0], w)


def test_the_run_that_goes_the_wrong_way():
    printed = [
        ("5.", "1.0067", "[[1.2839e-01, 2.2700e-05]]", "-0.0034, -0.0034, -0.0103", "1.0034, 1.0034, 1.0103"),
        ("5.0378", "1.0065", "[[1.2827e-01, 2.1047e-05]]", "-4.2366e-05, -4.2366e-05, -1.2710e-04", "1.0035, 1.0035, 1.0104"),
    ]
    steps = lab.train(**lab.TWO_TARGETS, activations=lab.MISTAKEN)
    for step, (z, a, error, dw, w) in zip(steps, printed, strict=True):
        assert_printed(step.z[0], z)
        assert_printed(step.output, a)
        assert_printed(lab.errors_as_printed(step.output, lab.TWO_TARGETS["t"]), error)
        assert_printed(step.dw[0], dw)
        assert_printed(step.w[0], w)


def test_the_right_numbers_of_that_run():
    steps = lab.train(**lab.TWO_TARGETS)
    w = np.ones(3)
    for step, t in zip(steps, (0.5, 1.0), strict=True):
        x = np.array([1.0, 1.0, 3.0])
        a = 1 / (1 + math.exp(-(w @ x)))
        gradient = (a - t) * a * (1 - a) * x
        w = w - gradient
        np.testing.assert_allclose(step.output, [[a]], rtol=1e-14)
        assert step.error == pytest.approx((a - t) ** 2 / 2, rel=1e-13)
        np.testing.assert_allclose(step.dw[0], [gradient], rtol=1e-13)
        np.testing.assert_allclose(step.w[0], [w], rtol=1e-14)
    assert_printed(steps[0].output, "0.9933")  # as the text says
    assert_printed(steps[0].error, "0.1217")
    assert_printed(steps[0].w[0], "0.9967, 0.9967, 0.9902")
    right, mistaken = steps[0].dw[0], lab.train(**lab.TWO_TARGETS, activations=lab.MISTAKEN)[0].dw[0]
    assert (right > 0).all()
    assert (mistaken < 0).all()


def test_derivatives_of_the_bipolar_sigmoid():
    forward, backward = lab.ACTIVATIONS["BSigmoid"]
    f, h = forward(1.0), 1e-6
    assert backward(1.0, f) == pytest.approx((math.tanh((1 + h) / 2) - math.tanh((1 - h) / 2)) / (2 * h), rel=1e-9)
    assert_printed([backward(1.0, f), 0.5 * (1 - f) ** 2, 0.5 * (1 + f**2)], "0.3932 0.1447 0.6068")


def test_two_layers():
    #: A_0, Z_1, A_1 (with bias), Z_2, A_2, dW_1, dW_0, W_1, W_0
    printed = [
        (
            "[[1.] [1.] [0.]]",
            "[[ 1.] [-2.]]",
            "[[ 1.] [ 1.] [-2.]]",
            "[[3.]]",
            "[[3.]]",
            "[[ 3.  3. -6.]]",
            "[[ 3.  3.  0.] [-3. -3.  0.]]",
            "[[-3. -2.  5.]]",
            "[[-2. -3.  1.] [ 2.  2.  1.]]",
        ),
        (
            "[[ 1.] [-1.] [-1.]]",
            "[[ 0.] [-1.]]",
            "[[ 1.] [ 0.] [-1.]]",
            "[[-8.]]",
            "[[0.]]",
            "[[0.  0.  0.]]",
            "[[0.  0.  0.] [0. 0. 0.]]",
            "[[-3. -2.  5.]]",
            "[[-2. -3.  1.] [ 2.  2.  1.]]",
        ),
        (
            "[[1.] [1.] [1.]]",
            "[[-4.] [ 5.]]",
            "[[ 1.] [-4.] [ 5.]]",
            "[[30.]]",
            "[[30.]]",
            "[[ 29. -116. 145.]]",
            "[[-58. -58. -58.] [145. 145. 145.]]",
            "[[ -32. 114. -140.]]",
            "[[ 56. 55. 59.] [-143. -143. -144.]]",
        ),
    ]
    for step, numbers in zip(lab.train(**lab.TWO_LAYERS), printed, strict=True):
        (a_0, a_1), (z_1, z_2), (w_0, w_1), (dw_0, dw_1) = step.inputs, step.z, step.w, step.dw
        for array, text in zip((a_0, z_1, a_1, z_2, step.output, dw_1, dw_0, w_1, w_0), numbers, strict=True):
            assert_printed(array, text)


def test_linear_unit():
    #: Z_1, A_1, error, dE_dW, W_0
    printed = [
        ("1.", "1.", "0.", "[0., 0., 0.]", "[[1., 0., 1.]]"),
        ("2.", "2.", "4.5", "[3., 3., 3.]", "[[0.7, -0.3, 0.7]]"),
        ("1.7", "1.7", "3.645", "[2.7, -2.7, 2.7]", "[[ 0.43, -0.03,  0.43]]"),
    ]
    for step, numbers in zip(lab.train(**lab.LINEAR_UNIT), printed, strict=True):
        for array, text in zip((step.z[0], step.output, step.error, step.dw[0], step.w[0]), numbers, strict=True):
            assert_printed(array, text, digits=8)


@pytest.mark.parametrize("names", [["BSigmoid", "USigmoid"], ["TanH", "Lin"], ["USigmoid", "BSigmoid"], ["ReLU", "TanH"]])
@pytest.mark.parametrize("biases", [(0, 0), (1, 0), (0, 1), (1, 1)])
def test_gradients_agree_with_the_tape_and_with_central_differences(names, biases):
    generator = np.random.default_rng(3)
    x, t = generator.normal(size=(2, 1)), generator.normal(size=(2, 1))
    weights = [generator.normal(size=(3, 2 + biases[0])), generator.normal(size=(2, 3 + biases[1]))]
    step = lab.train_on_sample(x, t, weights, names, rate=0.1)
    for by_hand, by_tape in zip(step.dw, lab.tape_gradients(x, t, weights, names), strict=True):
        np.testing.assert_allclose(by_hand, by_tape, rtol=1e-12, atol=1e-14)
    h = 1e-6
    for layer, w in enumerate(weights):
        for index in np.ndindex(w.shape):
            errors = []
            for sign in (1, -1):
                shifted = [array.copy() for array in weights]
                shifted[layer][index] += sign * h
                errors.append(lab.train_on_sample(x, t, shifted, names, rate=0.1).error)
            assert step.dw[layer][index] == pytest.approx((errors[0] - errors[1]) / (2 * h), rel=1e-6, abs=1e-9)
        np.testing.assert_allclose(step.w[layer], w - 0.1 * step.dw[layer], rtol=1e-15)


def test_the_script_prints_every_step(capsys):
    printed = run_lab(4, capsys)
    assert "as printed, sample 1: A_1 = 1.0067, E = 0.1284, updated W_0 = [[1.0034 1.0034 1.0103]]" in printed
    assert "right, sample 1: A_1 = 0.9933, E = 0.1217, updated W_0 = [[0.9967 0.9967 0.9902]]" in printed
    assert "W_0 updated  [[  56.   55.   59.]\n              [-143. -143. -144.]]" in printed
    assert printed.endswith("by the tape, for the second sample: [[3. 3. 3.]]\n")
