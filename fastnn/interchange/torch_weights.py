"""Weights of PyTorch, in safetensors files, with their axes in the order that the layers here have.

PyTorch has the outputs of a layer along the first axis of its weights, and flattens images as (C, H, W).
"""

from __future__ import annotations

import io
import math
import os
import zipfile
from collections.abc import Sequence

import numpy as np
import safetensors.numpy

from .. import layers
from ..autodiff import Variable
from ..files import PathLike
from ..layers.base import Shape, output_shapes
from ..layers.images import ImageLayer, check_data_format
from ..model import Sequential
from ..saving import ModelFileError, reason
from .pickles import PICKLE, refuse_pickles

#: name of a weight here -> its name in PyTorch
NAMES = {
    "kernel": "weight",
    "depthwise_kernel": "weight",
    "pointwise_kernel": "weight",
    "bias": "bias",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
    "alpha": "weight",
}
#: what PyTorch keeps with a batch normalization, and nothing here needs
UNUSED = "num_batches_tracked"

Module = dict[str, np.ndarray]


def read_torch_weights(model: Sequential, path: PathLike, modules: Sequence[str] | None, data_format: str | None) -> None:
    """Read weights of PyTorch into a built model; see `fastnn.interchange.load_torch_weights`."""
    if data_format is not None:
        check_data_format(data_format)
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(
            f"path must be the safetensors file of a state dict; got a {type(path).__name__}: "
            "safetensors.torch.save_file(state_dict, path) writes it"
        )
    if not model.built:
        raise ValueError(f"model {model.name!r} is not built yet, so it has no weights: call its build(), or begin with an Input")
    if isinstance(modules, str):
        raise TypeError(f"modules must be a list of names, such as [{modules!r}]; got {modules!r}")
    name = os.fspath(path)
    with open(path, "rb") as file:
        data = file.read()
    if zipfile.is_zipfile(io.BytesIO(data)):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            refuse_pickles(archive.namelist(), name)
    if data.startswith(PICKLE) and not data[8:9] == b"{":
        refuse_pickles(["data.pkl"], name)
    try:
        tensors = safetensors.numpy.load(data)
    except Exception as error:
        raise ModelFileError(f"{name!r} is damaged or not a safetensors file: {reason(error)}") from error
    try:
        values = _values(model, _by_module(tensors), modules, data_format)
    except ValueError as error:
        raise ModelFileError(f"{name!r} does not fit model {model.name!r}: {error}") from error
    for variable, array in values:
        variable.assign(array)


def _by_module(tensors: dict[str, np.ndarray]) -> dict[str, Module]:
    found: dict[str, Module] = {}
    for name, array in tensors.items():
        module, _, weight = name.rpartition(".")
        if weight != UNUSED:
            found.setdefault(module, {})[weight] = array
    return found


def _values(
    model: Sequential, found: dict[str, Module], names: Sequence[str] | None, data_format: str | None
) -> list[tuple[Variable, np.ndarray]]:
    with_weights = [layer for layer in model.layers if layer.weights]
    needed = [layer for layer in with_weights for _ in range(2 if isinstance(layer, layers.SeparableConv2D) else 1)]
    names = _in_order(found) if names is None else list(names)
    if missing := [name for name in names if name not in found]:
        raise ValueError(f"modules names {', '.join(map(repr, missing))}; there are {_described(found)}")
    if len(names) != len(needed):
        layers_here = ", ".join(layer.name for layer in needed)
        raise ValueError(
            f"{len(needed)} modules are needed, for {layers_here}; there are {_described({n: found[n] for n in names})}"
        )
    modules = iter(names)
    order: np.ndarray | None = None
    values = []
    shapes = [model.input_shape, *output_shapes(model.layers, model.input_shape)]
    for layer, before, after in zip(model.layers, shapes, shapes[1:], strict=False):
        if isinstance(layer, ImageLayer):
            data_format = layer.data_format
        elif isinstance(layer, (layers.Flatten, layers.Reshape)) and (len(before), len(after)) == (4, 2):
            order = _order_of_rows(layer, before[1:], data_format)
        if not layer.weights:
            continue
        values += _of_layer(
            layer, [(name, dict(found[name])) for name in (next(modules) for _ in range(needed.count(layer)))], order
        )
        if isinstance(layer, layers.Dense):
            order = None
    return values


