"""Models from ONNX: graphs in which each operator takes the result of the one before, as layers.

PyTorch writes images as (N, C, H, W), and its models become layers of channels_first images. A graph that has them with the
channels last moves them to axis 1 for each operator, or for a row of operators, and back. Those operators become layers of
channels_last images, and the moves disappear: `Reader.graph_has` says whether the channels are where the model does not have them.

Reading trusts nothing in the file: nothing is executed, and memory is taken in proportion to what the file holds.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .. import layers
from ..files import PathLike
from ..kernels.functions.geometry import split_padding
from ..kernels.spec.activation import SELU_ALPHA, SELU_SCALE
from ..layers.base import Shape
from ..layers.blank import blank_weights
from ..model import Sequential
from ..saving import ModelFileError, reason
from .onnx_library import ReferenceEvaluator, onnx

#: names of ONNX's own set of operators
STANDARD = ("", "ai.onnx")
#: layers that make one number of each channel
GLOBAL = (layers.GlobalAveragePooling2D, layers.GlobalMaxPooling2D)
#: most numbers in an array that stands for a shape or for axes
MAX_SHAPE = 64
#: operators that compute shapes
OF_SHAPES = (
    *("Add", "Cast", "Concat", "ConstantOfShape", "Div", "Gather", "Identity"),
    *("Mul", "Reshape", "Slice", "Squeeze", "Sub", "Transpose", "Unsqueeze"),
)


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
    return Sequential([layers.Input(reader.input_shape[1:]), *(reader.layers or [layers.Activation("linear", dtype=reader.dtype)])])


class Reader:
    """Makes layers of nodes.

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
    layers : list of Layer
        Built, with their weights.
    shape : tuple
        Shape of the present result in the model, (None, ...).
    graph_has : {"", "first", "last"}
        Where the graph has the channels of the present result while the model has them at the other end; "" where both agree.
    zeros : dict of int to (int, int)
        By axis of the model, how many zeros are put before and after the present result: padding of the convolution to come.
    """

    def __init__(self, proto: Any, folder: Path) -> None:
        graph = proto.graph
        if graph.sparse_initializer:
            raise ValueError("it has sparse weights")
        self.opset = max((entry.version for entry in proto.opset_import if entry.domain in STANDARD), default=1)
        self.constants = {tensor.name: _array(tensor, folder) for tensor in graph.initializer}
        inputs = [value for value in graph.input if value.name not in self.constants]
        if len(inputs) != 1 or len(graph.output) != 1:
            raise ValueError(f"it has {len(inputs)} inputs and {len(graph.output)} outputs; a Sequential has one of each")
        tensor = inputs[0].type.tensor_type
        extents = [dim.dim_value or None for dim in tensor.shape.dim]
        if len(extents) < 2:
            raise ValueError(f"its input must be a batch of samples, with two axes at least; it has the shape {tuple(extents)}")
        self.batch = extents[0]
        self.shape = self.input_shape = (None, *extents[1:])
        self.dtype = np.dtype("float64" if tensor.elem_type == onnx.TensorProto.DOUBLE else "float32")
        self.graph_has = ""
        self.zeros: dict[int, tuple[int, int]] = {}
        self.layers: list[layers.Layer] = []
        self._before, self._present, self._output = "", inputs[0].name, graph.output[0].name
        self._shapes: dict[str, Shape] = {self._present: (0, *self.shape[1:])}

    @property
    def finished(self) -> bool:
        """Whether the present result is the graph's output, in the model's layout."""
        return self._present == self._output and not self.graph_has and not self.zeros

    def read(self, proto: Any) -> None:
        """Make of a node a layer, a part of the last layer, or a constant.

        Raises
        ------
        ValueError
            If there is no counterpart.
        """
        node = Node(
            proto.op_type if proto.domain in STANDARD else f"{proto.domain}.{proto.op_type}",
            list(proto.input),
            {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in proto.attribute},
        )
        if node.operator == "Constant":
            self.constants[proto.output[0]] = self._given(node)
        elif node.operator == "Shape" and node.inputs[0] in {*self._shapes, *self.constants}:
            name = node.inputs[0]
            shape = self._shapes[name] if name in self._shapes else self.constants[name].shape
            self.constants[proto.output[0]] = np.array(shape[node.get("start", 0) : node.get("end", len(shape))], np.int64)
        elif node.inputs and all(name in self.constants for name in node.inputs):
            self.constants[proto.output[0]] = self._computed(node, proto)
        else:
            if node.operator not in READERS:
                raise ValueError(f"there is no layer for this operator; there are some for {', '.join(READERS)}")
            if self.zeros and node.operator not in ("Conv", "Transpose", "Cast", "Identity"):
                raise ValueError("it takes images with zeros around them; only a convolution can")
            results = [name for name in node.inputs if name and name not in self.constants]
            if node.operator == "Mul" and sorted(results) == sorted([self._before, self._present]):
                self._multiply_by_sigmoid()
            elif results != [self._present]:
                raise ValueError(f"it takes {results}, where the result of the node before is {self._present!r}: this is no row")
            else:
                READERS[node.operator](self, node)
            self._before, self._present = self._present, proto.output[0]
            self._shapes[self._present] = (0, *self._stored_shape()[1:])

    # -------------------------------------------------------------- constants

    def constant(self, node: Node, number: int) -> np.ndarray:
        """Return the value of an input of a node, an array of floats in the model's type or of integers."""
        name = node.inputs[number] if number < len(node.inputs) else ""
        if name not in self.constants:
            raise ValueError(f"its input number {number}, {name!r}, must be a constant")
        array = self.constants[name]
        if array.dtype.kind == "f" and array.dtype.name not in ("float32", "float64"):
            raise ValueError(f"{name!r} is of type {array.dtype}; only float32 and float64 are read")
        return array

    def optional(self, node: Node, number: int) -> np.ndarray | None:
        """Return the value of an input that may be left out."""
        return self.constant(node, number) if len(node.inputs) > number and node.inputs[number] else None

    def integers(self, node: Node, name: str, number: int) -> list[int] | None:
        """Return integers that are an attribute in older operator sets and an input in newer ones."""
        if name in node.attributes:
            return list(node.attributes[name])
        array = self.optional(node, number)
        return None if array is None else [int(value) for value in array.ravel()[:MAX_SHAPE]]

    def _given(self, node: Node) -> np.ndarray:
        for name, value in node.attributes.items():
            if name == "value":
                return _array(value, None)
            if name in ("value_float", "value_floats", "value_int", "value_ints"):
                return np.asarray(value, np.float32 if "float" in name else np.int64)
        raise ValueError("its value is of a kind that is not read")

    def _computed(self, node: Node, proto: Any) -> np.ndarray:
        arrays = {name: self.constants[name] for name in node.inputs}
        if node.operator in ("Cast", "Identity"):
            (array,) = arrays.values()
            dtype = onnx.helper.tensor_dtype_to_np_dtype(node.get("to")) if node.operator == "Cast" else array.dtype
            if array.dtype == dtype:
                return array  # not a copy: a file of many nodes must not take memory with each
        size = sum(array.size for array in arrays.values())
        if node.operator == "ConstantOfShape":
            size += math.prod(int(extent) for extent in next(iter(arrays.values())).ravel()[:MAX_SHAPE])
        if node.operator not in OF_SHAPES or size > MAX_SHAPE:
            raise ValueError(
                "it computes with constants, which is read for shapes alone; let the program that writes the file do it"
            )
        return np.asarray(ReferenceEvaluator(proto, opsets={"": self.opset}).run(None, arrays)[0])

    # ----------------------------------------------------------------- layers

    def add(self, layer: layers.Layer, *weights: Any) -> None:
        """Put a layer, and its weights, at the end."""
        layer.build(self.shape)
        layer.set_weights(weights)
        self.layers.append(layer)
        self.shape = layer.output_shape

    def change_last(self, *more_weights: Any, **changes: Any) -> None:
        """Make the last layer anew, with other arguments and with more weights."""
        layer = self.layers.pop()
        self.shape = layer.input_shape
        changed = type(layer).from_config({**layer.get_config(), **changes})
        self.add(changed, *layer.get_weights(), *more_weights)

    def activate(self, name: str) -> None:
        """Add an activation, to the last layer if that has none yet."""
        last = self.layers[-1] if self.layers else None
        if isinstance(last, (layers.Dense, layers.Conv2D)) and last.get_config()["activation"] == "linear":
            self.change_last(activation=name)
        else:
            self.add(layers.Activation(name, dtype=self.dtype))

    def _multiply_by_sigmoid(self) -> None:
        """Make x * sigmoid(x) of sigmoid(x)."""
        if self.layers[-1].get_config().get("activation") != "sigmoid":
            raise ValueError("it multiplies two results with each other")
        self.change_last(activation="silu")

    # ------------------------------------------------------------------- axes

    def axis(self, axis: int) -> int:
        """Return which axis of the model an axis of the graph is."""
        rank = len(self.shape)
        if not -rank <= axis < rank:
            raise ValueError(f"there is no axis {axis} in a result of {rank} axes")
        return self._places()[axis % rank]

    def data_format(self) -> str:
        """Return which layout the images of an operator have in the model."""
        if len(self.shape) != 4:
            raise ValueError(f"it works on images, with 4 axes; here it gets {len(self.shape)}")
        if self.graph_has == "last":
            raise ValueError("it works on images with the channels first; here they are last")
        return "channels_last" if self.graph_has else "channels_first"

    def transpose(self, axes: Sequence[int]) -> None:
        """Move the channels, as far as it is that."""
        rank = len(self.shape)
        places = tuple(self._places()[axis] for axis in axes)
        moves = {_moved(rank, where): where for where in ("last", "first", "")}
        if places not in moves:
            raise ValueError(f"it puts the axes into the order {tuple(axes)}; only the channels of images can be moved")
        self.graph_has = moves[places]

    def _places(self) -> tuple[int, ...]:
        return _moved(len(self.shape), self.graph_has)

    def _stored_shape(self) -> Shape:
        return tuple(self.shape[place] for place in self._places())

    def reshape(self, target: Sequence[int]) -> None:
        """Give samples another shape; 0 stands for an extent that stays."""
        stored = self._stored_shape()
        if target[0] not in (0, -1, self.batch) or (target[0] == -1 and -1 in target[1:]):
            raise ValueError(f"it changes the shape of the batch, to {tuple(target)}")
        sample = [(stored[axis] or -1) if extent == 0 else extent for axis, extent in enumerate(target[1:], 1)]
        last = self.layers[-1] if self.layers else None
        if len(sample) == 1 and isinstance(last, GLOBAL) and last.keepdims:
            self.change_last(keepdims=False)
            self.graph_has = ""
        elif self.graph_has == "first" or (self.graph_has and len(sample) > 1):
            raise ValueError("it mixes the axes of images whose channels are not where the model has them")
        elif len(sample) == 1 and len(self.shape) > 2:
            self.add(layers.Flatten("channels_first" if self.graph_has else None, dtype=self.dtype))
            self.graph_has = ""
        elif sample != list(stored[1:]):
            self.add(layers.Reshape(sample, dtype=self.dtype))

    # ----------------------------------------------------- numbers by element

    def scale_and_shift(self, scale: Any = 1.0, offset: Any = 0.0) -> None:
        """Multiply by numbers and add numbers: to the bias of the last layer, or in a layer of its own."""
        (scale, axis), (offset, offset_axis) = self._by_feature(scale), self._by_feature(offset)
        last = self.layers[-1] if self.layers else None
        rank = len(self.shape)
        if isinstance(last, (layers.Dense, layers.Conv2D)) and not last.use_bias and last.get_config()["activation"] == "linear":
            features = 1 if getattr(last, "data_format", "channels_last") == "channels_first" else rank - 1
            if np.ndim(scale) == 0 and scale == 1 and offset_axis == features:
                self.change_last(offset, use_bias=True)
                return
        if any(place not in (None, rank - 1) for place in (axis, offset_axis)):
            raise ValueError("it has a number for each element of an axis that is not the last one")
        if type(last) is layers.Rescaling:
            self.layers.pop()
            scale, offset = last.scale * scale, last.offset * scale + offset
        self.add(layers.Rescaling(scale, offset, dtype=self.dtype))

    def _by_feature(self, value: Any) -> tuple[Any, int | None]:
        """Return one number and None, or numbers and the axis of the model that they belong to."""
        array = np.asarray(value, self.dtype)
        rank = len(self.shape)
        if array.ndim > rank:
            raise ValueError(f"its constant has {array.ndim} axes, the result before {rank}")
        long = [axis for axis, extent in enumerate(array.shape, rank - array.ndim) if extent != 1]
        if len(long) > 1 or 0 in long:
            raise ValueError(f"its constant has the shape {array.shape}; one number, or one for each feature, can be read")
        return (array.ravel(), self.axis(long[0])) if long else (float(array.reshape(())), None)


