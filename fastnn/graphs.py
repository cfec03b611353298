"""Computation graphs: what a tape recorded, with the value, the local partial derivatives and the gradient at every node.

Drawings need matplotlib and grandalf, which places the nodes in layers: ``pip install 'fastnn-kernels[plot]'``.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, count
from typing import Any

import numpy as np

from .autodiff import GradientTape, Node, Tensor, Variable, _backpropagate

#: ops that people write with an operator
OPERATORS = {
    "add": "{} + {}",
    "subtract": "{} - {}",
    "multiply": "{} * {}",
    "divide": "{} / {}",
    "power": "{} ** {}",
    "matmul": "{} @ {}",
    "negative": "-{}",
}
#: arrays of more elements are shown by their shape
MAX_SHOWN = 4


def graph(tape: GradientTape, target: Tensor, names: Mapping[str, Tensor] | None = None) -> Graph:
    """Return the computation graph of a tensor that a tape recorded.

    Parameters
    ----------
    tape : GradientTape
        The tape; a persistent one, or one of which no gradient has been taken yet. It stays as it is.
    target : Tensor
        What was computed. Its gradient is the graph's: if it has several elements, that of their sum, as `GradientTape.gradient`
        gives it.
    names : mapping of str to Tensor, optional
        What to call inputs and intermediate results. Variables are called by their own names, the rest ``v1``, ``v2``, ...

    Returns
    -------
    Graph

    Raises
    ------
    RuntimeError
        If the tape has been used up.
    ValueError
        If the target, or a tensor in `names`, is not part of what the tape recorded.
    TypeError
        If an argument is of the wrong type.

    Examples
    --------
    >>> import fastnn
    >>> x, y = fastnn.Variable(1.0, name="x"), fastnn.Variable(2.0, name="y")
    >>> with fastnn.GradientTape() as tape:
    ...     a = x * y
    ...     b = 1 / x
    ...     z = a + b
    >>> print(fastnn.graph(tape, z, names={"a": a, "b": b, "z": z}))
    x = 1                                ∂z/∂x = 1
    y = 2                                ∂z/∂y = 1
    a = x * y = 2  ∂a/∂x = 2, ∂a/∂y = 1  ∂z/∂a = 1
    b = 1 / x = 1  ∂b/∂x = -1            ∂z/∂b = 1
    z = a + b = 3  ∂z/∂a = 1, ∂z/∂b = 1  ∂z/∂z = 1
    """
    if not isinstance(tape, GradientTape):
        raise TypeError(f"tape must be the GradientTape that recorded the target; got {type(tape).__name__}")
    if not isinstance(target, Tensor):
        raise TypeError(f"target must be a Tensor or Variable; got {type(target).__name__}")
    if tape._released:
        raise RuntimeError(
            "this tape has been used: make the graph before taking the gradient, or use GradientTape(persistent=True)"
        )
    if id(target) not in tape._watched:
        raise ValueError("target must be computed, inside the tape's with block, from variables or watched tensors; it was not")
    nodes = _leading_to(tape.nodes, target)
    known = _names(tape, nodes, target, names or {})
    tensors = [tensor for tensor in known.values() if id(tensor) in tape._watched]
    name_of = {id(tensor): name for name, tensor in known.items()}
    made_by = {id(output): (node, i) for node in nodes for i, output in enumerate(node.outputs)}
    with tape.stop_recording():
        start = {id(target): Tensor(np.ones(target.shape, target.dtype))}
        gradients = _backpropagate(nodes, tape._watched, start, tensors)
        found = {}
        for tensor, gradient in zip(tensors, gradients, strict=True):
            expression, partials = "", {}
            if id(tensor) in made_by:
                node, output = made_by[id(tensor)]
                expression, partials = _expression(node, name_of), _partials(node, output, tape, name_of)
            name = name_of[id(tensor)]
            found[name] = GraphNode(name, expression, tensor.numpy(), _or_zeros(gradient, tensor), partials)
    return Graph(found, name_of[id(target)])


def _leading_to(nodes: tuple[Node, ...], target: Tensor) -> list[Node]:
    """Return the nodes that the target depends on, in order."""
    wanted = {id(target)}
    leading = []
    for node in reversed(nodes):
        if any(id(output) in wanted for output in node.outputs):
            leading.append(node)
            wanted.update(id(tensor) for tensor in node.inputs)
    return leading[::-1]


def _names(tape: GradientTape, nodes: list[Node], target: Tensor, given: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return what is watched by name, inputs first, and the constants that were given one."""
    outputs = {id(output): output for node in nodes for output in node.outputs}
    inputs = {id(tensor): tensor for node in nodes for tensor in node.inputs if tensor is not None and id(tensor) not in outputs}
    there = inputs | outputs if nodes else {id(target): target}
    for name, tensor in given.items():
        if not isinstance(tensor, Tensor):
            raise TypeError(f"names[{name!r}] must be a Tensor or Variable; got {type(tensor).__name__}")
        if id(tensor) not in there:
            raise ValueError(f"names[{name!r}] is a tensor that the target does not depend on")
    name_of = {id(tensor): name for name, tensor in given.items()}
    known: dict[str, Tensor] = {}
    used = set(given)
    for key, tensor in there.items():
        if key in name_of:
            known[name_of[key]] = tensor
        elif key in tape._watched:
            own = tensor.name if isinstance(tensor, Variable) and tensor.name != "variable" else ""
            free = (name for name in chain([own] if own else [], (f"{own or 'v'}{i}" for i in count(1))) if name not in used)
            known[next(free)] = tensor
            used.update(known)
    return known