def _in_order(found: dict[str, Module]) -> list[str]:
    """Return the modules' names in the order of the network, if they tell it: safetensors files do not keep it."""
    if len(found) < 2:
        return list(found)
    numbers = {name: name.split(".")[-1] for name in found}
    if len({name.rpartition(".")[0] for name in found}) > 1 or not all(number.isdecimal() for number in numbers.values()):
        raise ValueError(
            "the names of its modules do not tell their order; name them in the order of the layers, as in "
            f"modules=['conv1', 'fc1']: there are {_described(found)}"
        )
    return sorted(found, key=lambda name: int(numbers[name]))


def _described(found: dict[str, Module]) -> str:
    shapes = {name: ", ".join(f"{weight} {found[name][weight].shape}" for weight in sorted(found[name])) for name in sorted(found)}
    return ", ".join(f"{name!r} ({text})" for name, text in shapes.items()) or "none"


def _order_of_rows(layer: layers.Layer, shape: Shape, data_format: str | None) -> np.ndarray | None:
    """Return where the features of flattened images are in PyTorch, which flattens (C, H, W); None if they are there too."""
    if getattr(layer, "data_format", None) == "channels_first":  # a Flatten that moves the channels to the end
        channels_first = shape
    elif data_format == "channels_first":
        return None
    else:
        channels_first = (shape[2], *shape[:2])
    places = np.arange(math.prod(extent or 0 for extent in shape))
    order = places.reshape(channels_first).transpose(1, 2, 0).ravel()  # type: ignore[arg-type]
    if channels_first is not shape and data_format is None and (order != places).any():
        raise ValueError(
            f"layer {layer.name!r} flattens images of shape {shape}; tell their layout, as in data_format='channels_last'"
        )
    return order


def _of_layer(
    layer: layers.Layer, modules: list[tuple[str, Module]], order: np.ndarray | None
) -> list[tuple[Variable, np.ndarray]]:
    values = []
    for variable in layer.weights:
        # of a separable convolution the first module is the depthwise one
        name, module = modules[0 if variable.name == "depthwise_kernel" else -1]
        theirs = NAMES.get(str(variable.name), "")
        if theirs not in module:
            raise ValueError(f"module {name!r} has no {theirs or 'weight'!r} for {variable.name!r} of layer {layer.name!r}")
        array = _converted(layer, variable, module.pop(theirs), order)
        if array.shape != variable.shape or array.dtype.kind != "f":
            raise ValueError(
                f"{theirs!r} of module {name!r} becomes {array.dtype} of shape {array.shape}; {variable.name!r} of layer "
                f"{layer.name!r} has shape {variable.shape}"
            )
        values.append((variable, array))
    if left := [f"{name}.{weight}" for name, module in modules for weight in module]:
        raise ValueError(f"layer {layer.name!r} has no place for {', '.join(left)}")
    return values


def _converted(layer: layers.Layer, variable: Variable, array: np.ndarray, order: np.ndarray | None) -> np.ndarray:
    """Return an array of PyTorch as it is here."""
    if array.ndim == 4:
        array = array.transpose(2, 3, 1, 0)
    elif array.ndim == 2:
        array = array.T
    if order is not None and variable.name != "bias" and len(array) == len(order):
        array = array[order]
    # filters of each channel, or a factor for each: the same numbers, with other extents of 1 between them
    grouped = isinstance(layer, layers.DepthwiseConv2D) or variable.name in ("depthwise_kernel", "alpha")
    return array.reshape(variable.shape) if grouped and variable.name != "bias" and array.size == variable.size else array
