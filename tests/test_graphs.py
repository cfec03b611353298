"""Computation graphs against calculus by hand and the chain rule; drawings in which nothing overlaps."""

import random
import sys
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from fastnn import GradientTape, Variable, constant, ops, plotting
from fastnn.autodiff import record
from fastnn.graphs import graph
from fastnn.plotting import draw_graph


def random_graph(seed, steps=12):
    """Return the graph of a random expression in float64, with some inputs and results used several times."""
    r = random.Random(seed)
    pool = [Variable(np.float64(r.uniform(0.5, 2)), name=f"x{i}") for i in range(r.randint(1, 4))]
    with GradientTape() as tape:
        for _ in range(steps):
            a, b = r.choice(pool[-5:]), r.choice(pool[-8:])
            op = r.choice([ops.add, ops.subtract, ops.multiply, ops.tanh, lambda a, b: a / (b * b + 1), lambda a, b: 2 * a])
            pool.append(op(a) if op is ops.tanh else op(a, b))
    return graph(tape, pool[-1])


def test_values_partials_and_gradients_by_hand():
    x, y = Variable(3.0, name="x"), Variable(2.0, name="y")
    with GradientTape() as tape:
        a = x**2
        b = a * y
        z = b / x - y
    found = graph(tape, z, {"a": a, "b": b, "z": z})
    assert [(node.name, node.expression) for node in found] == [
        ("x", ""),
        ("y", ""),
        ("a", "x ** 2"),
        ("b", "a * y"),
        ("v1", "b / x"),
        ("z", "v1 - y"),
    ]
    assert {node.name: float(node.value) for node in found} == {"x": 3, "y": 2, "a": 9, "b": 18, "v1": 6, "z": 4}
    # z = xy - y
    assert {node.name: float(node.gradient) for node in found} == pytest.approx(
        {"x": 2, "y": 2, "a": 2 / 3, "b": 1 / 3, "v1": 1, "z": 1}
    )
    partials = {node.name: {name: float(value) for name, value in node.partials.items()} for node in found}
    assert partials == {
        "x": {},
        "y": {},
        "a": {"x": 6},
        "b": {"a": 2, "y": 9},
        "v1": {"b": pytest.approx(1 / 3), "x": -2},
        "z": {"v1": 1, "y": -1},
    }
    assert list(found.edges()) == [("x", "a"), ("a", "b"), ("y", "b"), ("b", "v1"), ("x", "v1"), ("v1", "z"), ("y", "z")]
    assert found.target == "z" and len(found) == 6 and found["a"] is found.nodes["a"]


@pytest.mark.parametrize("seed", range(20))
def test_gradients_are_sums_over_paths_of_products_of_partials(seed):
    found = random_graph(seed)
    by_hand = dict.fromkeys(found.nodes, 0.0) | {found.target: 1.0}
    for node in reversed(list(found)):
        for name, partial in node.partials.items():
            by_hand[name] += by_hand[node.name] * float(partial)
    assert {node.name: float(node.gradient) for node in found} == pytest.approx(by_hand, rel=1e-12, abs=1e-12)


def test_the_partial_by_what_is_used_twice_is_the_sum():
    x = Variable(5.0, name="x")
    with GradientTape() as tape:
        z = x * x
    found = graph(tape, z)
    assert found["v1"].expression == "x * x"
    assert found["v1"].partials == {"x": 10}
    assert list(found.edges()) == [("x", "v1")]


def test_only_what_leads_to_the_target_is_in_the_graph():
    x, y = Variable(1.0, name="x"), Variable(2.0, name="y")
    with GradientTape() as tape:
        z = x + 1
        later = z * y
    assert list(graph(tape, z).nodes) == ["x", "v1"]
    assert list(graph(tape, later).nodes) == ["x", "y", "v1", "v2"]


def test_names():
    a, b, unnamed = Variable(1.0, name="w"), Variable(2.0, name="w"), Variable(3.0)
    data = constant(4.0)
    with GradientTape() as tape:
        tape.watch(data)
        s = a + b
        t = s * unnamed
        z = t / data
    assert list(graph(tape, z).nodes) == ["w", "w1", "v1", "v2", "v3", "v4", "v5"]
    # given names come first, and are not given twice
    assert list(graph(tape, z, {"v1": z, "w": unnamed}).nodes) == ["w1", "w2", "w", "v2", "v3", "v4", "v1"]


def test_constants_stand_in_expressions_by_value_or_name():
    x, c, image = Variable(1.0, name="x"), constant([0.25, 0.5]), constant(np.ones((28, 28), np.float32))
    with GradientTape() as tape:
        z = -ops.sum(ops.multiply(image, x)) * c
    found = graph(tape, z, {"c": c})
    assert [node.expression for node in found] == ["", "<28x28> * x", "sum(v1)", "-v2", "v3 * c"]
    assert set(found["v4"].partials) == {"v3"}
    assert graph(tape, z)["v4"].expression == "v3 * [0.25 0.5]"