def _expression(node: Node, name_of: dict[int, str]) -> str:
    operands = [name_of.get(id(tensor)) or _text(tensor.data) for tensor in node.inputs if tensor is not None]
    return OPERATORS[node.name].format(*operands) if node.name in OPERATORS else f"{node.name}({', '.join(operands)})"


def _partials(node: Node, output: int, tape: GradientTape, name_of: dict[int, str]) -> dict[str, Any]:
    """Return the derivatives of one output of a node by each input that is watched; by one that is used twice, their sum."""
    needs = tuple(id(tensor) in tape._watched for tensor in node.inputs)
    partials: dict[str, Any] = {name_of[id(tensor)]: None for tensor, needed in zip(node.inputs, needs, strict=True) if needed}
    if node.outputs[output].size == 1:
        directions = [Tensor(np.full(y.shape, i == output, y.dtype)) for i, y in enumerate(node.outputs)]
        for tensor, needed, slope in zip(node.inputs, needs, node.vjp(*directions, needs), strict=True):
            if needed and tensor is not None:
                name, partial = name_of[id(tensor)], _or_zeros(slope, tensor)
                partials[name] = partial if partials[name] is None else partials[name] + partial
    return partials


def _or_zeros(slope: Tensor | None, tensor: Tensor) -> Any:
    """Return a derivative by a tensor as an array or number; ops leave out what is zero everywhere."""
    return (np.zeros_like(tensor.data) if slope is None else slope.data)[()]


def _text(value: Any) -> str:
    """Return a number, a few numbers, or the shape of more: 3, [1 2], <28x28>."""
    if np.size(value) > MAX_SHOWN:
        return f"<{'x'.join(map(str, np.shape(value)))}>"
    if np.ndim(value):
        return f"[{' '.join(_text(item) for item in value)}]"
    return f"{value:.4g}"


def _equals(value: Any) -> str:
    return f"of shape {np.shape(value)}" if np.size(value) > MAX_SHOWN else f"= {_text(value)}"


def _value_text(node: GraphNode) -> str:
    return f"{node.name}{f' = {node.expression}' if node.expression else ''} {_equals(node.value)}"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


@dataclass(frozen=True)
class GraphNode:
    """A tensor in a computation graph.

    Attributes
    ----------
    name : str
    expression : str
        How it was computed, such as ``"x * y"``; empty for an input.
    value : ndarray or NumPy scalar
    gradient : ndarray or NumPy scalar
        The derivative of the graph's target by this tensor, along all paths together.
    partials : dict of str to ndarray, NumPy scalar or None
        The local derivatives: of this tensor by each tensor that it was computed from, by name. None where this tensor has several
        elements: then the derivative is a matrix, which `fastnn.GradientTape.jacobian`
        gives.
    """

    name: str
    expression: str
    value: Any
    gradient: Any
    partials: dict[str, Any]


