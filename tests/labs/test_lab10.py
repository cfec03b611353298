"""Lab 10 against what the lab printed, and its loop written once more in NumPy."""

import numpy as np
import pytest

from .helpers import assert_printed, load_lab, run_lab

pytest.importorskip("sklearn", reason="iris comes with scikit-learn")

lab = load_lab(10)

COSTS_OF_10_UNITS = "0.693204 0.025059 0.015755 0.009499 0.006349 0.004659 0.003628 0.002941 0.002454 0.002093"
#: W1, b1, W2, b2 after 10,000 steps with 10 units
WEIGHTS_OF_10_UNITS = """
    -1.02202424  0.97772223 -1.26768132  1.18617301 -1.1146896   1.0625463  -0.64621207  0.61556561 -1.06879083  1.02047006
     0.6041729  -0.57229847 -0.71235961  0.6803325  -0.71069748  0.67949261 -1.04218139  0.99823128 -0.83412141  0.79859561
     2.39663245  3.06832208  2.63379976  1.47124135  2.51659842 -1.37302989  1.63367784  1.62742226  2.44266725  1.93208879
    -2.66298334 -3.41657009 -2.92446498 -1.64723135 -2.79465636  1.53874072 -1.82476362 -1.81850193 -2.71492865 -2.15218354
    -1.22478234
"""


def in_the_lab_s_order(arrays):
    """Return the numbers of W1, b1, W2, b2 as the lab printed them: a row for each unit."""
    return np.concatenate([np.ravel(np.transpose(array)) for array in arrays])


@pytest.fixture(scope="module")
def ten_units():
    return lab.train(lab.first_weights(hidden=10), rate=0.3, steps=10_000)


@pytest.fixture(scope="module")
def four_units():
    return lab.train(lab.first_weights(hidden=4), rate=1.2, steps=10_000)


def costs_by_numpy(hidden, rate, steps):
    """The descent with samples in columns, as the lab has them."""
    x, y = (array.T for array in lab.flowers())
    w1, b1, w2, b2 = (np.transpose(array) for array in lab.first_weights(hidden))
    b1, b2 = b1[:, None], b2[:, None]
    costs = []
    for _ in range(steps):
        a1 = np.tanh(w1 @ x + b1)
        a2 = 1 / (1 + np.exp(-(w2 @ a1 + b2)))
        costs.append(-np.mean(y * np.log(a2) + (1 - y) * np.log(1 - a2)))
        d2 = (a2 - y) / 150
        d1 = w2.T @ d2 * (1 - a1**2)
        w1, b1 = w1 - rate * d1 @ x.T, b1 - rate * d1.sum(axis=1, keepdims=True)
        w2, b2 = w2 - rate * d2 @ a1.T, b2 - rate * d2.sum(axis=1, keepdims=True)
    return costs


def test_first_weights():
    printed = """-0.00416758 -0.00056267 -0.02136196 0.01640271 -0.01793436 -0.00841747 0.00502881 -0.01245288
        0. 0. 0. 0. -0.01057952 -0.00909008 0.00551454 0.02292208 0."""
    assert_printed(in_the_lab_s_order(lab.first_weights(hidden=4)), printed, digits=8)


def test_gradients_of_the_first_step():
    printed = """0.01324219 0.00407888 0.01126041 0.00345553 -0.0067562 -0.00207384 -0.02872369 -0.00885145
        0.00176134 0.00149579 -0.00089779 -0.00382111 0.00543696 0.0203641 0.02552417 -0.00149351 -0.16665708"""
    gradients = lab.gradients(lab.network(lab.first_weights(hidden=4)))
    assert_printed(in_the_lab_s_order(gradients), printed, digits=8)


def test_the_first_step_takes_the_bias_from_the_bias():
    printed = """-0.0200582 -0.00545732 -0.03487445 0.01225607 -0.00982692 -0.00592886 0.03949725 -0.00183115
        -0.0021136 -0.00179495 0.00107735 0.00458533 -0.01710387 -0.03352699 -0.02511446 0.02471429 0.1999885"""
    start = lab.first_weights(hidden=4)
    model, _ = lab.train(start, rate=1.2, steps=1)
    assert_printed(in_the_lab_s_order(model.get_weights()), printed, digits=8)
    *_, w2, b2 = start
    gradient = lab.gradients(lab.network(start))[-1]
    assert_printed(b2 - 1.2 * gradient, "0.1999885", digits=8)
    assert_printed(w2[0] - 1.2 * gradient, "0.18940898", digits=8)  # by the formula in the notes


def test_ten_units_have_the_printed_costs(ten_units):
    _, costs = ten_units
    assert [f"{cost:f}" for cost in costs[::1000]] == COSTS_OF_10_UNITS.split()


def test_ten_units_have_the_printed_weights_as_far_as_rounding_leaves_them(ten_units):
    model, _ = ten_units
    np.testing.assert_allclose(in_the_lab_s_order(model.get_weights()), np.array(WEIGHTS_OF_10_UNITS.split(), float), atol=1e-4)


def test_ten_units_tell_all_flowers_right(ten_units):
    model, _ = ten_units
    x, y = lab.flowers()
    assert ((model.predict(x) > 0.5) == y).all()


@pytest.mark.parametrize(("hidden", "rate", "steps"), [(10, 0.3, 50), (4, 1.2, 25)])
def test_the_descent_is_the_lab_s(hidden, rate, steps):
    _, costs = lab.train(lab.first_weights(hidden), rate, steps)
    np.testing.assert_allclose(costs, costs_by_numpy(hidden, rate, steps), rtol=1e-9)


def test_four_units_end_at_a_constant_answer_as_in_the_lab(four_units):
    _, costs = four_units
    assert f"{costs[0]:f}" == f"{lab.PRINTED_COSTS[0]:f}"
    assert pytest.approx(0.6365141682948128, rel=1e-12) == lab.CONSTANT_ANSWER
    np.testing.assert_allclose(lab.PRINTED_COSTS[1:], lab.CONSTANT_ANSWER, atol=1e-5)
    assert np.mean(np.abs(costs - lab.CONSTANT_ANSWER) < 0.001) > 0.9
    assert costs.max() > 1


def test_the_last_digits_of_four_units_are_those_of_rounding(four_units):
    _, costs = four_units
    _, others = lab.train(lab.nudged(lab.first_weights(hidden=4)), rate=1.2, steps=1000)
    apart = np.abs(costs[:1000] / others - 1)
    assert apart[:20].max() < 1e-9
    assert apart[40:].max() > 1e-3


def test_the_script_prints_costs(capsys, in_empty_folder):
    printed = run_lab(10, capsys)
    for number, cost in enumerate(COSTS_OF_10_UNITS.split()):
        assert f"cost after {number * 1000:4} steps: {cost}" in printed
    assert "b2 = [0.1999885]" in printed
    assert "flowers told right: 1.0" in printed
    assert "     0  0.693011  0.693011  0.693011" in printed
