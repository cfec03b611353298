"""Models as ONNX: each layer as the operators that compute it.

ONNX computes images as (N, C, H, W). In a model of channels_last images, transpositions stand where the layout matters: before
the first operator on images and behind the last one, not around each. In between, a value is marked as stored with the channels
first, and the layers that compute element by element do not mind.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .. import __version__, activations, layers
from ..files import PathLike, replace_file
from ..kernels.functions.geometry import resolve_padding, split_padding
from ..layers.base import Shape, output_shapes
from ..model import Sequential
from .onnx_library import onnx

#: the version of ONNX's operators that is written, the first with Gelu (2023), and of the file format that it came with
OPSET, IR_VERSION = 20, 9


@dataclass(frozen=True)
class Value:
    """A result in the graph.

    Parameters
    ----------
    name : str
        Its name in the graph.
    shape : tuple
        Its shape in the model, (None, ...).
    first : bool
        Whether it is stored with the channels at axis 1, though the model has them last.
    """

    name: str
    shape: Shape
    first: bool = False


class Graph:
    """Nodes and constants that become an ONNX graph.

    Parameters
    ----------
    dtype : dtype
        The model's float type.
    """

    def __init__(self, dtype: np.dtype) -> None:
        self.dtype = dtype
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.layer = ""

    def add(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Add a node; return the name of its output."""
        name = f"{self.layer}/{operator}_{len(self.nodes)}"
        self.nodes.append(onnx.helper.make_node(operator, inputs, [name], name, **attributes))
        return name

    def constant(self, value: Any, name: str, dtype: Any = None) -> str:
        """Add a constant, of the model's type by default; return its name."""
        array = np.ascontiguousarray(value, self.dtype if dtype is None else dtype)
        name = f"{self.layer}/{name}_{len(self.constants)}"
        self.constants.append(onnx.numpy_helper.from_array(array.reshape(np.shape(value)), name))
        return name

    def as_in_model(self, x: Value) -> str:
        """Return the name of a value in the layout that the model has."""
        return self.add("Transpose", x.name, perm=(0, *range(2, len(x.shape)), 1)) if x.first else x.name

    def with_channels_first(self, x: Value, data_format: str = "channels_last") -> str:
        """Return the name of a value with the channels at axis 1."""
        if data_format == "channels_first" or x.first or len(x.shape) == 2:
            return self.as_in_model(x) if data_format == "channels_first" else x.name
        rank = len(x.shape)
        return self.add("Transpose", x.name, perm=(0, rank - 1, *range(1, rank - 1)))


