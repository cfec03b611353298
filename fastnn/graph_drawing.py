"""Drawings of computation graphs: placed in layers by grandalf, drawn by matplotlib. Lengths are in points, 1/72 inch."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

try:
    from grandalf.graphs import Edge, Vertex
    from grandalf.graphs import Graph as Vertices
    from grandalf.layouts import SugiyamaLayout, VertexViewer
    from matplotlib.figure import Figure
    from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
    from matplotlib.path import Path
    from matplotlib.textpath import TextPath
except ModuleNotFoundError as error:
    raise ImportError(f"drawing graphs needs {str(error.name).split('.')[0]}: pip install 'fastnn-kernels[plot]'") from error

if TYPE_CHECKING:
    from .graphs import Graph

FONT_SIZE = 11
LINE = 16.0  # height of a line of text
MARGIN = 8.0  # around the text of a node
NODE_GAP = 18.0  # least distance of nodes in a layer
LAYER_GAP = 48.0  # distance of layers, beside the text on edges
HEAD = 10.0  # size of arrowheads

INPUT, STEP, TARGET = "#dbeafe", "#ffffff", "#dcfce7"  # fill of inputs, intermediate results, the target
BORDER, EDGE, PARTIAL, GRADIENT = "#64748b", "#94a3b8", "#1d4ed8", "#b91c1c"

Point = tuple[float, float]
Edges = list[tuple[str, str]]
Routes = dict[tuple[str, str], list[Point]]


def draw(graph: Graph) -> Figure:
    """Return a drawing: inputs on the left, the target on the right, local partials on the edges, gradients in the nodes."""
    lines = {node.name: graph.node_lines(node) for node in graph}
    sizes = {name: (max(map(_width, texts)) + 2 * MARGIN, LINE * len(texts) + 2 * MARGIN) for name, texts in lines.items()}
    labels = {(start, end): graph.edge_text(start, end) for start, end in graph.edges()}
    widths = {edge: _width(label) for edge, label in labels.items()}
    centres, routes = _layout(sizes, list(labels), max([0.0, *widths.values()]) + LAYER_GAP)

    axes = _axes(centres, sizes, routes)
    for route in routes.values():
        axes.add_patch(
            FancyArrowPatch(path=_smooth(route), color=EDGE, arrowstyle="-|>", mutation_scale=HEAD, shrinkA=0, shrinkB=0)
        )
    for edge, place in _label_places(routes, widths).items():
        background = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}
        axes.text(*place, labels[edge], size=FONT_SIZE, color=PARTIAL, ha="center", va="center", bbox=background)
    for name, texts in lines.items():
        fill = TARGET if name == graph.target else INPUT if not graph[name].expression else STEP
        _draw_node(axes, centres[name], sizes[name], texts, fill)
    return axes.figure


def _width(text: str) -> float:
    return TextPath((0, 0), text, size=FONT_SIZE).get_extents().width if text else 0.0


def _layout(sizes: dict[str, Point], edges: Edges, gap: float) -> tuple[dict[str, Point], Routes]:
    """Return the centres of the nodes, and for each edge the points that it goes through.

    Points come in pairs: between the two of a pair an edge crosses a layer, straight, and from a pair to the next a gap.
    """
    vertices = {name: Vertex(name) for name in sizes}
    for name, (width, height) in sizes.items():
        vertices[name].view = VertexViewer(w=height, h=width)  # grandalf's layers lie below each other, ours side by side
    joined = {(start, end): Edge(vertices[start], vertices[end]) for start, end in edges}
    layout = SugiyamaLayout(Vertices(list(vertices.values()), list(joined.values())).C[0])
    layout.xspace, layout.yspace = NODE_GAP, gap
    layout.init_all(optimize=True)
    layout.draw(len(sizes))

    half = [max(vertex.view.h for vertex in layer) / 2 for layer in layout.layers]
    routes = {}
    for (start, end), edge in joined.items():
        ranks = {layout.grx[vertex].rank: vertex for vertex in edge.v} | layout.ctrls.get(edge, {})
        route = []
        for rank in sorted(ranks):
            y, x = ranks[rank].view.xy
            route += [(x - half[rank], y), (x + half[rank], y)]
        route[0] = (route[0][0] + half[min(ranks)] + sizes[start][0] / 2, route[0][1])
        route[-1] = (route[-1][0] - half[max(ranks)] - sizes[end][0] / 2, route[-1][1])
        routes[start, end] = route
    return {name: vertex.view.xy[::-1] for name, vertex in vertices.items()}, routes


def _axes(centres: dict[str, Point], sizes: dict[str, Point], routes: Routes) -> Any:
    """Return axes with points as units, large enough for all nodes and edges, with y downwards."""
    limits = []
    for i in (0, 1):
        ends = [centres[name][i] + side * sizes[name][i] / 2 for name in sizes for side in (-1, 1)]
        ends += [point[i] for route in routes.values() for point in route]
        limits.append((min(ends) - LINE / 2, max(ends) + LINE / 2))
    (left, right), (top, bottom) = limits
    figure = Figure(figsize=((right - left) / 72, (bottom - top) / 72))
    axes = figure.add_axes((0, 0, 1, 1), xlim=(left, right), ylim=(bottom, top))
    axes.set_axis_off()
    return axes


def _smooth(route: list[Point]) -> Path:
    """Return cubic Bézier curves through the points of a route, level where they meet."""
    stops = [route[0]]
    for stop in route[1:-1]:
        if stop[0] - stops[-1][0] >= HEAD and route[-1][0] - stop[0] >= HEAD:  # an arrowhead needs a line behind it
            stops.append(stop)
    points = [route[0]]
    for (x0, y0), (x1, y1) in pairwise([*stops, route[-1]]):
        points += [((x0 + x1) / 2, y0), ((x0 + x1) / 2, y1), (x1, y1)]
    return Path(points, [Path.MOVETO, *[Path.CURVE4] * (len(points) - 1)])


def _label_places(routes: Routes, widths: dict[tuple[str, str], float]) -> dict[tuple[str, str], Point]:
    """Return where to write on each edge: in the middle of its last gap, or nearby where another text is there already."""
    places: dict[tuple[str, str], Point] = {}

    def free(x: float, y: float, width: float) -> bool:
        return all(abs(x - x1) >= (width + widths[edge]) / 2 + 4 or abs(y - y1) >= LINE for edge, (x1, y1) in places.items())

    for edge, route in routes.items():
        width = widths[edge]
        if width:
            (x0, y0), (x1, y1) = route[-3:-1]
            along = [0.5 + 0.04 * i for i in sorted(range(-10, 11), key=abs)]  # t of the curve, from the middle outwards
            spots = [(x0 + (x1 - x0) * (1.5 * t * (1 - t) + t**3), y0 + (y1 - y0) * t * t * (3 - 2 * t)) for t in along]
            inside = [(min(max(x, x0 + width / 2), x1 - width / 2), y) for x, y in spots]
            places[edge] = next((spot for spot in inside if free(*spot, width)), inside[0])
    return places


def _draw_node(axes: Any, centre: Point, size: Point, lines: list[str], fill: str) -> None:
    x, y = centre[0] - size[0] / 2, centre[1] - size[1] / 2
    style = "round,pad=0,rounding_size=6"
    axes.add_patch(FancyBboxPatch((x, y), *size, boxstyle=style, facecolor=fill, edgecolor=BORDER, linewidth=1))
    for i, line in enumerate(lines):
        colour = GRADIENT if i == len(lines) - 1 else "black"
        axes.text(centre[0], y + MARGIN + LINE * (i + 0.5), line, size=FONT_SIZE, color=colour, ha="center", va="center")