class Node(NamedTuple):
    """What a node says."""

    operator: str
    inputs: list[str]
    attributes: Mapping[str, Any]

    def get(self, name: str, default: Any = None) -> Any:
        """Return an attribute."""
        return self.attributes.get(name, default)

    def only(self, **known: Any) -> None:
        """Raise an error where an attribute has another value than the one that has a counterpart."""
        for name, value in known.items():
            if (found := self.get(name, value)) != value:
                raise ValueError(f"{name}={found!r} has no counterpart, only {value!r} has")


def _moved(rank: int, where: str) -> tuple[int, ...]:
    """Return which axes of the model stand where, if the graph has the channels at another end."""
    axes = list(range(rank))
    if where == "first":
        axes.insert(1, axes.pop())
    elif where == "last":
        axes.append(axes.pop(1))
    return tuple(axes)


def _array(tensor: Any, folder: Path | None) -> np.ndarray:
    """Return the values of a tensor, which may lie in a file beside the model."""
    if tensor.data_location != onnx.TensorProto.EXTERNAL:
        return onnx.numpy_helper.to_array(tensor)
    place = {entry.key: entry.value for entry in tensor.external_data}
    name = place.get("location", "")
    if folder is None or not name or name != Path(name).name or name == ".." or "\\" in name or ":" in name:
        raise ValueError(f"the values of {tensor.name!r} are said to be in {name!r}, which is no file in the folder of the model")
    path = folder / name
    if path.is_symlink() or not path.is_file():
        raise ValueError(f"the values of {tensor.name!r} are in the file {name!r}, which is not there beside the model")
    dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type)
    size, offset = math.prod(tensor.dims) * dtype.itemsize, int(place.get("offset", 0))
    if min(tensor.dims, default=0) < 0 or not 0 <= offset <= path.stat().st_size - size:
        raise ValueError(
            f"the values of {tensor.name!r}, {dtype} of shape {tuple(tensor.dims)}, are not whole in the file {name!r}"
        )
    with open(path, "rb") as file:
        file.seek(offset)
        return np.frombuffer(file.read(size), dtype).reshape(tuple(tensor.dims))


