"""Lab 1 against the truth tables."""

import itertools

import numpy as np
import pytest

from .helpers import load_lab, run_lab

lab = load_lab(1)


@pytest.mark.parametrize(
    ("gate", "inputs", "printed"),
    [
        (lab.or_gate, lab.BINARY, [0, 1, 1, 1]),
        (lab.and_gate, lab.BINARY, [0, 0, 0, 1]),
        (lab.bipolar_or_gate, lab.BIPOLAR, [-1, 1, 1, 1]),
        (lab.bipolar_and_gate, lab.BIPOLAR, [-1, -1, -1, 1]),
    ],
)
def test_gates_of_one_unit(gate, inputs, printed):
    assert gate(inputs).tolist() == printed


def test_inputs_are_in_the_order_of_the_truth_tables():
    assert lab.BINARY.T.tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]
    assert lab.BIPOLAR.T.tolist() == [[-1, -1], [-1, 1], [1, -1], [1, 1]]


def test_xor_and_its_hidden_units():
    xor, first_only, second_only = lab.xor_gate(lab.BINARY)
    assert first_only.tolist() == [0, 0, 1, 0]
    assert second_only.tolist() == [0, 1, 0, 0]
    assert xor.tolist() == [0, 1, 1, 0]


def test_the_table_of_bipolar_or_is_wrong_in_its_first_row():
    tabulated = [1, 1, 1, 1]
    right = lab.bipolar_or_gate(lab.BIPOLAR)
    assert np.flatnonzero(right != tabulated).tolist() == [0]
    assert right[0] == max(lab.BIPOLAR[:, 0]) == -1


def test_one_unit_computes_14_of_the_16_gates_and_neither_xor_nor_its_negation():
    weights = np.arange(-2, 3)
    thresholds = np.arange(-2.5, 3.5, 0.5)
    gates = {
        tuple(lab.threshold_unit(lab.BINARY, [w1, w2], theta).tolist())
        for w1, w2, theta in itertools.product(weights, weights, thresholds)
    }
    assert set(itertools.product((0, 1), repeat=4)) - gates == {(0, 1, 1, 0), (1, 0, 0, 1)}


def test_the_script_prints_the_gates(capsys):
    assert run_lab(1, capsys).split("\n") == [
        "OR   [0 1 1 1]",
        "AND  [0 0 0 1]",
        "OR   [-1  1  1  1] (bipolar)",
        "AND  [-1 -1 -1  1] (bipolar)",
        "x1 and not x2 [0 0 1 0]",
        "x2 and not x1 [0 1 0 0]",
        "XOR           [0 1 1 0]",
        "",
    ]
