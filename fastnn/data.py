"""What `fit`, `evaluate` and `predict` accept, and the arrays that are made of it."""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping
from typing import Any

import numpy as np

from .kernels.functions.checks import number
from .kernels.interop import is_on_gpu, on_gpu, on_host

#: which iterables are not taken for arrays
BATCHES = "batches come from a generator or another object with __iter__, not from a list"
#: what may be the reason where an iterable gives no batches
GENERATOR_HINT = "; a generator gives its batches only once, an object whose __iter__ starts anew gives them each time"


def has_batches(x: Any, y: Any) -> bool:
    """Say whether `x` is an iterable of batches instead of an array.

    Raises
    ------
    ValueError
        If it can give nothing else, having no items by number, and there are targets besides.
    """
    is_array = hasattr(x, "__array__") or isinstance(x, (list, tuple, str, bytes, Mapping)) or is_on_gpu(x)
    iterable = hasattr(x, "__iter__") and not is_array
    if y is not None and iterable and not hasattr(x, "__getitem__"):
        raise ValueError(f"y must be left out where x gives batches, (x, y) each; x is a {type(x).__name__}")
    return y is None and iterable


def batch_parts(batch: Any) -> tuple[Any, Any, Any]:
    """Return inputs, targets and sample weights, or None, of a batch that an iterable gave.

    Raises
    ------
    ValueError
        If it is not ``(x, y)`` or ``(x, y, sample_weight)``.
    """
    if not isinstance(batch, (tuple, list)) or len(batch) not in (2, 3):
        got = f"{len(batch)} parts" if isinstance(batch, (tuple, list)) else f"{type(batch).__name__}, without targets"
        raise ValueError(f"batches must be (x, y) or (x, y, sample_weight); got {got}")
    return batch[0], batch[1], batch[2] if len(batch) == 3 else None


def batch_inputs(batch: Any, input_shape: tuple | None) -> Any:
    """Return the inputs of a batch to predict, which an iterable gave with or without targets.

    A tuple has them first; so has a list, as loaders of PyTorch give, if that is an array of the inputs' rank.
    """
    is_list = isinstance(batch, list) and input_shape is not None and getattr(batch[0], "ndim", None) == len(input_shape)
    return batch[0] if isinstance(batch, tuple) or is_list else batch


def batch_count(samples: int, batch_size: int) -> int:
    """Return the number of batches, the last one possibly smaller."""
    return -(-samples // batch_size)


def as_inputs(x: Any, input_shape: tuple | None, dtype: np.dtype, convert: bool = False) -> np.ndarray:
    """Return `x` as a C-contiguous array of shape (n, ...) that fits the model.

    uint8 arrays stay as they are (unless `convert`), everything else becomes the model's float type. A missing last axis of
    extent 1 (grey images) is added. An array on a GPU stays there (unless `convert`).

    Raises
    ------
    TypeError
        If `x` is not numeric, or has a mask.
    ValueError
        If its shape does not fit `input_shape`.
    """
    if isinstance(x, np.ma.MaskedArray):
        raise TypeError("x must be an array without a mask: masked elements would count like all others")
    if hasattr(x, "__getitem__") and not hasattr(x, "__iter__") and not hasattr(x, "__array__") and not is_on_gpu(x):
        raise TypeError(  # NumPy would ask it for items until it has no more, which may be never
            f"x must be an array or an iterable of batches; got a {type(x).__name__}, which has items by number but no __iter__: "
            "give it one that yields batches, (x, y) each, or a PyTorch data set to a DataLoader"
        )
    if is_on_gpu(x):
        array = on_host("x", x) if convert else on_gpu("x", x)
    else:
        try:
            array = np.asarray(x)
        except ValueError as error:  # NumPy's, of lists of lists whose lengths differ
            raise ValueError(f"x must be one array, of samples of one shape; {BATCHES}: {error}") from error
    if array.dtype == object:
        array = _from_objects(x, array)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"x must be numeric, got an array of dtype {array.dtype}")
    if array.ndim < 1:
        raise ValueError("x must have an axis of samples, got a scalar")
    if input_shape is not None:
        given = array.shape
        if array.ndim == len(input_shape) - 1 and input_shape[-1] == 1:
            array = array.reshape(*array.shape, 1)
        fits = array.ndim == len(input_shape) and all(
            e is None or e == n for e, n in zip(input_shape[1:], array.shape[1:], strict=True)
        )
        if not fits:
            alone = given in (input_shape[1:], input_shape[1:-1] if input_shape[-1] == 1 else None)
            hint = "; a single sample is a batch of one, x[None]" * alone
            if len(input_shape) == 4 and given[1:] == (input_shape[3], *input_shape[1:3]):
                hint = "; images with the channels first become such by x.transpose(0, 2, 3, 1)"
            raise ValueError(f"x must have shape {_shape_text(input_shape)} to fit the model, got {given}{hint}")
    if not isinstance(array, np.ndarray):
        if array.dtype not in (np.uint8, dtype):
            raise TypeError(f"x is on the GPU and must have the model's dtype, {dtype}, or uint8 there; got {array.dtype}")
        return array
    if array.dtype != np.uint8 or convert:
        array = array.astype(dtype, copy=False)
    return np.ascontiguousarray(array)


