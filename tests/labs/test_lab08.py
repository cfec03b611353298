"""Lab 8 against the values and partials that the lab worked out, and against calculus where it slipped."""

import xml.etree.ElementTree as ET

import pytest

from .helpers import load_lab, run_lab

lab = load_lab(8)
THIRD = pytest.approx(1 / 3, rel=1e-6)
MINUS_THIRD = pytest.approx(-1 / 3, rel=1e-6)


def partials(graph, name):
    return {key: float(value) for key, value in graph[name].partials.items()}


def values(graph):
    return {node.name: float(node.value) for node in graph}


def gradients(graph):
    return {node.name: float(node.gradient) for node in graph}


def test_equation_1():
    graph = lab.graph_of(lab.equation_1)
    assert values(graph) == {"x": 1, "y": 2, "a": 2, "b": 1, "z": 3}
    assert partials(graph, "a") == {"x": 2, "y": 1}
    assert partials(graph, "b") == {"x": -1}
    assert partials(graph, "z") == {"a": 1, "b": 1}
    assert gradients(graph) == {"x": 1, "y": 1, "a": 1, "b": 1, "z": 1}


def test_equation_2():
    graph = lab.graph_of(lab.equation_2)
    assert values(graph) == {"x": 1, "y": 2, "a": 3, "s": 1, "b": -3, "z": -1}
    assert partials(graph, "a") == {"x": 1, "y": 1}
    assert partials(graph, "b")["s"] * partials(graph, "s")["x"] == 2  # the lab's db/dx
    assert partials(graph, "z") == {"a": MINUS_THIRD, "b": MINUS_THIRD}
    assert gradients(graph) == {
        "x": pytest.approx(-1),
        "y": MINUS_THIRD,
        "a": MINUS_THIRD,
        "b": MINUS_THIRD,
        "s": MINUS_THIRD,
        "z": 1,
    }


def test_equation_3():
    graph = lab.graph_of(lab.equation_3)
    assert values(graph) == {"x": 1, "y": 2, "a": 2, "b": 1, "c": 3, "d": 3, "z": 1}
    assert partials(graph, "a") == {"x": 2}
    assert partials(graph, "b") == {"x": -1}
    assert partials(graph, "c") == {"x": 1, "y": 1}
    assert partials(graph, "d") == {"a": 1, "b": 1}
    assert partials(graph, "d")["a"] * partials(graph, "a")["x"] + partials(graph, "d")["b"] * partials(graph, "b")["x"] == 1
    assert partials(graph, "z") == {"d": THIRD, "c": MINUS_THIRD}  # the lab has -1 for c


def test_the_slip_in_equation_3():
    graph = lab.graph_of(lab.equation_3)
    assert lab.chain_rule(graph, lab.LAB_PARTIALS)["x"] == -2  # as in the lab
    assert lab.chain_rule(graph, lab.LAB_PARTIALS)["y"] == -1
    assert graph["x"].gradient == pytest.approx(0, abs=1e-7)
    assert graph["y"].gradient == MINUS_THIRD

    def z(x, y):
        return (2 * x + 1 / x) / (x + y)

    h = 1e-6
    assert (z(1 + h, 2) - z(1 - h, 2)) / (2 * h) == pytest.approx(0, abs=1e-9)
    assert (z(1, 2 + h) - z(1, 2 - h)) / (2 * h) == pytest.approx(-1 / 3, rel=1e-9)


@pytest.mark.parametrize("equation", [lab.equation_1, lab.equation_2, lab.equation_3])
@pytest.mark.parametrize("point", [(1.0, 2.0), (0.7, -1.6), (-3.0, 0.4)])
def test_the_chain_rule_along_the_edges_gives_the_gradient_everywhere(equation, point):
    graph = lab.graph_of(equation, *point)
    assert lab.chain_rule(graph) == pytest.approx(gradients(graph), rel=1e-5, abs=1e-6)


def test_the_script(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    printed = run_lab(8, capsys)
    assert "--- z = xy + 1/x\nx = 1                                ∂z/∂x = 1\n" in printed
    assert "z = d / c = 1  ∂z/∂d = 0.3333, ∂z/∂c = -0.3333  ∂z/∂z = 1" in printed
    assert "as the lab has it: dz/dx = -2, dz/dy = -1\nright:             dz/dx = 0.0000, dz/dy = -0.3333" in printed
    for number in (1, 2, 3):
        assert ET.parse(tmp_path / f"lab08_equation_{number}.svg").getroot().tag.endswith("svg")