# ---------------------------------------------------------------------- operators


def _gemm(reader: Reader, node: Node) -> None:
    node.only(alpha=1.0, beta=1.0, transA=0)
    kernel, bias = reader.constant(node, 1), reader.optional(node, 2)
    _dense(reader, kernel.T if node.get("transB", 0) else kernel, bias)


def _dense(reader: Reader, kernel: np.ndarray, bias: np.ndarray | None = None) -> None:
    if kernel.ndim != 2 or reader.graph_has:
        raise ValueError(f"it multiplies by an array of {kernel.ndim} axes, or images whose channels are not last")
    units = kernel.shape[1]
    weights = [kernel] if bias is None else [kernel, np.broadcast_to(bias.reshape(bias.size), (units,))]
    reader.add(layers.Dense(units, use_bias=bias is not None, dtype=reader.dtype), *weights)


def _conv(reader: Reader, node: Node) -> None:
    kernel, bias = reader.constant(node, 1), reader.optional(node, 2)
    if kernel.ndim != 4:
        raise ValueError(f"it convolves along {kernel.ndim - 2} axes; only images, with 2, can be read")
    data_format = reader.data_format()
    layer = layers.Conv2D(
        len(kernel),
        kernel.shape[2:],
        strides=node.get("strides", (1, 1)),
        padding=_with_zeros(reader, _padding(node), data_format),
        data_format=data_format,
        dilation_rate=node.get("dilations", (1, 1)),
        groups=node.get("group", 1),
        use_bias=bias is not None,
        dtype=reader.dtype,
    )
    reader.add(layer, kernel.transpose(2, 3, 1, 0), *([] if bias is None else [bias]))