def export_onnx(model: Sequential, path: PathLike, input_dtype: Any = None) -> None:
    """Write a model as ONNX; see `Sequential.export_onnx`."""
    dtype = model.dtype if input_dtype is None else np.dtype(input_dtype)
    if dtype not in (model.dtype, np.uint8):
        raise ValueError(f"input_dtype must be 'uint8' or {model.dtype.name!r}, the model's own type; got {input_dtype!r}")
    graph = Graph(model.dtype)
    graph.layer = "input"
    x = Value("input", model.input_shape)
    if dtype != model.dtype:
        x = replace(x, name=graph.add("Cast", x.name, to=onnx.helper.np_dtype_to_tensor_dtype(model.dtype)))
    for layer in model.layers:
        if layer.dtype != model.dtype:
            raise ValueError(f"a model for ONNX has one float type: {_named(layer)} has {layer.dtype}, the model {model.dtype}")
        x = _layer(graph, layer, x)
    graph.layer = "output"
    name = graph.as_in_model(x)
    if not graph.nodes:
        name = graph.add("Identity", name)
    graph.nodes[-1].output[0] = "output"
    made = onnx.helper.make_model(
        onnx.helper.make_graph(
            graph.nodes,
            model.name,
            [_described("input", dtype, model.input_shape)],
            [_described("output", model.dtype, model.output_shape)],
            graph.constants,
        ),
        opset_imports=[onnx.helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="fastnn",
        producer_version=__version__,
    )
    onnx.checker.check_model(made, full_check=True)
    replace_file(path, made.SerializeToString())


def _described(name: str, dtype: np.dtype, shape: Shape) -> Any:
    extents = ["batch", *(f"axis_{axis}" if extent is None else extent for axis, extent in enumerate(shape[1:], 1))]
    return onnx.helper.make_tensor_value_info(name, onnx.helper.np_dtype_to_tensor_dtype(dtype), extents)


def _layer(graph: Graph, layer: layers.Layer, x: Value) -> Value:
    write = LAYERS.get(type(layer))
    if write is None:
        known = ", ".join(cls.__name__ for cls in LAYERS)
        raise ValueError(f"{_named(layer)} has no counterpart in ONNX; what has one is {known}")
    graph.layer = layer.name
    return write(graph, layer, x)


def _made_by(layer: layers.Layer, x: Value, name: str) -> Value:
    """Return what a layer made of a value, in the model's layout."""
    return Value(name, output_shapes([layer], x.shape)[0])


def _named(layer: layers.Layer) -> str:
    return f"layer {layer.name!r} ({type(layer).__name__})"


# ------------------------------------------------------------- element by element


def _elementwise(operator: str, **attributes: Any) -> Callable[[Graph, Value], Value]:
    return lambda graph, x: replace(x, name=graph.add(operator, x.name, **attributes))


def _bipolar_sigmoid(graph: Graph, x: Value) -> Value:
    half = graph.add("Mul", x.name, graph.constant(0.5, "half"))
    return replace(x, name=graph.add("Tanh", half))


def _silu(graph: Graph, x: Value) -> Value:
    return replace(x, name=graph.add("Mul", x.name, graph.add("Sigmoid", x.name)))


def _along_axis(operator: str, axis: int = -1) -> Callable[[Graph, Value], Value]:
    def write(graph: Graph, x: Value) -> Value:
        place = axis % len(x.shape)
        if x.first and place:  # where the model's axis is stored
            place = 1 if place == len(x.shape) - 1 else place + 1
        return replace(x, name=graph.add(operator, x.name, axis=place))

    return write


#: name of an activation -> what writes it
ACTIVATIONS: dict[str, Callable[[Graph, Value], Value]] = {
    "linear": lambda graph, x: x,
    "relu": _elementwise("Relu"),
    "sigmoid": _elementwise("Sigmoid"),
    "tanh": _elementwise("Tanh"),
    "bipolar_sigmoid": _bipolar_sigmoid,
    "leaky_relu": _elementwise("LeakyRelu", alpha=0.2),
    "elu": _elementwise("Elu", alpha=1.0),
    "selu": _elementwise("Selu"),
    "softplus": _elementwise("Softplus"),
    "gelu": _elementwise("Gelu"),
    "silu": _silu,
    "softmax": _along_axis("Softmax"),
    "log_softmax": _along_axis("LogSoftmax"),
    "exponential": _elementwise("Exp"),
}


def _activation(graph: Graph, layer: Any, x: Value) -> Value:
    """Write the activation that a layer has."""
    if isinstance(layer.activation, layers.Layer):
        return _layer(graph, layer.activation, x)
    name = activations.serialize(layer.activation)
    if name not in ACTIVATIONS:
        raise ValueError(f"the activation of {_named(layer)}, {name!r}, has no counterpart in ONNX")
    return ACTIVATIONS[name](graph, x)


def _relu(graph: Graph, layer: Any, x: Value) -> Value:
    high = [] if layer.max_value is None else [graph.constant(layer.max_value, "max_value")]
    if layer.negative_slope:
        name = graph.add("LeakyRelu", x.name, alpha=layer.negative_slope)
        return replace(x, name=graph.add("Min", name, *high) if high else name)
    return replace(x, name=graph.add("Clip", x.name, graph.constant(0.0, "zero"), *high) if high else graph.add("Relu", x.name))


def _prelu(graph: Graph, layer: Any, x: Value) -> Value:
    alpha = np.moveaxis(layer.alpha.data, -1, 0) if x.first else layer.alpha.data
    return replace(x, name=graph.add("PRelu", x.name, graph.constant(alpha, "alpha")))


def _rescaling(graph: Graph, layer: Any, x: Value) -> Value:
    for operator, name, neutral in (("Mul", "scale", 1), ("Add", "offset", 0)):
        value = np.asarray(getattr(layer, name), graph.dtype)
        if value.ndim and x.first:
            value = value.reshape(-1, *[1] * (len(x.shape) - 2))
        if np.any(value != neutral):
            x = replace(x, name=graph.add(operator, x.name, graph.constant(value, name)))
    return x


def _batch_normalization(graph: Graph, layer: Any, x: Value) -> Value:
    features = layer.moving_mean.shape[0]
    gamma = np.ones(features, graph.dtype) if layer.gamma is None else layer.gamma.data
    beta = np.zeros(features, graph.dtype) if layer.beta is None else layer.beta.data
    values = {"gamma": gamma, "beta": beta, "mean": layer.moving_mean.data, "variance": layer.moving_variance.data}
    name = graph.with_channels_first(x, layer.data_format)
    constants = [graph.constant(value, what) for what, value in values.items()]
    name = graph.add("BatchNormalization", name, *constants, epsilon=layer.epsilon)
    return replace(x, name=name, first=layer.data_format == "channels_last" and len(x.shape) > 2)


def _layer_normalization(graph: Graph, layer: Any, x: Value) -> Value:
    gamma = np.ones(x.shape[-1], graph.dtype) if layer.gamma is None else layer.gamma.data  # type: ignore[arg-type]
    constants = [graph.constant(gamma, "gamma")]
    if layer.beta is not None:
        constants.append(graph.constant(layer.beta.data, "beta"))
    attributes = {"axis": -1, "epsilon": layer.epsilon, "stash_type": onnx.helper.np_dtype_to_tensor_dtype(graph.dtype)}
    return Value(graph.add("LayerNormalization", graph.as_in_model(x), *constants, **attributes), x.shape)


# ---------------------------------------------------------------- weights and images


def _dense(graph: Graph, layer: Any, x: Value) -> Value:
    name, kernel = graph.as_in_model(x), graph.constant(layer.kernel.data, "kernel")
    bias = [] if layer.bias is None else [graph.constant(layer.bias.data, "bias")]
    if len(x.shape) == 2:
        name = graph.add("Gemm", name, kernel, *bias)
    else:
        name = graph.add("MatMul", name, kernel)
        if bias:
            name = graph.add("Add", name, *bias)
    return _activation(graph, layer, _made_by(layer, x, name))


def _window(layer: Any, x: Value, size: Sequence[int], dilation: Sequence[int] = (1, 1)) -> dict[str, Any]:
    """Return the attributes of a window that slides over images."""
    attributes: dict[str, Any] = {"kernel_shape": size, "strides": layer.strides}
    if tuple(dilation) != (1, 1):
        attributes["dilations"] = dilation
    image = x.shape[1:3] if layer.data_format == "channels_last" else x.shape[2:]
    if layer.padding == "same" and None in image:
        attributes["auto_pad"] = "SAME_UPPER"
    else:
        axes = zip(split_padding(layer.padding), image, size, layer.strides, dilation, strict=True)
        (top, bottom), (left, right) = (resolve_padding(side, extent or 0, *window) for side, extent, *window in axes)
        attributes["pads"] = (top, left, bottom, right)
    return attributes


def _images_made_by(layer: Any, x: Value, name: str) -> Value:
    """Return the images that a layer made of others, with the channels at axis 1."""
    return replace(_made_by(layer, x, name), first=layer.data_format == "channels_last")


def _conv(graph: Graph, images: str, kernel: np.ndarray, bias: Any, groups: int, **window: Any) -> str:
    """Write a convolution of images with the channels at axis 1 with a kernel of shape (rows, columns, in, out)."""
    constants = [graph.constant(kernel.transpose(3, 2, 0, 1), "kernel")]
    if bias is not None:
        constants.append(graph.constant(bias.data, "bias"))
    return graph.add("Conv", images, *constants, group=groups, **window)


def _conv2d(graph: Graph, layer: Any, x: Value) -> Value:
    images = graph.with_channels_first(x, layer.data_format)
    window = _window(layer, x, layer.kernel_size, layer.dilation_rate)
    name = _conv(graph, images, layer.kernel.data, layer.bias, layer.groups, **window)
    return _activation(graph, layer, _images_made_by(layer, x, name))


def _depthwise(graph: Graph, layer: Any, x: Value, kernel: np.ndarray, bias: Any) -> str:
    rows, columns, channels, multiplier = kernel.shape
    window = _window(layer, x, layer.kernel_size, layer.dilation_rate)
    images = graph.with_channels_first(x, layer.data_format)
    return _conv(graph, images, kernel.reshape(rows, columns, 1, channels * multiplier), bias, channels, **window)


def _depthwise_conv2d(graph: Graph, layer: Any, x: Value) -> Value:
    name = _depthwise(graph, layer, x, layer.kernel.data, layer.bias)
    return _activation(graph, layer, _images_made_by(layer, x, name))


def _separable_conv2d(graph: Graph, layer: Any, x: Value) -> Value:
    name = _depthwise(graph, layer, x, layer.depthwise_kernel.data, None)
    name = _conv(graph, name, layer.pointwise_kernel.data, layer.bias, 1)
    return _activation(graph, layer, _images_made_by(layer, x, name))


def _pooling(operator: str) -> Callable[[Graph, Any, Value], Value]:
    def write(graph: Graph, layer: Any, x: Value) -> Value:
        name = graph.add(operator, graph.with_channels_first(x, layer.data_format), **_window(layer, x, layer.pool_size))
        return _images_made_by(layer, x, name)

    return write


def _random_crop(graph: Graph, layer: layers.RandomCrop, x: Value) -> Value:
    """Write what is done outside training: cut the window in the middle out, and scale it."""
    image, parts = x.shape[1:3] if layer.data_format == "channels_last" else x.shape[2:], (layer.height, layer.width)
    if None in image:
        raise ValueError(f"{_named(layer)} needs images of known height and width for ONNX; they are {image}")
    corner, extents = layer.middle(image)  # type: ignore[arg-type]
    if any(extent < part for extent, part in zip(extents, parts, strict=True)):
        # their pixels depend on those outside the window
        raise ValueError(f"{_named(layer)} has no counterpart in ONNX where it makes images larger: from {image} to {parts}")
    axes = graph.constant((2, 3), "axes", np.int64)
    start = graph.constant(corner, "start", np.int64)
    stop = graph.constant(np.add(corner, extents), "stop", np.int64)
    name = graph.add("Slice", graph.with_channels_first(x, layer.data_format), start, stop, axes)
    if extents != parts:
        sizes = graph.constant(parts, "sizes", np.int64)
        name = graph.add("Resize", name, "", "", sizes, axes=(2, 3), mode="linear", coordinate_transformation_mode="half_pixel")
    return _images_made_by(layer, x, name)


def _global_pooling(operator: str) -> Callable[[Graph, Any, Value], Value]:
    def write(graph: Graph, layer: Any, x: Value) -> Value:
        name = graph.add(operator, graph.with_channels_first(x, layer.data_format))
        if not layer.keepdims:
            return _made_by(layer, x, graph.add("Flatten", name))
        return _images_made_by(layer, x, name)

    return write


# -------------------------------------------------------------------------- shapes


def _flatten(graph: Graph, layer: Any, x: Value) -> Value:
    name = graph.as_in_model(x)
    if layer.data_format == "channels_first" and len(x.shape) > 2:
        name = graph.add("Transpose", name, perm=(0, *range(2, len(x.shape)), 1))
    return _made_by(layer, x, graph.add("Flatten", name))


def _reshape(graph: Graph, layer: Any, x: Value) -> Value:
    shape = graph.constant((0, *layer.target_shape), "shape", np.int64)  # 0: the batch's extent, as it is
    return _made_by(layer, x, graph.add("Reshape", graph.as_in_model(x), shape))


def _nothing(graph: Graph, layer: Any, x: Value) -> Value:
    """Of what does something in training alone."""
    return x


def _function(write: Callable[[Graph, Value], Value]) -> Callable[[Graph, Any, Value], Value]:
    return lambda graph, layer, x: write(graph, x)


#: class of a layer -> what writes it; a class of the user's own computes what it likes, whatever it is derived from
LAYERS: dict[type, Callable[[Graph, Any, Value], Value]] = {
    layers.Dense: _dense,
    layers.Conv2D: _conv2d,
    layers.DepthwiseConv2D: _depthwise_conv2d,
    layers.SeparableConv2D: _separable_conv2d,
    layers.MaxPooling2D: _pooling("MaxPool"),
    layers.AveragePooling2D: _pooling("AveragePool"),
    layers.GlobalMaxPooling2D: _global_pooling("GlobalMaxPool"),
    layers.GlobalAveragePooling2D: _global_pooling("GlobalAveragePool"),
    layers.BatchNormalization: _batch_normalization,
    layers.LayerNormalization: _layer_normalization,
    layers.Dropout: _nothing,
    layers.RandomCrop: _random_crop,
    layers.RandomFlip: _nothing,
    layers.RandomTranslation: _nothing,
    layers.RandomRotation: _nothing,
    layers.RandomZoom: _nothing,
    layers.RandomContrast: _nothing,
    layers.RandomBrightness: _nothing,
    layers.Flatten: _flatten,
    layers.Reshape: _reshape,
    layers.Rescaling: _rescaling,
    layers.Activation: _activation,
    layers.ReLU: _relu,
    layers.LeakyReLU: lambda graph, layer, x: _elementwise("LeakyRelu", alpha=layer.negative_slope)(graph, x),
    layers.PReLU: _prelu,
    layers.ELU: lambda graph, layer, x: _elementwise("Elu", alpha=layer.alpha)(graph, x),
    layers.Softmax: lambda graph, layer, x: _along_axis("Softmax", layer.axis)(graph, x),
    layers.Sigmoid: _function(ACTIVATIONS["sigmoid"]),
    layers.BipolarSigmoid: _function(_bipolar_sigmoid),
    layers.Tanh: _function(ACTIVATIONS["tanh"]),
}
