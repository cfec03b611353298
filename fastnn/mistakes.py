"""Warnings of mistakes that would train a wrong model without any error, each with the likely reason."""

from __future__ import annotations

import copy
import itertools
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from . import activations
from .layers import BatchNormalization, Dense, Dropout, Flatten, Layer, LayerNormalization, Reshape
from .layers.augmentation import RandomImageLayer
from .layers.conv import Convolution
from .layers.pooling import Pooling
from .losses import Loss
from .metrics import BinaryAccuracy, Metric

#: activations whose results are neither probabilities nor, since they have a least value, logits
NEITHER = ("relu", "tanh", "bipolar_sigmoid", "elu", "selu", "softplus", "gelu", "silu", "exponential")

#: layers that leave pixels the size that they have
KEEP_SIZE = (Dropout, Flatten, Pooling, RandomImageLayer, Reshape)
#: bytes up to here may be counts or small numbers; what is larger is a picture's brightness
SMALL_BYTE = 100
#: samples of an array that are looked at
SOME = 32


def loss_of_outputs(layers: Sequence[Layer], output_shape: Sequence[int | None] | None, loss: Loss | None) -> Loss | None:
    """Return the loss of a model; warn where what the model ends with cannot be what the loss takes.

    Where the model ends with probabilities, a loss that was given from_logits=True is replaced by one with from_logits=False: it
    finds the logits behind the probabilities by itself, and metrics learn from it that the outputs are probabilities.

    Parameters
    ----------
    layers : sequence of Layer
        The model's.
    output_shape : sequence of int, optional
        The model's, if it is built.
    loss : Loss, optional
        What it is compiled with.
    """
    if not layers:
        return loss
    last = layers[-1]
    ends = _activation(last)
    units = getattr(last, "units", None) if output_shape is None else output_shape[-1]
    if ends == "softmax" and units == 1:
        warnings.warn(
            f"the softmax of a single output, as layer {last.name!r} has it, is always 1, and nothing is learned; for two classes "
            "there are Dense(1, activation='sigmoid') with 'binary_crossentropy' and Dense(2, activation='softmax') with "
            "'sparse_categorical_crossentropy'",
            stacklevel=3,
        )
    elif loss is not None and loss.link is not None:
        from_logits = getattr(loss, "from_logits", False)
        if from_logits and ends == loss.link:
            warnings.warn(
                f"loss {loss.name!r} has from_logits=True, but the last layer {last.name!r} makes probabilities of them ({ends}): "
                "it is taken as from_logits=False",
                stacklevel=3,
            )
            loss = copy.copy(loss)
            loss.from_logits = False  # type: ignore[attr-defined]
        elif ends in NEITHER or (from_logits and ends in ("sigmoid", "softmax")):
            wanted = "no activation, since it has from_logits=True" if from_logits else f"activation={loss.link!r}"
            warnings.warn(
                f"the last layer, {last.name!r}, has the activation {ends!r}, whose results are no "
                f"{'logits' if from_logits else 'probabilities'}; the loss {loss.name!r} wants {wanted}",
                stacklevel=3,
            )
    return loss


def _activation(layer: Layer) -> str | None:
    """Return the name of what a layer ends with."""
    if hasattr(layer, "activation"):
        name = activations.serialize(layer.activation)
        return name if isinstance(name, str) else None
    return type(layer).__name__.lower()  # layers such as ReLU and Softmax


def warn_of_metrics(metrics: Sequence[Metric], y: np.ndarray) -> None:
    """Warn where an accuracy that tells 0 from 1 meets targets that are neither.

    Parameters
    ----------
    metrics : sequence of Metric
        The model's.
    y : ndarray
        The targets.
    """
    for metric in metrics:
        if isinstance(metric, BinaryAccuracy):
            others = y[(y != 0) & (y != 1)]
            if others.size:
                warnings.warn(
                    f"the metric {metric.name!r} tells 0 from 1, and y has other values, such as {others[0]:.4g}, that always "
                    "count as wrong; for regression there are 'mae' and 'mse', for targets of -1 and 1 there is 'sign_accuracy'",
                    stacklevel=3,
                )


def warn_of_pixels(layers: Sequence[Layer], x: Any, stacklevel: int) -> None:
    """Warn where the first layer that learns is fed with pixels as files have them, from 0 to 255.

    Parameters
    ----------
    layers : sequence of Layer
        The model's. What a normalization comes behind, or a layer that may scale, is not warned of.
    x : array
        Inputs.
    stacklevel : int
        Whose line the warning names, as for `warnings.warn`.
    """
    if not isinstance(x, np.ndarray):
        return  # on a GPU
    rest = list(itertools.dropwhile(lambda layer: isinstance(layer, KEEP_SIZE), layers))
    if not isinstance(rest[0] if rest else None, (Dense, Convolution)):
        return
    if isinstance(rest[1] if len(rest) > 1 else None, (BatchNormalization, LayerNormalization)):
        return
    low, high = x[:SOME].min(), x[:SOME].max()
    if low >= 0 and (high == 255 or (x.dtype == np.uint8 and high > SMALL_BYTE)):
        warnings.warn(
            f"x has values from {low:.4g} to {high:.4g}, as pixels in files, and the first layer that learns, {rest[0].name!r}, "
            "gets them as they are: training on such large numbers is slow or fails; put layers.Rescaling(1 / 255) first",
            stacklevel=stacklevel + 1,
        )


def warn_of_divergence(name: str, value: float, arrays: Mapping[str, Any], stacklevel: int, rate: float | None = None) -> None:
    """Warn that a loss is NaN or infinite, and say where that may come from.

    Parameters
    ----------
    name : str
        What the loss is called in the text.
    value : float
        The loss.
    arrays : dict of str to array
        What it was computed of, by name, where that is at hand.
    stacklevel : int
        Whose line the warning names, as for `warnings.warn`.
    rate : float, optional
        The learning rate that it was trained with.
    """
    arrays = {key: array for key, array in arrays.items() if isinstance(array, np.ndarray)}  # not those on a GPU
    for key, array in arrays.items():
        bad = ~np.isfinite(array)
        if bad.any():
            first = np.unravel_index(int(bad.argmax()), bad.shape)
            samples = int(bad.reshape(len(bad), -1).any(axis=1).sum())
            where = ", ".join(map(str, first))
            reason = f"{key}[{where}] is {array[first]}; there is NaN or infinity in {samples} of {len(bad)} samples of {key}"
            break
    else:
        ranges = " and ".join(f"{key}, from {array.min():.4g} to {array.max():.4g}," for key, array in arrays.items())
        finite = f"{ranges} are finite" if arrays else "there may be NaN or infinity in the data"
        cause = "the weights may not be" if rate is None else f"the learning rate, {rate:.4g}, may be too high"
        reason = f"{finite}; {cause}"
    warnings.warn(f"{name} is {value}: {reason}", RuntimeWarning, stacklevel=stacklevel + 1)
