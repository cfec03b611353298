"""What NumPy, in which the courses compute, would have made of an expression: its dtype, its bias, its update in place.

The kernels know float32 and float64. Integers are computed in float64 and float16 in float32, and the result gets NumPy's dtype.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..kernels import moving_average
from ..kernels.functions.checks import F32, F64, real
from ..kernels.table import attempt


def promoted(*, floating: bool = False, **values: Any) -> tuple[list[np.ndarray], np.dtype]:
    """Return arrays that kernels take, and the dtype that NumPy's arithmetic on `values` would give.

    Parameters
    ----------
    floating : bool
        Whether the arithmetic makes fractions of integers, as a mean or an exponential does.
    **values : array_like
        The arguments by name.

    Returns
    -------
    arrays : list of ndarray
        All float32, if that holds what NumPy would compute in, else all float64.
    dtype : dtype
        For ``result.astype(dtype, copy=False)``.

    Raises
    ------
    TypeError, ValueError
        If an argument is no array of real numbers.
    """
    if alike(*values.values(), shapes=False):
        given = list(values.values())
        return given, given[0].dtype
    arrays = {name: as_array(name, value) for name, value in values.items()}
    dtype = np.result_type(*arrays.values())
    if floating and dtype.kind != "f":
        dtype = F64
    work = F32 if dtype.kind == "f" and dtype.itemsize <= 4 else F64
    return [real(name, array, work) for name, array in arrays.items()], dtype


def alike(first: Any, *others: Any, shapes: bool = True) -> bool:
    """Say whether all are NumPy arrays that a kernel can take, and update, together: one float type, C-contiguous, writable.

    With `shapes` they must have one shape, too.
    """
    if type(first) is not np.ndarray or not first.flags.carray:
        return False
    dtype, shape = first.dtype, first.shape
    if dtype is not F64 and dtype is not F32:
        return False
    for other in others:
        if type(other) is not np.ndarray or other.dtype is not dtype or not other.flags.carray:
            return False
        if shapes and other.shape != shape:
            return False
    return True


def dense_gradients(dout: Any, x: Any, w: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Return the gradients of ``x @ w + b`` by x, w and b; None if the arrays have to be converted first, or something is wrong."""
    by_input, by_weight = attempt("dense_backward_input", (dout, w)), attempt("dense_backward_weight", (x, dout))
    if by_input is None or by_weight is None or by_weight[0].shape != w.shape:
        return None
    return *by_input, *by_weight


def as_array(name: str, value: Any) -> np.ndarray:
    """Return `value` as an array, the same object if it is one; raise an error that names it if it is not one of real numbers."""
    if value is None:
        raise TypeError(f"{name} must be an array of numbers; got None, as what is left out, or not computed yet, is")
    try:
        array = np.asarray(value)
    except ValueError as error:  # rows of different lengths
        raise ValueError(f"{name} must be an array of numbers: {error}") from None
    if array.dtype.kind not in "fiub":
        got = type(value).__name__ if array.dtype == object and array.ndim == 0 else f"dtype {array.dtype}"
        raise TypeError(f"{name} must be an array of real numbers; got {got}")
    return array


def require(condition: bool, formula: str, **given: Any) -> None:
    """Raise ValueError, with the formula and the shapes (or numbers) that were given, unless `condition` holds."""
    if not condition:
        raise ValueError(f"{formula}; got {', '.join(f'{name} {value}' for name, value in given.items())}")


def entries(name: str, settings: Any, *keys: str) -> list[Any]:
    """Return entries of a dict of settings.

    Raises
    ------
    TypeError, KeyError
        If it is no dict, or an entry is missing.
    """
    wanted = f"{name} must be a dict with {', '.join(map(repr, keys))}"
    if not isinstance(settings, Mapping):
        raise TypeError(f"{wanted}; got {type(settings).__name__}")
    if not settings.keys() >= set(keys):
        raise KeyError(f"{wanted}; got {dict(settings)!r:.120}")
    return [settings[key] for key in keys]


def unpacked(cache: Any, forward: str, contents: str) -> Sequence[Any]:
    """Return a cache; raise ValueError unless it has the contents, such as "x, w, b", that the function `forward` gives it."""
    if not isinstance(cache, (tuple, list)) or len(cache) != contents.count(",") + 1:
        got = f"{len(cache)} entries" if isinstance(cache, (tuple, list)) else type(cache).__name__
        raise ValueError(f"the cache must be ({contents}), the second result of {forward}; got {got}")
    return cache


def bias(name: str, b: np.ndarray, size: int, formula: str, **shapes: Any) -> np.ndarray:
    """Return a bias as (size,); raise ValueError with the formula and the shapes unless NumPy would add it to each row."""
    if b.shape == (size,):
        return b
    require(b.size == 1 or (b.size == size == b.shape[-1]), formula, **shapes, **{name: b.shape})
    return np.broadcast_to(b.reshape(-1), (size,))


def averaged(average: Any, value: Any, momentum: float) -> np.ndarray:
    """Return ``momentum * average + (1 - momentum) * value``, a new array."""
    (average, value), dtype = promoted(floating=True, average=average, value=value)
    average = average.copy()
    moving_average(value, average, momentum)
    return average.astype(dtype, copy=False)


@contextmanager
def in_place(**arrays: Any) -> Iterator[list[np.ndarray]]:
    """Give arrays that a kernel can update: these themselves, or where they lie otherwise in memory, copies that are written back.

    Raises
    ------
    TypeError, ValueError
        If an argument is not an array of floating-point numbers, or read-only.
    """
    for name, array in arrays.items():
        if not isinstance(array, np.ndarray) or array.dtype.kind != "f":
            what = f"dtype {array.dtype}" if isinstance(array, np.ndarray) else type(array).__name__
            raise TypeError(f"{name} is updated in place and must be an array of floats, as array.astype(float) is; got {what}")
        if not array.flags.writeable:
            raise ValueError(f"{name} is updated in place, and this array is read-only; give a copy of it, array.copy()")
    dtype = F32 if max(array.itemsize for array in arrays.values()) <= 4 else F64
    work = [a if a.dtype == dtype and a.flags.carray else np.array(a, dtype=dtype, order="C") for a in arrays.values()]
    yield work
    for array, computed in zip(arrays.values(), work, strict=True):
        if computed is not array:
            array[...] = computed
