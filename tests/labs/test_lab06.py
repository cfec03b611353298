"""Lab 6 against every number that the lab printed: in full where it was printed in full, to 8 digits where in arrays."""

import numpy as np
import pytest

from .helpers import assert_printed, assert_same_float, load_lab, run_lab

lab = load_lab(6)


@pytest.fixture(scope="module")
def iterations():
    return lab.iterate()


def assert_in_full(values, text):
    numbers = text.split()
    assert np.size(values) == len(numbers)
    for value, number in zip(np.ravel(values), numbers, strict=True):
        assert_same_float(value, number, ulps=8)


def unit_rows(array):
    """Return gradients by W with a row for each hidden unit, as the lab has them."""
    return np.swapaxes(array, -1, -2)


def test_forward_pass_of_the_first_iteration(iterations):
    values = iterations[0]["values"]
    assert_printed(values["z"], "[ 0.15 -0.65] [-0.36 -0.23] [-0.15 -0.13]", digits=8)
    h = "[ 0.08061448 -0.2229432 ] [-0.14794544 -0.10183299] [-0.06938552 -0.06078094]"
    assert_printed(values["h"], h, digits=8)
    assert_in_full(values["f"], "0.14647866296669132 0.06579966622256907 0.0852624370574336")
    assert_in_full(values["y"], "0.536554329964136 0.5164439839996734 0.5213027055010718")
    assert_in_full(values["loss"], "0.6225874546310588 0.7265881155764734 0.7366868343670815")
    assert_in_full(values["loss"].mean(), "0.6952874681915379")


def test_factors_of_the_first_iteration(iterations):
    factor = iterations[0]["factors"]
    assert_in_full(factor["dL/dy"], "-1.8637441618760981 2.0680127367070633 2.0890028238967604")
    assert_in_full(factor["dy/df"], "0.24866378096087308 0.2497295953902185 0.24954619473833461")
    assert_in_full(factor["df/dh"], "0.3 -0.1 0.3 -0.1 0.3 -0.1")
    dh_dz = "0.574719696345381 0.19651352282931617 0.3238137175443828 0.38600592827835595 0.425280303654619 0.43518262027308185"
    assert_in_full(factor["dh/dz"], dh_dz)


def test_gradients_of_each_sample_in_the_first_iteration(iterations):
    jacobian = iterations[0]["jacobians"]
    # of each sample's six, the last one is cut off on the page
    printed = (
        "-0.07990540642667802 -0.0 -0.03995270321333901 0.00910733412587405 0.0",
        "0.00501694939087098 0.0250847469543549 0.0501694939087098 -0.0019935043944756636 -0.009967521972378319",
        "0.0 0.06650993186744109 0.04655695230720876 -0.0 -0.022686187733540322",
    )
    for found, numbers in zip(unit_rows(jacobian["W"]), printed, strict=True):
        assert_in_full(found.ravel()[:5], numbers)
    second = "[[ 0.00501695  0.02508475  0.05016949] [-0.0019935  -0.00996752 -0.01993504]]"
    assert_printed(unit_rows(jacobian["W"])[1], second, digits=8)
    b1 = (
        "-0.07990540642667802 0.00910733412587405 0.0501694939087098 -0.019935043944756637 "
        "0.06650993186744109 -0.022686187733540322"
    )
    assert_in_full(jacobian["b(1)"], b1)
    u = "[-0.03736043 0.10332206] [-0.07640553 -0.05259104] [-0.03617086 -0.03168527]"
    assert_printed(jacobian["U"], u, digits=8)
    assert_in_full(jacobian["b(2)"], "-0.46344567003586407 0.5164439839996734 0.5213027055010719")


def test_means_of_the_first_iteration(iterations):
    mean = iterations[0]["means"]
    w = "[[-0.02496282  0.03053156  0.01892458] [ 0.00237128 -0.01088457 -0.01042057]]"
    assert_printed(unit_rows(mean["W"]), w, digits=8)
    assert_printed(mean["b(1)"], "[ 0.01225801 -0.0111713 ]", digits=8)
    assert_printed(mean["U"], "[[-0.04997894] [ 0.00634858]]", digits=8)
    assert_in_full(mean["b(2)"], "0.1914336731549604")


def test_first_update(iterations):
    velocity, parameter = iterations[0]["velocities"], iterations[0]["parameters"]
    w = "[[ 0.01997026 -0.02442525 -0.01513966] [-0.00189702  0.00870766  0.00833646]]"
    assert_printed(unit_rows(velocity["W"]), w, digits=8)
    w = "[[ 0.41997026  0.17557475 -0.51513966] [-0.30189702  0.20870766  0.10833646]]"
    assert_printed(unit_rows(parameter["W"]), w, digits=8)
    assert_printed(velocity["b(1)"], "-0.00980641  0.00893704", digits=8)
    assert_printed(parameter["b(1)"], "-0.00980641 -0.39106296", digits=8)
    assert_printed(velocity["U"], "0.03998315 -0.00507887", digits=8)
    assert_printed(parameter["U"], "0.33998315 -0.10507887", digits=8)
    assert_printed(velocity["b(2)"], "-0.15314694", digits=8)
    assert_printed(parameter["b(2)"], "-0.05314694", digits=8)