def _padding(node: Node) -> Any:
    word = node.get("auto_pad", b"NOTSET").decode()
    if word == "NOTSET":
        top, left, bottom, right = node.get("pads", (0, 0, 0, 0))
        return ((top, bottom), (left, right))
    if word not in ("VALID", "SAME_UPPER"):
        raise ValueError(f"auto_pad={word!r} has no counterpart")
    return "same" if word == "SAME_UPPER" else ((0, 0), (0, 0))


def _pad(reader: Reader, node: Node) -> None:
    node.only(mode=b"constant")
    amounts, value, rank = reader.integers(node, "pads", 1) or [], reader.optional(node, 2), len(reader.shape)
    if len(amounts) != 2 * rank or (value is not None and value.any()) or reader.optional(node, 3) is not None:
        raise ValueError("it puts something else than zeros around images, or along some axes alone")
    pairs = zip(amounts[:rank], amounts[rank:], strict=True)
    reader.zeros = {reader.axis(axis): pair for axis, pair in enumerate(pairs) if any(pair)}


def _with_zeros(reader: Reader, padding: Any, data_format: str) -> Any:
    """Return a convolution's padding with the zeros that are around its images already."""
    zeros, reader.zeros = reader.zeros, {}
    axes = (1, 2) if data_format == "channels_last" else (2, 3)
    if not zeros:
        return padding
    if padding == "same" or not set(zeros) <= set(axes):
        raise ValueError(f"it takes images with zeros around the axes {sorted(zeros)}, and padding {padding!r}")
    none = (0, 0)
    return tuple(
        (before + zeros.get(axis, none)[0], after + zeros.get(axis, none)[1])
        for axis, (before, after) in zip(axes, padding, strict=True)
    )