def _from_objects(x: Any, array: np.ndarray) -> np.ndarray:
    """Return an array of objects as numbers, such as a DataFrame whose columns differ in type gives."""
    if hasattr(x, "toarray"):
        raise TypeError(f"x must be dense; got a {type(x).__name__}: x.toarray() is dense")
    try:
        return array.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise TypeError(f"x must be numeric, got an array of dtype object: {error}") from error


def _shape_text(shape: tuple) -> str:
    return f"({', '.join('n' if extent is None else str(extent) for extent in shape)})"


def as_sample_weight(
    sample_weight: Any, class_weight: dict[int, float] | None, y: np.ndarray, output_shape: tuple, dtype: np.dtype
) -> np.ndarray | None:
    """Return the product of sample weights and class weights, or None where there are neither.

    Raises
    ------
    ValueError, TypeError
        If there are not as many weights as samples, a weight is negative or not finite, or `class_weight` is not a dict of such
        weights by the numbers of classes that a model with outputs of this shape tells apart; if it tells them apart at each of
        several positions, samples have no class.
    """
    if sample_weight is None and class_weight is None:
        return None
    weight = np.ones(len(y), dtype) if sample_weight is None else np.array(on_host("sample_weight", sample_weight), dtype)
    if weight.shape != (len(y),):
        raise ValueError(f"sample_weight must have shape ({len(y)},), one weight per sample; got {weight.shape}")
    if not np.all(np.isfinite(weight)) or np.any(weight < 0):
        raise ValueError("sample_weight must be finite and not negative")
    if class_weight is not None:
        if len(output_shape) != 2:
            raise ValueError(
                f"class_weight needs a class for each sample, and the model's output has shape {_shape_text(output_shape)}: "
                "give sample_weight"
            )
        outputs = output_shape[1]
        classes = y.reshape(len(y), -1)
        if classes.shape[1] > 1:
            labels = np.argmax(classes, axis=1)
        else:  # of a single output 0, or -1, and 1
            labels = classes[:, 0].astype(np.int64) if outputs > 1 else classes[:, 0] > 0.5
        for label, factor in _checked_class_weight(class_weight, outputs).items():
            weight[labels == max(label, 0)] *= factor
    return weight


def _checked_class_weight(class_weight: Any, outputs: int) -> dict[int, float]:
    wanted = "class_weight must be a dict from the number of a class to its weight, such as {0: 1.0, 1: 2.5}"
    if not isinstance(class_weight, Mapping):
        balanced = "; balanced ones are len(y) / (classes * np.bincount(y))" * isinstance(class_weight, str)
        raise TypeError(f"{wanted}; got {class_weight!r:.60}{balanced}")
    checked = {}
    for label, factor in class_weight.items():
        if not isinstance(label, numbers.Real) or label not in (range(outputs) if outputs > 1 else (-1, 0, 1)):
            classes = f"0 to {outputs - 1}" if outputs > 1 else "0 and 1 (or -1 and 1)"
            raise ValueError(f"{wanted}; got the class {label!r:.60}, and the model's classes are {classes}")
        factor = number(f"class_weight[{label}]", factor, low=0)
        if not math.isfinite(factor):
            raise ValueError(f"class_weight[{label}] must be finite; got {factor}")
        checked[int(float(label))] = factor
    return checked


def split_validation(x: np.ndarray, y: np.ndarray, weight: np.ndarray | None, share: float) -> tuple[tuple, tuple]:
    """Split the last `share` of the samples off, for validation; what is trained on is rounded down, as in Keras.

    Raises
    ------
    ValueError
        If `share` is not in (0, 1) or leaves no samples to train on.
    """
    if not 0 < share < 1:
        raise ValueError(f"validation_split must be in [0, 1), got {share}")
    first = int(len(x) * (1 - share))
    if first == 0:
        raise ValueError(f"validation_split={share} of {len(x)} samples leaves nothing to train on")
    parts = [(x[part], y[part], None if weight is None else weight[part]) for part in (slice(first), slice(first, None))]
    return parts[0], parts[1]
