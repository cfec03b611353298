"""Lab 2 against the tables that the lab printed, and perceptron learning written once more for other starts."""

import numpy as np
import pytest

from .helpers import assert_printed, load_lab, run_lab

lab = load_lab(2)


def perceptron(targets, w, b, fires):
    """The rule with the bias apart, in Python's numbers; returns epochs, weights and bias."""
    for epoch in range(1, 1001):
        right = True
        for (x1, x2), target in zip([(0, 0), (0, 1), (1, 0), (1, 1)], targets, strict=True):
            y = 1 if fires(x1 * w[0] + x2 * w[1] + b) else 0
            if y != target:
                sign = 1 if target else -1
                w, b, right = (w[0] + sign * x1, w[1] + sign * x2), b + sign, False
        if right:
            return epoch, [b, *w]
    raise AssertionError("no convergence")


# input, target, z, weights after it: as printed, with -1 and 1 where the lab printed "W-x" and "W+x"
AUGMENTED_OR = """
-1  1. 0. 0.  0   0.  -1. 0. 0.
 1  1. 0. 1.  1  -1.   0. 0. 1.
 0  1. 1. 0.  1   0.   0. 0. 1.
 0  1. 1. 1.  1   1.   0. 0. 1.
-1  1. 0. 0.  0   0.  -1. 0. 1.
 0  1. 0. 1.  1   0.  -1. 0. 1.
 1  1. 1. 0.  1  -1.   0. 1. 1.
 0  1. 1. 1.  1   2.   0. 1. 1.
-1  1. 0. 0.  0   0.  -1. 1. 1.
 0  1. 0. 1.  1   0.  -1. 1. 1.
 0  1. 1. 0.  1   0.  -1. 1. 1.
 0  1. 1. 1.  1   1.  -1. 1. 1.
 0  1. 0. 0.  0  -1.  -1. 1. 1.
 0  1. 0. 1.  1   0.  -1. 1. 1.
 0  1. 1. 0.  1   0.  -1. 1. 1.
 0  1. 1. 1.  1   1.  -1. 1. 1.
"""


def test_augmented_rule_update_by_update():
    table = lab.learn_augmented("OR")
    assert_printed([[row.update, *row.x, row.target, row.z, *row.w] for row in table], AUGMENTED_OR)
    assert [row.epoch for row in table] == [1] * 4 + [2] * 4 + [3] * 4 + [4] * 4
    assert lab.output(lab.augmented(lab.INPUTS), table[-1].w, np.greater_equal)[1].tolist() == [0, 1, 1, 1]


def test_the_targets_shown_are_not_those_trained_with():
    trained, shown = lab.learn_augmented("OR"), lab.learn_augmented("AND")
    assert trained[-1].w.tolist() == [-1, 1, 1]  # as printed
    epochs, weights = perceptron([0, 0, 0, 1], (0, 0), 0, lambda z: z >= 0)
    assert shown[-1].w.tolist() == weights == [-3, 2, 1]
    assert shown[-1].epoch == epochs == 6


def test_rule_with_separate_bias_from_the_start_that_the_result_tells():
    assert (lab.FIRST_WEIGHTS >= 0).all()
    assert (lab.FIRST_WEIGHTS < 1).all()
    table = lab.learn_with_bias("OR", lab.FIRST_WEIGHTS)
    assert table[-1].epoch == 3
    assert_printed(table[-1].w[1:], "[0.93321385 1.37331598]", digits=8)
    assert_printed(table[-1].w[0], "-0.5922852074362165", digits=15)
    assert lab.output(lab.augmented(lab.INPUTS), table[-1].w, np.greater)[1].tolist() == [0, 1, 1, 1]


@pytest.mark.parametrize("gate", ["OR", "AND"])
def test_any_start_converges(gate):
    for start in [np.zeros(3), *np.random.default_rng(0).random((50, 3))]:
        table = lab.learn_with_bias(gate, start)
        epochs, weights = perceptron(lab.GATES[gate], tuple(start[1:]), start[0], lambda z: z > 0)
        assert table[-1].epoch == epochs
        np.testing.assert_allclose(table[-1].w, weights, rtol=0, atol=1e-12)
        assert lab.output(lab.augmented(lab.INPUTS), table[-1].w, np.greater)[1].tolist() == lab.GATES[gate]


def test_a_tie_is_on_in_one_rule_and_off_in_the_other():
    with_bias, augmented = lab.learn_with_bias("OR", [0, 0, 0]), lab.learn_augmented("OR")
    assert (with_bias[0].z, with_bias[0].target, with_bias[0].update) == (0, 0, 0)
    assert (augmented[0].z, augmented[0].target, augmented[0].update) == (0, 0, -1)


def test_xor_goes_in_a_circle():
    table = lab.learn_augmented("XOR", max_epochs=1000)
    assert table[-1].epoch == 1000
    assert all(any(row.update for row in table[i : i + 4]) for i in range(0, 4000, 4))
    assert len({tuple(row.w) for row in table}) < 20


def test_the_script_prints_the_tables(capsys):
    printed = run_lab(2, capsys)
    assert "    2  [1. 1. 0.]              1   -1.00  w + x    [0. 1. 1.]" in printed
    assert "final weights [-1.  1.  1.] predictions [0 1 1 1]" in printed
    assert "converged after 3 epochs; weights [0.93321385 1.37331598] bias -0.5922852074362165" in printed