def _pooling(cls: Any) -> Callable[[Reader, Node], None]:
    def read(reader: Reader, node: Node) -> None:
        node.only(dilations=[1, 1], storage_order=0)
        size, strides, padding = node.get("kernel_shape"), node.get("strides", [1, 1]), _padding(node)
        if node.get("ceil_mode", 0):
            for extent, *axis in zip(reader._stored_shape()[2:], size, strides, split_padding(padding), strict=True):
                if extent is None or (extent + sum(axis[2]) - axis[0]) % axis[1]:
                    raise ValueError("ceil_mode=1 has no counterpart where the windows do not cover the images evenly")
        if node.get("count_include_pad", 0) and any(map(any, split_padding(padding))):
            raise ValueError("count_include_pad=1 has no counterpart: padding does not count in a mean here")
        reader.add(cls(size, strides, padding, reader.data_format(), dtype=reader.dtype))

    return read


def _global_pooling(cls: Any) -> Callable[[Reader, Node], None]:
    return lambda reader, node: reader.add(cls(reader.data_format(), keepdims=True, dtype=reader.dtype))


def _reduction(cls: Any) -> Callable[[Reader, Node], None]:
    def read(reader: Reader, node: Node) -> None:
        axes = sorted(reader.axis(axis) for axis in reader.integers(node, "axes", 1) or ())
        data_format = {"[1, 2]": "channels_last", "[2, 3]": "channels_first"}.get(str(axes))
        if len(reader.shape) != 4 or data_format is None:
            raise ValueError(f"it reduces the axes {axes}; only rows and columns of images can be reduced")
        keepdims = bool(node.get("keepdims", 1))
        reader.add(cls(data_format, keepdims, dtype=reader.dtype))
        if not keepdims:
            reader.graph_has = ""

    return read