def test_arrays_have_the_gradient_of_the_sum_and_partials_of_single_elements():
    w = Variable([3.0, 2.0], name="w")
    with GradientTape() as tape:
        first = w[0]
        y = first * w
    found = graph(tape, y, {"first": first, "y": y})
    np.testing.assert_array_equal(found["first"].partials["w"], [1, 0])
    assert found["y"].partials == {"first": None, "w": None}
    np.testing.assert_array_equal(found["w"].gradient, [3 + 3 + 2, 3])  # of 9 + 6 = w0^2 + w0 w1
    assert str(found).splitlines() == [
        "w = [3 2]                                  ∂Σy/∂w = [8 3]",
        "first = getitem(w) = 3  ∂first/∂w = [1 0]  ∂Σy/∂first = 5",
        "y = first * w = [9 6]                      ∂Σy/∂y = [1 1]",
    ]


def test_large_arrays_are_shown_by_their_shape():
    w = Variable(np.ones((2, 3)), name="w")
    with GradientTape() as tape:
        z = ops.sum(w)
    assert str(graph(tape, z, {"z": z})).splitlines() == [
        "w of shape (2, 3)    ∂z/∂w of shape (2, 3)",
        "z = sum(w) = 6       ∂z/∂z = 1",
    ]


def test_ops_of_several_outputs():
    x, y = Variable(3.0, name="x"), Variable(2.0, name="y")

    def vjp(d_product, d_sum, needs):
        return d_product * y + d_sum, d_product * x + d_sum

    with GradientTape() as tape:
        product, total = record("product_and_sum", (x, y), (constant(6.0), constant(5.0)), vjp)
        z = product + 10 * total
    found = graph(tape, z, {"product": product, "total": total})
    assert found["product"].expression == found["total"].expression == "product_and_sum(x, y)"
    assert found["product"].partials == {"x": 2, "y": 3}
    assert found["total"].partials == {"x": 1, "y": 1}
    assert (found["x"].gradient, found["y"].gradient) == (12, 13)


def test_the_tape_stays_as_it_was():
    x = Variable(2.0, name="x")
    with GradientTape() as once:
        y = x**3
    assert graph(once, y)["x"].gradient == 12
    assert float(once.gradient(y, x)) == 12
    with GradientTape(persistent=True) as tape:
        y = x**3
        before = len(tape.nodes)
        inside = graph(tape, y)
        assert len(tape.nodes) == before
        z = y + 1
    assert inside["x"].gradient == 12
    assert len(graph(tape, z)) == 3


def test_the_graph_of_a_derivative():
    x = Variable(2.0, name="x")
    with GradientTape() as outer:
        with GradientTape() as inner:
            y = x**3
        slope = inner.gradient(y, x)
    found = graph(outer, slope, {"slope": slope})
    assert (found["slope"].value, found["x"].gradient) == (12, 12)  # 3 x^2 and 6 x


def test_a_derivative_that_is_zero_everywhere():
    x = Variable(2.0, name="x")
    with GradientTape() as outer:
        with GradientTape() as inner:
            y = ops.relu(x)
        slope = inner.gradient(y, x)
        z = slope + 0 * x
    found = graph(outer, z, {"y": y, "slope": slope, "z": z})
    assert (found["slope"].value, found["slope"].partials, found["y"].gradient) == (1, {"y": 0}, 0)
    assert "∂slope/∂y = 0" in str(found)


def test_a_target_that_is_an_input():
    x = Variable(2.0, name="x")
    with GradientTape() as tape:
        tape.watch(x)
    found = graph(tape, x)
    assert str(found) == "x = 2    ∂x/∂x = 1"
    assert len(draw_graph(found).axes[0].texts) == 3


def test_errors_that_teach():
    x = Variable(2.0, name="x")
    with GradientTape() as tape:
        y = x * 2
    other = constant(1.0)
    with pytest.raises(TypeError, match="tape must be the GradientTape that recorded the target; got Tensor"):
        graph(y, tape)
    with pytest.raises(TypeError, match="target must be a Tensor or Variable; got float"):
        graph(tape, 4.0)
    with pytest.raises(ValueError, match="target must be computed, inside the tape's with block"):
        graph(tape, other)
    with pytest.raises(ValueError, match=r"names\['other'\] is a tensor that the target does not depend on"):
        graph(tape, y, {"other": other})
    with pytest.raises(TypeError, match=r"names\['y'\] must be a Tensor or Variable; got float"):
        graph(tape, y, {"y": 4.0})
    with pytest.raises(KeyError, match="no node is called 'q'; there are x, v1"):
        graph(tape, y)["q"]
    tape.gradient(y, x)
    with pytest.raises(RuntimeError, match=r"make the graph before taking the gradient, or use GradientTape\(persistent=True\)"):
        graph(tape, y)


