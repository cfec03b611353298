"""Boxes of text with arrows between them, placed in layers by grandalf. Lengths are in points, 1/72 inch."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from grandalf.graphs import Edge, Graph, Vertex
from grandalf.layouts import SugiyamaLayout, VertexViewer
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.path import Path

from .canvas import points_axes, text_width

FONT_SIZE = 11
LINE = 16.0  # height of a line of text
MARGIN = 8.0  # around the text of a node
NODE_GAP = 18.0  # least distance of nodes in a layer
LAYER_GAP = 48.0  # distance of layers side by side, beside the text on edges
ROW_GAP = 20.0  # distance of layers below each other
HEAD = 10.0  # size of arrowheads

BORDER, ARROW, LABEL = "#64748b", "#94a3b8", "#1d4ed8"

Point = tuple[float, float]
Edges = list[tuple[str, str]]
Routes = dict[tuple[str, str], list[Point]]


@dataclass(frozen=True)
class Box:
    """A node: its lines of text, the last of them in a colour, and what it is filled with."""

    lines: list[str]
    fill: str
    last_color: str = "black"

    @property
    def size(self) -> Point:
        """Width and height."""
        return max(text_width(line, FONT_SIZE) for line in self.lines) + 2 * MARGIN, LINE * len(self.lines) + 2 * MARGIN


@dataclass(frozen=True)
class Drawing:
    """What `draw_boxes` drew: the axes, and artists by the names of boxes and by edges."""

    axes: Any
    boxes: dict[str, FancyBboxPatch]
    arrows: dict[tuple[str, str], FancyArrowPatch]


def draw_boxes(ax: Any, boxes: dict[str, Box], labels: dict[tuple[str, str], str], downwards: bool = False) -> Drawing:
    """Draw boxes with arrows between them.

    Parameters
    ----------
    ax : matplotlib Axes, Figure or None
        As for `points_axes`.
    boxes : dict of str to Box
        By name.
    labels : dict of (start, end) to str
        For each arrow the names of the boxes, and what is written on it.
    downwards : bool
        Whether arrows go from top to bottom, instead of from left to right. Then nothing may be written on them.
    """
    turn = _swapped if downwards else _same
    widths = {edge: text_width(label, FONT_SIZE) for edge, label in labels.items()}
    gap = ROW_GAP if downwards else max([0.0, *widths.values()]) + LAYER_GAP
    sizes = {name: turn(box.size) for name, box in boxes.items()}
    centres, routes, extent = _layout(sizes, list(labels), gap)
    axes, scale = points_axes(ax, *turn(extent))

    arrows = {}
    for edge, route in routes.items():
        path = _smooth(route)
        path = Path([turn((x, y)) for x, y in np.asarray(path.vertices)], path.codes)
        arrow = FancyArrowPatch(path=path, color=ARROW, arrowstyle="-|>", mutation_scale=HEAD * scale, shrinkA=0, shrinkB=0)
        arrows[edge] = axes.add_patch(arrow)
    for edge, place in _label_places(routes, widths).items():
        background = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}
        axes.text(*place, labels[edge], size=FONT_SIZE * scale, color=LABEL, ha="center", va="center", bbox=background)
    drawn = {name: _draw_box(axes, box, turn(centres[name]), scale) for name, box in boxes.items()}
    return Drawing(axes, drawn, arrows)


def _same(point: Point) -> Point:
    return point


def _swapped(point: Point) -> Point:
    return (point[1], point[0])


def _layout(sizes: dict[str, Point], edges: Edges, gap: float) -> tuple[dict[str, Point], Routes, Point]:
    """Return the centres of the nodes, for each edge the points that it goes through, and how large it all is.

    Arrows go along the first axis. Points come in pairs: between the two of a pair an edge crosses a layer, straight, and from a
    pair to the next a gap.
    """
    vertices = {name: Vertex(name) for name in sizes}
    for name, (width, height) in sizes.items():
        vertices[name].view = VertexViewer(w=height, h=width)  # grandalf's layers lie below each other, ours side by side
    joined = {(start, end): Edge(vertices[start], vertices[end]) for start, end in edges}
    layout = SugiyamaLayout(Graph(list(vertices.values()), list(joined.values())).C[0])
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
    return _from_zero({name: vertex.view.xy[::-1] for name, vertex in vertices.items()}, routes, sizes)


def _from_zero(centres: dict[str, Point], routes: Routes, sizes: dict[str, Point]) -> tuple[dict[str, Point], Routes, Point]:
    """Move all nodes and edges to where coordinates begin at zero, with a margin."""
    start, extent = [], []
    for i in (0, 1):
        ends = [centres[name][i] + side * sizes[name][i] / 2 for name in sizes for side in (-1, 1)]
        ends += [point[i] for route in routes.values() for point in route]
        start.append(min(ends) - LINE / 2)
        extent.append(max(ends) + LINE / 2 - start[i])

    def moved(point: Point) -> Point:
        return (point[0] - start[0], point[1] - start[1])

    moved_routes = {edge: [moved(point) for point in route] for edge, route in routes.items()}
    return {name: moved(centre) for name, centre in centres.items()}, moved_routes, (extent[0], extent[1])


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


def _draw_box(axes: Any, box: Box, centre: Point, scale: float) -> FancyBboxPatch:
    width, height = box.size
    x, y = centre[0] - width / 2, centre[1] - height / 2
    style = "round,pad=0,rounding_size=6"
    patch = axes.add_patch(FancyBboxPatch((x, y), width, height, boxstyle=style, facecolor=box.fill, edgecolor=BORDER, linewidth=1))
    for i, line in enumerate(box.lines):
        color = box.last_color if i == len(box.lines) - 1 else "black"
        axes.text(centre[0], y + MARGIN + LINE * (i + 0.5), line, size=FONT_SIZE * scale, color=color, ha="center", va="center")
    return patch
