"""Lab 3 against what the lab printed; where that came from a wrong formula, the wrong one gives it and the right one does not."""

import math

import numpy as np
import pytest

from .helpers import assert_printed, load_lab, run_lab

lab = load_lab(3)

INPUT_WITH_BIAS = "[[ 1.,  1.,  1.], [ 0., -1.,  1.], [-1.,  0., -1.]]"
#: exercise -> Z_1 and A_1 as printed
ONE_LAYER = {
    "ReLU": (
        "[[ 0.,  0., -1.], [ 1., -1.,  2.], [-2., -3.,  0.]]",
        "[[0., 0., 0.], [1., 0., 2.], [0., 0., 0.]]",
    ),
    "ReLU, other weights": (
        "[[ 0.,  2., -1.], [-1., -1.,  0.], [-2., -3.,  0.]]",
        "[[0., 2., 0.], [0., 0., 0.], [0., 0., 0.]]",
    ),
    "two sigmoid units": (
        "[[-2.,  0., -3.], [-2., -3.,  0.]]",
        "[[0.1192, 0.5   , 0.0474], [0.1192, 0.0474, 0.5   ]]",
    ),
}


def unipolar(z):
    return [1 / (1 + math.exp(-value)) for value in np.ravel(z)]


@pytest.mark.parametrize("exercise", ONE_LAYER)
def test_one_layer(exercise):
    ((a_0, z_1, a_1),) = lab.forward(lab.X, lab.ONE_LAYER[exercise])
    assert_printed(a_0, INPUT_WITH_BIAS)
    assert_printed(z_1, ONE_LAYER[exercise][0])
    assert_printed(a_1, ONE_LAYER[exercise][1])


def test_three_sigmoid_units_were_printed_without_the_fraction():
    layers = lab.ONE_LAYER["three sigmoid units"]
    printed_z = "[[-2.,  0., -3.], [ 1., -1.,  2.], [-2., -3.,  0.]]"
    printed_a = "[[ 8.3891,  2.    , 21.0855], [ 1.3679,  3.7183,  1.1353], [ 8.3891, 21.0855,  2.    ]]"
    ((_, z, mistaken),) = lab.forward(lab.X, layers, lab.MISTAKEN)
    assert_printed(z, printed_z)
    assert_printed(mistaken, printed_a)
    ((_, z, right),) = lab.forward(lab.X, layers)
    assert_printed(z, printed_z)
    np.testing.assert_allclose(right.ravel(), unipolar(z), rtol=1e-14)
    assert_printed(right[0], "0.1192, 0.5, 0.0474")  # as the text says


def test_two_layers_relu_and_sigmoid():
    printed_z_1 = "[[-2.,  0., -3.], [ 1., -1.,  2.], [-2., -3.,  0.]]"
    printed_a_1 = "[[0., 0., 0.], [1., 0., 2.], [0., 0., 0.]]"
    printed_z_2 = "[[ 0.,  0.,  0.], [-1.,  0., -2.], [-1.,  0., -2.]]"
    printed_a_2 = "[[2.    , 2.    , 2.    ], [3.7183, 2.    , 8.3891], [3.7183, 2.    , 8.3891]]"
    for activations in (lab.ACTIVATIONS, lab.MISTAKEN):
        (a_0, z_1, a_1), (a_1_in, z_2, a_2) = lab.forward(lab.X, lab.RELU_SIGMOID, activations)
        assert_printed(a_0, INPUT_WITH_BIAS)
        assert_printed(z_1, printed_z_1)
        assert_printed(a_1, printed_a_1)
        assert a_1_in is a_1  # no bias
        assert_printed(z_2, printed_z_2)
        if activations is lab.MISTAKEN:
            assert_printed(a_2, printed_a_2)
        else:
            np.testing.assert_allclose(a_2.ravel(), unipolar(z_2), rtol=1e-14)
            assert_printed(a_2[1], "0.2689, 0.5, 0.1192")