def test_dot():
    x = Variable(2.0, name='a "b" \\ c')
    with GradientTape() as tape:
        y = 3 * x
    assert graph(tape, y).to_dot().splitlines()[3:] == [
        r'  "a \"b\" \\ c" [label="a \"b\" \\ c = 2\n∂v1/∂a \"b\" \\ c = 3", fillcolor=lightblue]',
        r'  "v1" [label="v1 = 3 * a \"b\" \\ c = 6\n∂v1/∂v1 = 1"]',
        r'  "a \"b\" \\ c" -> "v1" [label="∂v1/∂a \"b\" \\ c = 3"]',
        "}",
    ]


def extents(drawing):
    """Return the boxes of nodes, of texts in nodes and of texts on edges, and points along each edge, in pixels."""
    axes, renderer = drawing.axes[0], FigureCanvasAgg(drawing).get_renderer()
    nodes = [patch.get_window_extent(renderer) for patch in axes.patches if isinstance(patch, FancyBboxPatch)]
    in_nodes = [text.get_window_extent(renderer) for text in axes.texts if text.get_bbox_patch() is None]
    on_edges = [text.get_window_extent(renderer) for text in axes.texts if text.get_bbox_patch() is not None]
    arrows = [patch.get_path().transformed(patch.get_transform()) for patch in axes.patches if isinstance(patch, FancyArrowPatch)]
    return nodes, in_nodes, on_edges, [np.concatenate(arrow.to_polygons(closed_only=False)) for arrow in arrows]


def overlap(a, b):
    return min(a.x1, b.x1) > max(a.x0, b.x0) and min(a.y1, b.y1) > max(a.y0, b.y0)


@pytest.mark.parametrize("steps", [4, 10, 20])
@pytest.mark.parametrize("seed", range(4))
def test_nothing_overlaps_in_a_drawing(seed, steps):
    found = random_graph(seed, steps)
    drawing = draw_graph(found)
    nodes, in_nodes, on_edges, arrows = extents(drawing)
    assert len(nodes) == len(found) and len(in_nodes) == 3 * len(found)
    assert len(on_edges) == len(arrows) == len(list(found.edges()))
    for boxes in (nodes, on_edges, in_nodes):
        assert not [1 for i, a in enumerate(boxes) for b in boxes[:i] if overlap(a, b)]
    assert not [1 for a in nodes for b in on_edges if overlap(a, b)]
    for text in in_nodes:
        assert [1 for box in nodes if box.x0 < text.x0 < text.x1 < box.x1 and box.y0 < text.y0 < text.y1 < box.y1]
    for points in arrows:
        for box in nodes:
            inside = (points > (box.x0 + 1, box.y0 + 1)) & (points < (box.x1 - 1, box.y1 - 1))
            assert not inside.all(axis=1).any()
    width, height = drawing.bbox.width, drawing.bbox.height
    assert not [1 for box in nodes + on_edges if box.x0 < 0 or box.y0 < 0 or box.x1 > width or box.y1 > height]


def test_files_and_notebooks(tmp_path):
    found = random_graph(0, steps=3)
    for name, start in (("graph.svg", b"<?xml"), ("graph.png", b"\x89PNG"), ("graph.pdf", b"%PDF")):
        found.save(tmp_path / name)
        assert (tmp_path / name).read_bytes().startswith(start)
    assert ET.fromstring(found._repr_svg_()).tag == "{http://www.w3.org/2000/svg}svg"
    with pytest.raises(ValueError, match="Format 'xyz' is not supported"):
        found.save(tmp_path / "graph.xyz")


def test_a_drawing_is_the_same_each_time():
    places = [[text.get_position() for text in draw_graph(random_graph(7)).axes[0].texts] for _ in range(2)]
    assert places[0] == places[1]


@pytest.mark.parametrize("missing", ["grandalf", "matplotlib"])
def test_without_the_drawing_libraries_the_error_names_the_extra(missing, monkeypatch, tmp_path):
    found = random_graph(0)
    monkeypatch.delitem(vars(plotting), "draw_graph", raising=False)
    for name in ("graph", "boxes"):
        monkeypatch.delitem(sys.modules, f"fastnn.plotting.{name}", raising=False)
    for name in [name for name in sys.modules if name.split(".")[0] == missing]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=rf"draw_graph needs {missing}: pip install 'fastnn-kernels\[plot\]'"):
        found.save(tmp_path / "graph.png")
    assert "digraph" in found.to_dot()