def _batch_normalization(reader: Reader, node: Node) -> None:
    node.only(training_mode=0, spatial=1)
    if reader.graph_has == "last":
        raise ValueError("it normalizes along axis 1, where the images do not have their channels")
    axis = -1 if reader.graph_has or len(reader.shape) == 2 else 1
    layer = layers.BatchNormalization(axis, epsilon=node.get("epsilon", 1e-5), dtype=reader.dtype)
    reader.add(layer, *(reader.constant(node, number) for number in range(1, 5)))


def _layer_normalization(reader: Reader, node: Node) -> None:
    if reader.axis(node.get("axis", -1)) != len(reader.shape) - 1 or reader.graph_has == "last":
        raise ValueError("it normalizes along another axis than the last one")
    beta = reader.optional(node, 2)
    layer = layers.LayerNormalization(epsilon=node.get("epsilon", 1e-5), center=beta is not None, dtype=reader.dtype)
    reader.add(layer, reader.constant(node, 1), *([] if beta is None else [beta]))


def _prelu(reader: Reader, node: Node) -> None:
    slope = reader.constant(node, 1)
    rank = len(reader.shape)
    slope = slope.reshape((1,) * (rank - slope.ndim) + slope.shape)
    slope = slope.transpose(np.argsort(reader._places()))[0]
    shared = [axis for axis, extent in enumerate(slope.shape, 1) if extent == 1]
    reader.add(layers.PReLU(shared_axes=shared, dtype=reader.dtype), slope)


def _clip(reader: Reader, node: Node) -> None:
    bounds = [node.get(name, reader.optional(node, number)) for number, name in ((1, "min"), (2, "max"))]
    low, high = (None if bound is None else float(bound) for bound in bounds)
    if low != 0:
        raise ValueError(f"it limits results to [{low}, {high}]; only from 0 on can they be limited")
    reader.add(layers.ReLU(max_value=high, dtype=reader.dtype))


def _minimum(reader: Reader, node: Node) -> None:
    last = reader.layers[-1] if reader.layers else None
    high, axis = reader._by_feature(reader.constant(node, 1))
    if type(last) is not layers.LeakyReLU or axis is not None:
        raise ValueError("it limits results from above; only behind LeakyRelu, to one number, can they be limited so")
    reader.layers.pop()
    reader.add(layers.ReLU(high, last.negative_slope, dtype=reader.dtype))


def _softmax(name: str) -> Callable[[Reader, Node], None]:
    def read(reader: Reader, node: Node) -> None:
        old = reader.opset < 13  # which took all axes from this one on together
        stored = node.get("axis", 1 if old else -1)
        axis, last = reader.axis(stored), len(reader.shape) - 1
        if old and stored % len(reader.shape) != last:
            raise ValueError("before operator set 13 it is read along the last axis alone")
        if name == "softmax" and axis != last:
            reader.add(layers.Softmax(axis, dtype=reader.dtype))
        elif axis != last:
            raise ValueError(f"it works along axis {axis}; only the last one can be read")
        else:
            reader.activate(name)

    return read


def _activation(name: str) -> Callable[[Reader, Node], None]:
    def read(reader: Reader, node: Node) -> None:
        if name == "gelu":
            node.only(approximate=b"none")
        if name == "silu":
            node.only(alpha=1.0)
        reader.activate(name)

    return read


def _selu(reader: Reader, node: Node) -> None:
    for name, value in (("alpha", SELU_ALPHA), ("gamma", SELU_SCALE)):
        if abs(node.get(name, value) - value) > 1e-6:
            raise ValueError(f"{name}={node.get(name)} has no counterpart, only {value} has")
    reader.activate("selu")


