"""Drawings of computation graphs, as `fastnn.graph` makes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure

from .boxes import Box, draw_boxes

if TYPE_CHECKING:
    from ..graphs import Graph

INPUT, STEP, TARGET, GRADIENT = "#dbeafe", "#ffffff", "#dcfce7", "#b91c1c"


def draw_graph(graph: Graph) -> Any:
    """Return a figure: inputs on the left, the target on the right, local partials on the edges, gradients in the nodes."""
    fills = {node.name: TARGET if node.name == graph.target else STEP if node.expression else INPUT for node in graph}
    boxes = {node.name: Box(graph.node_lines(node), fills[node.name], GRADIENT) for node in graph}
    labels = {(start, end): graph.edge_text(start, end) for start, end in graph.edges()}
    return draw_boxes(Figure(), boxes, labels).axes.figure
