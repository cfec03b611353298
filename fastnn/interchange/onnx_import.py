"""Models from ONNX: graphs in which each operator takes the result of the one before, as layers.

Reading trusts nothing in the file: nothing is executed, and memory is taken in proportion to what the file holds.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from .. import layers
from ..files import PathLike
from ..layers.base import Shape
from ..layers.blank import blank_weights
from ..model import Sequential
from ..saving import ModelFileError, reason
from .onnx_library import onnx
from .onnx_nodes import STANDARD, Node, array_of, computed_value, given_value, node_of
from .onnx_operators import OPERATORS
from .onnx_row import Row


def read_model(path: PathLike) -> Sequential:
    """Return the model of an ONNX file; see `fastnn.load_onnx`."""
    name = os.fspath(path)
    with open(path, "rb") as file:
        data = file.read()
    try:
        proto = onnx.load_model_from_string(data)
    except Exception as error:  # of the library that decodes it
        raise ModelFileError(f"{name!r} is damaged or not an ONNX file: {reason(error)}") from error
    try:
        reader = Reader(proto, Path(path).parent)
    except Exception as error:
        raise ModelFileError(f"{name!r} holds no model that can be read: {reason(error)}") from error
    # bias and activation are nodes of their own: a layer is made anew with each of them, so three times
    with blank_weights(3 * sum(array.nbytes for array in reader.constants.values())):
        for number, node in enumerate(proto.graph.node):
            try:
                reader.read(node)
            except Exception as error:  # whatever the file makes of the constructors
                where = f"node {node.name!r}" if node.name else f"node number {number}"
                raise ModelFileError(f"{where} ({node.op_type}) of {name!r} cannot be read: {reason(error)}") from error
    if not reader.finished:
        raise ModelFileError(f"the graph of {name!r} is no row of operators that ends in its one output")
    row = reader.row
    return Sequential([layers.Input(reader.sample_shape), *(row.layers or [layers.Activation("linear", dtype=row.dtype)])])


class Reader:
    """Goes through the nodes of a graph.

    Parameters
    ----------
    proto : onnx.ModelProto
        The file.
    folder : Path
        Where it lies.

    Attributes
    ----------
    constants : dict of str to ndarray
        What is known before there is an input, by name. In shapes that are computed, 0 stands for the extent of the batch.
    sample_shape : tuple
        Shape of one sample of the input.
    row : Row
        The layers so far.
    """

    def __init__(self, proto: Any, folder: Path) -> None:
        graph = proto.graph
        if graph.sparse_initializer:
            raise ValueError("it has sparse weights")
        self.constants = {tensor.name: array_of(tensor, folder) for tensor in graph.initializer}
        inputs = [value for value in graph.input if value.name not in self.constants]
        if len(inputs) != 1 or len(graph.output) != 1:
            raise ValueError(f"it has {len(inputs)} inputs and {len(graph.output)} outputs; a Sequential has one of each")
        tensor = inputs[0].type.tensor_type
        extents = [dim.dim_value or None for dim in tensor.shape.dim]
        if len(extents) < 2:
            raise ValueError(f"its input must be a batch of samples, with two axes at least; it has the shape {tuple(extents)}")
        self.sample_shape = tuple(extents[1:])
        self.row = Row(extents, np.dtype("float64" if tensor.elem_type == onnx.TensorProto.DOUBLE else "float32"))
        self._opset = max((entry.version for entry in proto.opset_import if entry.domain in STANDARD), default=1)
        self._before, self._present, self._output = "", inputs[0].name, graph.output[0].name
        self._shapes: dict[str, Shape] = {}
        self._note_shape()

    @property
    def finished(self) -> bool:
        """Whether the present result is the graph's output, in the model's layout."""
        return self._present == self._output and self.row.in_models_layout

    def read(self, proto: Any) -> None:
        """Make of a node a layer, a part of the last layer, or a constant.

        Raises
        ------
        ValueError
            If there is no counterpart.
        """
        node = node_of(proto, self.constants, self._opset)
        if node.operator == "Constant":
            self.constants[proto.output[0]] = given_value(node)
        elif node.operator == "Shape" and node.inputs[0] in {*self._shapes, *self.constants}:
            name = node.inputs[0]
            shape = self._shapes[name] if name in self._shapes else self.constants[name].shape
            self.constants[proto.output[0]] = np.array(shape[node.get("start", 0) : node.get("end", len(shape))], np.int64)
        elif node.inputs and all(name in self.constants for name in node.inputs):
            self.constants[proto.output[0]] = computed_value(node, proto)
        else:
            self._read_layer(node)
            self._before, self._present = self._present, proto.output[0]
            self._note_shape()

    def _read_layer(self, node: Node) -> None:
        if node.operator not in OPERATORS:
            raise ValueError(f"there is no layer for this operator; there are some for {', '.join(OPERATORS)}")
        if self.row.zeros and node.operator not in ("Conv", "Transpose", "Cast", "Identity"):
            raise ValueError("it takes images with zeros around them; only a convolution can")
        if node.operator == "Mul" and sorted(node.results) == sorted([self._before, self._present]):
            self.row.multiply_by_input()
        elif node.results != [self._present]:
            raise ValueError(f"it takes {node.results}, where the result of the node before is {self._present!r}: this is no row")
        else:
            OPERATORS[node.operator](self.row, node)

    def _note_shape(self) -> None:
        self._shapes[self._present] = (0, *self.row.stored_shape[1:])