def _arithmetic(operation: str) -> Callable[[Reader, Node], None]:
    def read(reader: Reader, node: Node) -> None:
        first = node.inputs[0] in reader.constants
        value = reader.constant(node, 0 if first else 1).astype(reader.dtype)
        if operation == "Div" and (first or not value.all()):
            raise ValueError("it divides by a result, or by 0")
        arguments = {
            "Add": {"offset": value},
            "Sub": {"offset": value, "scale": -1.0} if first else {"offset": -value},
            "Mul": {"scale": value},
        }
        reader.scale_and_shift(**(arguments[operation] if operation != "Div" else {"scale": 1 / value}))

    return read


def _flatten(reader: Reader, node: Node) -> None:
    node.only(axis=1)
    reader.reshape((0, -1))


def _reshape(reader: Reader, node: Node) -> None:
    # allowzero=1 is for results without elements; 0 in a shape is the extent of the batch, or one that stays
    reader.reshape(reader.integers(node, "shape", 1) or ())


def _squeeze(reader: Reader, node: Node) -> None:
    axes = [axis % len(reader.shape) for axis in reader.integers(node, "axes", 1) or ()]
    stored = reader._stored_shape()
    if not axes or any(stored[axis] != 1 for axis in axes):
        raise ValueError(f"it takes away the axes {axes} of the shape {stored}")
    reader.reshape([0, *(stored[axis] or -1 for axis in range(1, len(stored)) if axis not in axes)])


def _unsqueeze(reader: Reader, node: Node) -> None:
    axes = reader.integers(node, "axes", 1) or []
    target = [0, *(extent or -1 for extent in reader._stored_shape()[1:])]
    for axis in sorted(axis % (len(target) + len(axes)) for axis in axes):
        target.insert(axis, 1)
    reader.reshape(target)


def _cast(reader: Reader, node: Node) -> None:
    to = onnx.helper.tensor_dtype_to_np_dtype(node.get("to"))
    if reader.layers and to != reader.dtype or to not in (np.float32, np.float64):
        raise ValueError(f"it converts to {to}, in a model of {reader.dtype}")
    reader.dtype = to


def _nothing(reader: Reader, node: Node) -> None:
    """Of what does nothing in inference."""


#: operator -> what reads it
READERS: dict[str, Callable[[Reader, Node], None]] = {
    "Gemm": _gemm,
    "MatMul": lambda reader, node: _dense(reader, reader.constant(node, 1)),
    "Conv": _conv,
    "Pad": _pad,
    "MaxPool": _pooling(layers.MaxPooling2D),
    "AveragePool": _pooling(layers.AveragePooling2D),
    "GlobalMaxPool": _global_pooling(layers.GlobalMaxPooling2D),
    "GlobalAveragePool": _global_pooling(layers.GlobalAveragePooling2D),
    "ReduceMax": _reduction(layers.GlobalMaxPooling2D),
    "ReduceMean": _reduction(layers.GlobalAveragePooling2D),
    "BatchNormalization": _batch_normalization,
    "LayerNormalization": _layer_normalization,
    "Relu": _activation("relu"),
    "Sigmoid": _activation("sigmoid"),
    "Tanh": _activation("tanh"),
    "Softplus": _activation("softplus"),
    "Gelu": _activation("gelu"),
    "Swish": _activation("silu"),
    "Exp": _activation("exponential"),
    "Selu": _selu,
    "Softmax": _softmax("softmax"),
    "LogSoftmax": _softmax("log_softmax"),
    "Elu": lambda reader, node: reader.add(layers.ELU(node.get("alpha", 1.0), dtype=reader.dtype)),
    "LeakyRelu": lambda reader, node: reader.add(layers.LeakyReLU(node.get("alpha", 0.01), dtype=reader.dtype)),
    "PRelu": _prelu,
    "Clip": _clip,
    "Min": _minimum,
    "Add": _arithmetic("Add"),
    "Sub": _arithmetic("Sub"),
    "Mul": _arithmetic("Mul"),
    "Div": _arithmetic("Div"),
    "Flatten": _flatten,
    "Reshape": _reshape,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Transpose": lambda reader, node: reader.transpose(node.get("perm", range(len(reader.shape))[::-1])),
    "Cast": _cast,
    "Dropout": _nothing,
    "Identity": _nothing,
}
