"""ONNX's operators as layers: what each node makes of a row of layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import layers
from ..kernels.functions.geometry import split_padding
from ..kernels.spec.activation import SELU_ALPHA, SELU_SCALE
from .onnx_library import onnx
from .onnx_nodes import Node
from .onnx_row import Row


def _gemm(row: Row, node: Node) -> None:
    node.only(alpha=1.0, beta=1.0, transA=0)
    kernel, bias = node.constant(1), node.optional(2)
    _dense(row, kernel.T if node.get("transB", 0) else kernel, bias)


def _dense(row: Row, kernel: np.ndarray, bias: np.ndarray | None = None) -> None:
    if kernel.ndim != 2 or row.graph_has:
        raise ValueError(f"it multiplies by an array of {kernel.ndim} axes, or images whose channels are not last")
    units = kernel.shape[1]
    weights = [kernel] if bias is None else [kernel, np.broadcast_to(bias.reshape(bias.size), (units,))]
    row.add(layers.Dense(units, use_bias=bias is not None, dtype=row.dtype), *weights)


def _conv(row: Row, node: Node) -> None:
    kernel, bias = node.constant(1), node.optional(2)
    if kernel.ndim != 4:
        raise ValueError(f"it convolves along {kernel.ndim - 2} axes; only images, with 2, can be read")
    data_format = row.data_format()
    layer = layers.Conv2D(
        len(kernel),
        kernel.shape[2:],
        strides=node.get("strides", (1, 1)),
        padding=_with_zeros(row, _padding(node), data_format),
        data_format=data_format,
        dilation_rate=node.get("dilations", (1, 1)),
        groups=node.get("group", 1),
        use_bias=bias is not None,
        dtype=row.dtype,
    )
    row.add(layer, kernel.transpose(2, 3, 1, 0), *([] if bias is None else [bias]))


def _padding(node: Node) -> Any:
    word = node.get("auto_pad", b"NOTSET").decode()
    if word == "NOTSET":
        top, left, bottom, right = node.get("pads", (0, 0, 0, 0))
        return ((top, bottom), (left, right))
    if word not in ("VALID", "SAME_UPPER"):
        raise ValueError(f"auto_pad={word!r} has no counterpart")
    return "same" if word == "SAME_UPPER" else ((0, 0), (0, 0))


def _pad(row: Row, node: Node) -> None:
    node.only(mode=b"constant")
    amounts, value, rank = node.integers("pads", 1) or [], node.optional(2), len(row.shape)
    if len(amounts) != 2 * rank or (value is not None and value.any()) or node.optional(3) is not None:
        raise ValueError("it puts something else than zeros around images, or along some axes alone")
    pairs = zip(amounts[:rank], amounts[rank:], strict=True)
    row.zeros = {row.axis(axis): pair for axis, pair in enumerate(pairs) if any(pair)}


def _with_zeros(row: Row, padding: Any, data_format: str) -> Any:
    """Return a convolution's padding with the zeros that are around its images already."""
    zeros = row.take_zeros()
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


def _pooling(cls: Any) -> Callable[[Row, Node], None]:
    def read(row: Row, node: Node) -> None:
        node.only(dilations=[1, 1], storage_order=0)
        size, strides, padding = node.get("kernel_shape"), node.get("strides", [1, 1]), _padding(node)
        if node.get("ceil_mode", 0):
            for extent, *axis in zip(row.stored_shape[2:], size, strides, split_padding(padding), strict=True):
                if extent is None or (extent + sum(axis[2]) - axis[0]) % axis[1]:
                    raise ValueError("ceil_mode=1 has no counterpart where the windows do not cover the images evenly")
        if node.get("count_include_pad", 0) and any(map(any, split_padding(padding))):
            raise ValueError("count_include_pad=1 has no counterpart: padding does not count in a mean here")
        row.add(cls(size, strides, padding, row.data_format(), dtype=row.dtype))

    return read


def _global_pooling(cls: Any) -> Callable[[Row, Node], None]:
    return lambda row, node: row.add(cls(row.data_format(), keepdims=True, dtype=row.dtype))


def _reduction(cls: Any) -> Callable[[Row, Node], None]:
    def read(row: Row, node: Node) -> None:
        axes = sorted(row.axis(axis) for axis in node.integers("axes", 1) or ())
        data_format = {"[1, 2]": "channels_last", "[2, 3]": "channels_first"}.get(str(axes))
        if len(row.shape) != 4 or data_format is None:
            raise ValueError(f"it reduces the axes {axes}; only rows and columns of images can be reduced")
        row.add(cls(data_format, bool(node.get("keepdims", 1)), dtype=row.dtype))

    return read


def _batch_normalization(row: Row, node: Node) -> None:
    node.only(training_mode=0, spatial=1)
    if row.graph_has == "last":
        raise ValueError("it normalizes along axis 1, where the images do not have their channels")
    axis = -1 if row.graph_has or len(row.shape) == 2 else 1
    layer = layers.BatchNormalization(axis, epsilon=node.get("epsilon", 1e-5), dtype=row.dtype)
    row.add(layer, *(node.constant(number) for number in range(1, 5)))


def _layer_normalization(row: Row, node: Node) -> None:
    if row.axis(node.get("axis", -1)) != len(row.shape) - 1 or row.graph_has == "last":
        raise ValueError("it normalizes along another axis than the last one")
    beta = node.optional(2)
    layer = layers.LayerNormalization(epsilon=node.get("epsilon", 1e-5), center=beta is not None, dtype=row.dtype)
    row.add(layer, node.constant(1), *([] if beta is None else [beta]))