class Graph:
    """A computation graph, made by `fastnn.graph`: tensors, and what they were computed from.

    ``print(graph)`` shows it as a list, a notebook as a drawing; ``graph["x"]`` is the `GraphNode` called x.

    Attributes
    ----------
    nodes : dict of str to GraphNode
        Inputs first, then in the order of computation.
    target : str
        The name of what was computed in the end.
    """

    def __init__(self, nodes: dict[str, GraphNode], target: str) -> None:
        self.nodes = nodes
        self.target = target

    def __getitem__(self, name: str) -> GraphNode:
        if name not in self.nodes:
            raise KeyError(f"no node is called {name!r}; there are {', '.join(self.nodes)}")
        return self.nodes[name]

    def __iter__(self) -> Iterator[GraphNode]:
        return iter(self.nodes.values())

    def __len__(self) -> int:
        return len(self.nodes)

    def edges(self) -> Iterator[tuple[str, str]]:
        """Yield pairs of names: what was used, and what was computed from it."""
        for node in self:
            for name in node.partials:
                yield name, node.name

    def __repr__(self) -> str:
        return f"<Graph of {self.target!r}: {', '.join(self.nodes)}>"

    def __str__(self) -> str:
        rows = []
        for node in self:
            partials = [text for name in node.partials if (text := self.edge_text(name, node.name))]
            rows.append((_value_text(node), ", ".join(partials), self._gradient_text(node)))
        widths = [max(len(row[i]) for row in rows) for i in range(2)]
        return "\n".join(f"{row[0]:{widths[0]}}  {row[1]:{widths[1]}}  {row[2]}".rstrip() for row in rows)

    def _gradient_text(self, node: GraphNode) -> str:
        several = np.size(self.nodes[self.target].value) > 1
        return f"∂{'Σ' if several else ''}{self.target}/∂{node.name} {_equals(node.gradient)}"

    # ---------------------------------------------------------------- drawing

    def node_lines(self, node: GraphNode) -> list[str]:
        """Return what a drawing writes into a node: how it was computed, its value, its gradient."""
        return [f"{node.name} = {node.expression}" if node.expression else node.name, _text(node.value), self._gradient_text(node)]

    def edge_text(self, start: str, end: str) -> str:
        """Return what a drawing writes on an edge: the local partial, if it is known and short."""
        partial = self.nodes[end].partials[start]
        return "" if partial is None or np.size(partial) > MAX_SHOWN else f"∂{end}/∂{start} = {_text(partial)}"

    def to_dot(self) -> str:
        """Return the graph in Graphviz's language."""
        lines = ["digraph {", "  rankdir=LR", '  node [shape=box, style="rounded,filled", fillcolor=white, fontname=Helvetica]']
        for node in self:
            label = f"{_value_text(node)}\n{self._gradient_text(node)}"
            lines.append(f"  {_quoted(node.name)} [label={_quoted(label)}{'' if node.expression else ', fillcolor=lightblue'}]")
        for start, end in self.edges():
            lines.append(f"  {_quoted(start)} -> {_quoted(end)} [label={_quoted(self.edge_text(start, end))}]")
        return "\n".join([*lines, "}", ""])

    def save(self, path: str | os.PathLike[str]) -> None:
        """Draw the graph into a file; the end of its name (.svg, .png, .pdf) says of which kind.

        Raises
        ------
        ImportError
            If matplotlib or grandalf is not installed.
        ValueError
            If there is no such kind of file.
        """
        from .plotting import draw_graph

        draw_graph(self).savefig(path, dpi=150)

    def _repr_svg_(self) -> str:
        from .plotting import draw_graph

        file = io.StringIO()
        draw_graph(self).savefig(file, format="svg")
        return file.getvalue()
