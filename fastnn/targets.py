"""Targets: from what people have (labels, columns, lists) to what losses and metrics take, or an error that says why not.

Keras's rules for shapes: a last axis of extent 1 may be missing or too many. An array that is already right passes through as
it is; a copy is announced to a recording, since replaying a step would not make it anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .autodiff import Tensor
from .kernels import table
from .kernels.functions import checks

Shape = Sequence[int | None]


def unwrapped(value: Any) -> Any:
    """Return the array of a tensor, anything else as it is."""
    return value.data if isinstance(value, Tensor) else value


def with_fitting_rank(array: np.ndarray, shape: Shape) -> np.ndarray:
    """Return targets with the last axis of extent 1 added or taken away that `shape` has or has not; else as they are."""
    if array.ndim == len(shape) - 1 and shape[-1] == 1:
        return array.reshape(*array.shape, 1)
    if array.ndim == len(shape) + 1 and array.shape[-1] == 1:
        return array.reshape(array.shape[:-1])
    return array


def shaped(y_true: Any, shape: Shape, dtype: Any) -> np.ndarray:
    """Return targets as floats, with the last axis of extent 1 added or taken away that would make them fit `shape`."""
    return _announced(y_true, with_fitting_rank(_floats(y_true, dtype), shape))


def like(y_true: Any, shape: Shape, dtype: Any) -> np.ndarray:
    """Return targets as finite floats in the shape of the predictions, `shape` (None for the number of samples: any).

    Raises
    ------
    TypeError, ValueError
        If they are not numbers, have another shape, or are NaN or infinite.
    """
    array = with_fitting_rank(_floats(y_true, dtype), shape)
    if array.ndim != len(shape) or any(n is not None and n != got for n, got in zip(shape, array.shape, strict=True)):
        hint = ""
        if array.ndim == len(shape) - 1:
            hint = "; class labels need one-hot encoding here, or the loss 'sparse_categorical_crossentropy'"
        raise ValueError(f"y_true must have the shape of y_pred, {_text(shape)}; got {np.shape(unwrapped(y_true))}{hint}")
    if not np.isfinite(array).all():
        raise ValueError("y_true must be finite; got NaN or infinity")
    return _announced(y_true, array)


def labels(y_true: Any, shape: Shape) -> np.ndarray:
    """Return class labels as int32, in the shape of the predictions, `shape`, without its last axis, the classes.

    Raises
    ------
    TypeError, ValueError
        If they are not whole numbers from 0 to the number of classes - 1, or have another shape.
    """
    source = unwrapped(y_true)
    given = np.shape(source)
    rows, classes = tuple(shape[:-1]), shape[-1]
    if given[1:] == tuple(shape[1:]) and len(given) == len(shape) and classes != 1:
        raise ValueError(
            f"y_true must be class labels of shape {_text(rows)}; got shape {given}: for one-hot targets use the loss or "
            "metric without 'sparse' ('categorical_crossentropy', 'categorical_accuracy')"
        )
    if len(given) == len(shape) and given[-1] == 1:
        source = np.reshape(source, given[:-1])
    elif len(given) != len(rows):
        hint = "; a layer Flatten or GlobalAveragePooling2D is missing before the outputs?" * (len(given) < len(rows))
        raise ValueError(
            f"y_true must be class labels of shape {_text(rows)} for predictions {_text(shape)}; got shape {given}{hint}"
        )
    if any(n is not None and n != got for n, got in zip(rows, np.shape(source), strict=True)):
        raise ValueError(f"y_true must be class labels of shape {_text(rows)} for predictions {_text(shape)}; got shape {given}")
    array = checks.integers("y_true", _whole(_numbers(source)))
    if classes is not None:
        checks.check_below("y_true", array, classes, "classes")
    return _announced(y_true, array)


def unit(y_true: Any, shape: Shape, dtype: Any) -> np.ndarray:
    """Return targets of two classes: as `like`, and in [0, 1]."""
    array = like(y_true, shape, dtype)
    if array.size and not (array.min() >= 0 and array.max() <= 1):
        raise ValueError(
            f"y_true must be in [0, 1] for binary crossentropy and accuracy; got values from {array.min()} to {array.max()}: "
            "for regression there are 'mse' and 'mae'"
        )
    return array


def signs(y_true: Any, shape: Shape, dtype: Any) -> np.ndarray:
    """Return targets of margin losses: as `like`, and -1 or 1; where all are 0 or 1, 0 stands for -1, as in Keras."""
    array = like(y_true, shape, dtype)
    if (np.abs(array) == 1).all():
        return array
    if not ((array == 0) | (array == 1)).all():
        raise ValueError(f"y_true must be -1 or 1 (or 0 or 1); got {_other_values(array)}")
    return _announced(y_true, 2 * array - 1)


def _floats(y_true: Any, dtype: Any) -> np.ndarray:
    return checks.real("y_true", _numbers(unwrapped(y_true)), np.dtype(dtype))


def _numbers(values: Any) -> Any:
    """Return the values, objects that are numbers as floats, unless they are names."""
    if getattr(values, "dtype", None) is not None and not isinstance(values, np.ndarray) and hasattr(values, "__array__"):
        values = np.asarray(values)  # a column of a table
    some = values.flat if isinstance(values, np.ndarray) else values
    if isinstance(some, (np.flatiter, list, tuple)) and len(some) and isinstance(some[0], str):
        name = str(some[0])
        raise TypeError(f"y_true must be numbers; got names such as {name!r:.60}: classes, y = np.unique(y, return_inverse=True)")
    if isinstance(values, np.ndarray) and values.dtype == object:
        if any(value is None for value in values.flat):
            raise TypeError("y_true must be numbers; got None among them")
        try:
            return values.astype(np.float64)
        except (TypeError, ValueError) as error:
            raise TypeError(f"y_true must be numbers; got an array of dtype object: {error}") from error
    return values


def _whole(values: Any) -> Any:
    """Return whole numbers of a float dtype as integers."""
    array = np.asarray(values)
    if array.dtype.kind != "f":
        return values
    if not np.isfinite(array).all() or (array != np.rint(array)).any():
        bad = array[~np.isfinite(array) | (array != np.rint(array))]
        raise ValueError(f"y_true must be class labels, whole numbers; got {bad[0]} among them")
    return array.astype(np.int64)


def _other_values(array: np.ndarray) -> str:
    return f"{array[~np.isin(array, (-1, 0, 1))][0]}" if not np.isin(array, (-1, 0, 1)).all() else "-1 and 0 together"


def _announced(y_true: Any, array: np.ndarray) -> np.ndarray:
    source = unwrapped(y_true)
    if array.size and not (isinstance(source, np.ndarray) and np.may_share_memory(source, array)):
        table.python_step("conversion of targets")
    return array


def _text(shape: Shape) -> str:
    return f"({', '.join('n' if n is None else str(n) for n in shape)}{',' if len(shape) == 1 else ''})"