def _prelu(row: Row, node: Node) -> None:
    slope = node.constant(1)
    rank = len(row.shape)
    slope = slope.reshape((1,) * (rank - slope.ndim) + slope.shape)
    slope = row.as_in_model(slope)[0]
    shared = [axis for axis, extent in enumerate(slope.shape, 1) if extent == 1]
    row.add(layers.PReLU(shared_axes=shared, dtype=row.dtype), slope)


def _clip(row: Row, node: Node) -> None:
    bounds = [node.get(name, node.optional(number)) for number, name in ((1, "min"), (2, "max"))]
    low, high = (None if bound is None else float(bound) for bound in bounds)
    if low != 0:
        raise ValueError(f"it limits results to [{low}, {high}]; only from 0 on can they be limited")
    row.add(layers.ReLU(max_value=high, dtype=row.dtype))


def _minimum(row: Row, node: Node) -> None:
    last = row.last
    high, axis = row.by_feature(node.constant(1))
    if type(last) is not layers.LeakyReLU or axis is not None:
        raise ValueError("it limits results from above; only behind LeakyRelu, to one number, can they be limited so")
    row.replace_last(layers.ReLU(high, last.negative_slope, dtype=row.dtype))


def _softmax(name: str) -> Callable[[Row, Node], None]:
    def read(row: Row, node: Node) -> None:
        old = node.opset < 13  # which took all axes from this one on together
        stored = node.get("axis", 1 if old else -1)
        axis, last = row.axis(stored), len(row.shape) - 1
        if old and stored % len(row.shape) != last:
            raise ValueError("before operator set 13 it is read along the last axis alone")
        if name == "softmax" and axis != last:
            row.add(layers.Softmax(axis, dtype=row.dtype))
        elif axis != last:
            raise ValueError(f"it works along axis {axis}; only the last one can be read")
        else:
            row.activate(name)

    return read


def _activation(name: str) -> Callable[[Row, Node], None]:
    def read(row: Row, node: Node) -> None:
        if name == "gelu":
            node.only(approximate=b"none")
        if name == "silu":
            node.only(alpha=1.0)
        row.activate(name)

    return read


def _selu(row: Row, node: Node) -> None:
    for name, value in (("alpha", SELU_ALPHA), ("gamma", SELU_SCALE)):
        if abs(node.get(name, value) - value) > 1e-6:
            raise ValueError(f"{name}={node.get(name)} has no counterpart, only {value} has")
    row.activate("selu")


def _arithmetic(operation: str) -> Callable[[Row, Node], None]:
    def read(row: Row, node: Node) -> None:
        first = node.inputs[0] in node.constants
        value = node.constant(0 if first else 1).astype(row.dtype)
        if operation == "Div" and (first or not value.all()):
            raise ValueError("it divides by a result, or by 0")
        arguments = {
            "Add": {"offset": value},
            "Sub": {"offset": value, "scale": -1.0} if first else {"offset": -value},
            "Mul": {"scale": value},
        }
        row.scale_and_shift(**(arguments[operation] if operation != "Div" else {"scale": 1 / value}))

    return read


def _flatten(row: Row, node: Node) -> None:
    node.only(axis=1)
    row.reshape((0, -1))


def _reshape(row: Row, node: Node) -> None:
    # allowzero=1 is for results without elements; 0 in a shape is the extent of the batch, or one that stays
    row.reshape(node.integers("shape", 1) or ())


def _squeeze(row: Row, node: Node) -> None:
    axes = [axis % len(row.shape) for axis in node.integers("axes", 1) or ()]
    stored = row.stored_shape
    if not axes or any(stored[axis] != 1 for axis in axes):
        raise ValueError(f"it takes away the axes {axes} of the shape {stored}")
    row.reshape([0, *(stored[axis] or -1 for axis in range(1, len(stored)) if axis not in axes)])


def _unsqueeze(row: Row, node: Node) -> None:
    axes = node.integers("axes", 1) or []
    target = [0, *(extent or -1 for extent in row.stored_shape[1:])]
    for axis in sorted(axis % (len(target) + len(axes)) for axis in axes):
        target.insert(axis, 1)
    row.reshape(target)


def _cast(row: Row, node: Node) -> None:
    to = onnx.helper.tensor_dtype_to_np_dtype(node.get("to"))
    if row.layers and to != row.dtype or to not in (np.float32, np.float64):
        raise ValueError(f"it converts to {to}, in a model of {row.dtype}")
    row.dtype = to


def _nothing(row: Row, node: Node) -> None:
    """Read an operator that does nothing in inference."""


#: operator -> what reads it
OPERATORS: dict[str, Callable[[Row, Node], None]] = {
    "Gemm": _gemm,
    "MatMul": lambda row, node: _dense(row, node.constant(1)),
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
    "Elu": lambda row, node: row.add(layers.ELU(node.get("alpha", 1.0), dtype=row.dtype)),
    "LeakyRelu": lambda row, node: row.add(layers.LeakyReLU(node.get("alpha", 0.01), dtype=row.dtype)),
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
    "Transpose": lambda row, node: row.transpose(node.get("perm", range(len(row.shape))[::-1])),
    "Cast": _cast,
    "Dropout": _nothing,
    "Identity": _nothing,
}