def test_forward_pass_of_the_second_iteration(iterations):
    values = iterations[1]["values"]
    z = "[[ 0.15259402 -0.63879175]] [[-0.39516167 -0.20856238]] [[-0.19482942 -0.10651979]]"
    assert_printed(values["z"], z, digits=8)
    h = "[[ 0.08210697 -0.22071515]] [[-0.15904283 -0.09344587]] [[-0.08795499 -0.05042596]]"
    assert_printed(values["h"], h, digits=8)
    assert_printed(values["f"], "[[-0.00203945]] [[-0.09739964]] [[-0.07775145]]", digits=8)
    assert_printed(values["y"], "[[0.49949014]] [[0.47566932]] [[0.48057192]]", digits=8)
    assert_printed(values["loss"], "[[[0.69416743 0.64563273 0.65502693]]]", digits=8)
    assert_in_full(values["loss"].mean(), "0.6649423612035917")


def test_gradients_of_the_second_iteration(iterations):
    factor, jacobian, mean = (iterations[1][name] for name in ("factors", "jacobians", "means"))
    assert_printed(factor["dL/dy"], "-2.00204153 1.90719339 1.92519435", digits=8)
    assert_printed(factor["dy/df"], "0.24999974 0.24940802 0.24962255", digits=8)
    assert_in_full(factor["df/dh"][0], "0.3399831534829202 -0.10507886799272378")
    dh_dz = "0.5760019446299496 0.20106600496020557 0.307443342029572 0.3964699148841661 0.4031980858623431"
    assert_in_full(factor["dh/dz"].ravel()[:5], dh_dz)
    first = "-0.09801533 -0. -0.04900766 0.01057467 0."
    assert_printed(unit_rows(jacobian["W"])[0].ravel()[:5], first, digits=8)
    assert_printed(jacobian["b(1)"].ravel()[:5], "-0.09801533 0.01057467 0.0497196 -0.01981667 0.06587707", digits=8)
    u = "[-0.04109535 0.11047011] [-0.0756518 -0.04444933] [-0.0422687 -0.0242333]"
    assert_printed(jacobian["U"], u, digits=8)
    assert_printed(jacobian["b(2)"], "-0.50050986 0.47566932 0.48057192", digits=8)
    w = "[[-0.03101446,  0.03024562,  0.01560863], [ 0.00286433, -0.01082429, -0.01010817]]"
    assert_printed(unit_rows(mean["W"]), w, digits=8)
    assert_printed(mean["U"], "[[-0.05300528] [ 0.01392916]]", digits=8)
    assert_printed(mean["b(2)"], "0.15191046", digits=8)


def test_second_update(iterations):
    velocity, parameter = iterations[1]["velocities"], iterations[1]["parameters"]
    w = "[[ 0.04278479 -0.04617922 -0.0261126 ] [-0.00399879  0.01649632  0.01558935]]"
    assert_printed(unit_rows(velocity["W"]), w, digits=8)
    w = "[[ 0.46275505  0.12939553 -0.54125227] [-0.30589581  0.22520398  0.1239258 ]]"
    assert_printed(unit_rows(parameter["W"]), w, digits=8)
    assert_printed(velocity["b(1)"], "-0.01351412  0.01652508", digits=8)
    assert_printed(parameter["b(1)"], "-0.02332053 -0.37453788", digits=8)
    assert_printed(velocity["U"], "0.07838906 -0.01571431", digits=8)
    assert_printed(parameter["U"], "0.41837222 -0.12079318", digits=8)
    assert_printed(velocity["b(2)"], "-0.25936061", digits=8)


def test_the_second_bias_was_taken_from_a_variable_of_another_name_but_with_the_right_value(iterations):
    assert_printed(iterations[1]["parameters"]["b(2)"], "-0.31250755", digits=8)
    velocity = iterations[1]["velocities"]["b(2)"]
    assert_printed(lab.first_parameters()["b(2)"].numpy() + velocity, "-0.15936061", digits=8)  # as the text says


def test_products_by_hand_are_the_tape_s(iterations):
    for iteration in iterations:
        for name, by_hand in iteration["jacobians by hand"].items():
            assert by_hand.shape == iteration["jacobians"][name].shape
            np.testing.assert_allclose(by_hand, iteration["jacobians"][name], rtol=1e-13, atol=1e-17, err_msg=name)


def test_fit_makes_the_same_two_steps(iterations):
    for name, value in lab.as_model().items():
        np.testing.assert_allclose(value, iterations[1]["parameters"][name], rtol=1e-13, err_msg=name)


def test_the_script_prints_both_iterations(capsys):
    printed = run_lab(6, capsys)
    assert "iteration 1: mean loss 0.695287468191" in printed
    assert "iteration 2: mean loss 0.664942361203" in printed
    assert printed.count("b(2)   [-0.31250755]") == 2


def test_explain_tells_the_first_iteration(iterations):
    told = lab.first_model().explain(lab.X, lab.T)
    first = iterations[0]
    weights = [weight for layer in told.layers for weight in layer.weights.values()]
    for weight, name in zip(weights, first["means"], strict=True):
        np.testing.assert_allclose(weight.gradient, first["means"][name], rtol=1e-12)
        np.testing.assert_allclose(weight.updated, first["parameters"][name], rtol=1e-12)
    np.testing.assert_allclose(told.layers[0].delta, first["jacobians"]["b(1)"] / 3, rtol=1e-12)  # as the text says
