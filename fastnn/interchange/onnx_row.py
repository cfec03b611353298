"""The row of layers that is made of an ONNX graph, and where the graph's present result stands in it.

PyTorch writes images as (N, C, H, W), and its models become layers of channels_first images. A graph that has them with the
channels last moves them to axis 1 for each operator, or for a row of operators, and back. Those operators become layers of
channels_last images, and the moves disappear: `Row.graph_has` says whether the channels are where the model does not have them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import layers
from ..layers.base import Shape

#: layers that make one number of each channel
GLOBAL = (layers.GlobalAveragePooling2D, layers.GlobalMaxPooling2D)


class Row:
    """Layers, each of which takes the result of the one before.

    Parameters
    ----------
    extents : sequence of (int or None)
        Shape of the graph's input, with the batch.
    dtype : dtype
        The model's float type, which the first nodes may still change.

    Attributes
    ----------
    layers : list of Layer
        Built, with their weights.
    shape : tuple
        Shape of the present result in the model, (None, ...).
    graph_has : {"", "first", "last"}
        Where the graph has the channels of the present result while the model has them at the other end; "" where both agree.
    zeros : dict of int to (int, int)
        By axis of the model, how many zeros are put before and after the present result: padding of the convolution to come.
    """

    def __init__(self, extents: Sequence[int | None], dtype: np.dtype) -> None:
        self.dtype = dtype
        self.layers: list[layers.Layer] = []
        self.shape: Shape = (None, *extents[1:])
        self.graph_has = ""
        self.zeros: dict[int, tuple[int, int]] = {}
        self._batch = extents[0]

    @property
    def last(self) -> layers.Layer | None:
        """The last layer."""
        return self.layers[-1] if self.layers else None

    @property
    def in_models_layout(self) -> bool:
        """Whether the present result is in the graph what it is in the model."""
        return not self.graph_has and not self.zeros

    @property
    def stored_shape(self) -> Shape:
        """Shape of the present result in the graph."""
        return tuple(self.shape[place] for place in self._places())

    def add(self, layer: layers.Layer, *weights: Any) -> None:
        """Put a layer, and its weights, at the end."""
        layer.build(self.shape)
        layer.set_weights(weights)
        self.layers.append(layer)
        self.shape = layer.output_shape
        if len(self.shape) == 2:
            self.graph_has = ""  # channels are the only axis

    def take_zeros(self) -> dict[int, tuple[int, int]]:
        """Return the zeros around the present result, which a convolution then takes as its padding."""
        zeros, self.zeros = self.zeros, {}
        return zeros

    def replace_last(self, layer: layers.Layer, *weights: Any) -> None:
        """Put a layer in the place of the last one."""
        self.shape = self.layers.pop().input_shape
        self.add(layer, *weights)

    def change_last(self, *more_weights: Any, **changes: Any) -> None:
        """Make the last layer anew, with other arguments and with more weights."""
        layer = self.layers[-1]
        changed = type(layer).from_config({**layer.get_config(), **changes})
        self.replace_last(changed, *layer.get_weights(), *more_weights)

    def activate(self, name: str) -> None:
        """Add an activation, to the last layer if that has none yet."""
        last = self.last
        if isinstance(last, (layers.Dense, layers.Conv2D)) and last.get_config()["activation"] == "linear":
            self.change_last(activation=name)
        else:
            self.add(layers.Activation(name, dtype=self.dtype))

    def multiply_by_input(self) -> None:
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

    def as_in_model(self, array: np.ndarray) -> np.ndarray:
        """Return an array that has the axes of the graph's present result with those of the model's."""
        return array.transpose(np.argsort(self._places()))

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

    def reshape(self, target: Sequence[int]) -> None:
        """Give samples another shape; 0 stands for an extent that stays."""
        stored = self.stored_shape
        if target[0] not in (0, -1, self._batch) or (target[0] == -1 and -1 in target[1:]):
            raise ValueError(f"it changes the shape of the batch, to {tuple(target)}")
        sample = [(stored[axis] or -1) if extent == 0 else extent for axis, extent in enumerate(target[1:], 1)]
        last = self.last
        if len(sample) == 1 and isinstance(last, GLOBAL) and last.keepdims:
            self.change_last(keepdims=False)
        elif self.graph_has == "first" or (self.graph_has and len(sample) > 1):
            raise ValueError("it mixes the axes of images whose channels are not where the model has them")
        elif len(sample) == 1 and len(self.shape) > 2:
            self.add(layers.Flatten("channels_first" if self.graph_has else None, dtype=self.dtype))
        elif sample != list(stored[1:]):
            self.add(layers.Reshape(sample, dtype=self.dtype))

    # ----------------------------------------------------- numbers by element

    def scale_and_shift(self, scale: Any = 1.0, offset: Any = 0.0) -> None:
        """Multiply by numbers and add numbers: to the bias of the last layer, or in a layer of its own."""
        (scale, axis), (offset, offset_axis) = self.by_feature(scale), self.by_feature(offset)
        last, rank = self.last, len(self.shape)
        if isinstance(last, (layers.Dense, layers.Conv2D)) and not last.use_bias and last.get_config()["activation"] == "linear":
            features = 1 if getattr(last, "data_format", "channels_last") == "channels_first" else rank - 1
            if np.ndim(scale) == 0 and scale == 1 and offset_axis == features:
                self.change_last(offset, use_bias=True)
                return
        if any(place not in (None, rank - 1) for place in (axis, offset_axis)):
            raise ValueError("it has a number for each element of an axis that is not the last one")
        if type(last) is layers.Rescaling:
            self.replace_last(layers.Rescaling(last.scale * scale, last.offset * scale + offset, dtype=self.dtype))
        else:
            self.add(layers.Rescaling(scale, offset, dtype=self.dtype))

    def by_feature(self, value: Any) -> tuple[Any, int | None]:
        """Return one number and None, or numbers and the axis of the model that they belong to."""
        array = np.asarray(value, self.dtype)
        rank = len(self.shape)
        if array.ndim > rank:
            raise ValueError(f"its constant has {array.ndim} axes, the result before {rank}")
        long = [axis for axis, extent in enumerate(array.shape, rank - array.ndim) if extent != 1]
        if len(long) > 1 or 0 in long:
            raise ValueError(f"its constant has the shape {array.shape}; one number, or one for each feature, can be read")
        return (array.ravel(), self.axis(long[0])) if long else (float(array.reshape(())), None)


def _moved(rank: int, where: str) -> tuple[int, ...]:
    """Return which axes of the model stand where, if the graph has the channels at another end."""
    axes = list(range(rank))
    if where == "first":
        axes.insert(1, axes.pop())
    elif where == "last":
        axes.append(axes.pop(1))
    return tuple(axes)