def test_two_layers_linear_and_relu():
    (a_0, z_1, a_1), (a_1_in, z_2, a_2) = lab.forward(lab.X_LINEAR, lab.LINEAR_RELU)
    assert_printed(a_0, "[[1., 1., 0.], [0., 1., 1.]]")
    assert_printed(z_1, "[[ 1.,  0., -1.], [ 1.,  0., -1.]]")
    assert_printed(a_1, "[[ 1.,  0., -1.], [ 1.,  0., -1.]]")
    assert_printed(a_1_in, "[[ 1.,  1.,  1.], [ 1.,  0., -1.], [ 1.,  0., -1.]]")
    assert_printed(z_2, "[[ 0., -1., -2.], [ 0.,  0.,  0.], [ 0.,  1.,  2.]]")
    assert_printed(a_2, "[[0., 0., 0.], [0., 0., 0.], [0., 1., 2.]]")


def test_second_layer_was_printed_with_the_input_of_the_first():
    (a_0, z_1, a_1), (a_1_in, z_2, a_2) = lab.forward(lab.X, lab.RELU_BIPOLAR)
    assert_printed(z_1, "[[ 0.,  2., -1.], [-1., -1.,  0.], [-2., -3.,  0.]]")
    assert_printed(a_1, "[[ 0.,  2.,  0.], [ 0.,  0.,  0.], [ 0.,  0.,  0.]]")

    printed_in, printed_z, printed_a = lab.second_layer_as_printed()
    assert_printed(printed_in, INPUT_WITH_BIAS)
    assert_printed(printed_z, "[[ 0.,  2., -1.], [-1., -1.,  0.], [-2., -3.,  0.]]")
    assert_printed(printed_a, "[[ 0.    ,  0.7616, -0.4621], [-0.4621, -0.4621,  0.    ], [-0.7616, -0.9051,  0.    ]]")
    # neither does the printed Z_2 follow from the wrong input with the W_1 that is shown
    assert not np.array_equal(np.array(lab.RELU_BIPOLAR[1][0]) @ a_0, printed_z)

    assert a_1_in is a_1
    assert z_2.tolist() == [[0, 2, 0], [0, 0, 0], [0, -2, 0]]
    tanh_1 = math.tanh(1)
    np.testing.assert_allclose(a_2, [[0, tanh_1, 0], [0, 0, 0], [0, -tanh_1, 0]], rtol=1e-15)


def test_activations_and_the_bipolar_sigmoid_that_is_always_1():
    z = np.array([-3.0, -1.0, 0.0, 1.0, 2.0])
    formulas = {
        "Lin": lambda v: v,
        "ReLU": lambda v: max(v, 0),
        "USigmoid": lambda v: 1 / (1 + math.exp(-v)),
        "BSigmoid": lambda v: (1 - math.exp(-v)) / (1 + math.exp(-v)),
        "TanH": math.tanh,
        "LeakyReLU": lambda v: v if v > 0 else 0.2 * v,
    }
    assert formulas.keys() == lab.ACTIVATIONS.keys()
    for name, formula in formulas.items():
        np.testing.assert_allclose(lab.ACTIVATIONS[name](z), [formula(v) for v in z], rtol=1e-14, err_msg=name)
    np.testing.assert_array_equal(lab.bipolar_sigmoid_mistaken(z), [1, 1, np.nan, 1, 1])


def test_a_bias_row_goes_on_top_where_there_is_room_and_nothing_else_fits():
    a = np.array([[2.0, 3.0]])
    assert lab.with_bias_row(a, np.ones((1, 2))).tolist() == [[1, 1], [2, 3]]
    assert lab.with_bias_row(a, np.ones((1, 1))) is a
    with pytest.raises(ValueError, match="needs an input of 3 rows, or 2 and a bias; got 1"):
        lab.with_bias_row(a, np.ones((1, 3)))


def test_the_script_prints_right_and_mistaken_numbers(capsys):
    printed = run_lab(3, capsys)
    assert "[[0.1192 0.5    0.0474]\n       [0.7311 0.2689 0.8808]" in printed
    assert "[[ 8.3891  2.     21.0855]" in printed
    assert "[[ 0.      0.7616  0.    ]\n       [ 0.      0.      0.    ]\n       [ 0.     -0.7616  0.    ]]" in printed
    assert "[[ 0.      0.7616 -0.4621]" in printed
    assert printed.endswith("[[0.1192 0.5    0.0474]\n [0.1192 0.0474 0.5   ]]\n")  # the Dense layer
