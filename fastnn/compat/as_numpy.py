"""What NumPy, in which the courses compute, would have made of an expression: its dtype, its bias, its update in place.

The kernels know float32 and float64. Integers are computed in float64 and float16 in float32, and the result gets NumPy's dtype.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..kernels import moving_average
from ..kernels.functions.checks import F32, F64, real


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
    arrays = {name: as_array(name, value) for name, value in values.items()}
    dtype = np.result_type(*arrays.values())
    if floating and dtype.kind != "f":
        dtype = F64
    work = F32 if dtype.kind == "f" and dtype.itemsize <= 4 else F64
    return [real(name, array, work) for name, array in arrays.items()], dtype


def as_array(name: str, value: Any) -> np.ndarray:
    """Return `value` as an array, the same object if it is one; raise an error that names it if it is not one of real numbers."""
    if value is None:
        raise TypeError(f"{name} must be an array of numbers; got None (a backward pass comes after the forward pass)")
    try:
        array = np.asarray(value)
    except ValueError as error:  # rows of different lengths
        raise ValueError(f"{name} must be an array of numbers: {error}") from None
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{name} must be an array of real numbers; got dtype {array.dtype}")
    return array


def require(condition: bool, formula: str, **given: Any) -> None:
    """Raise ValueError, with the formula and the shapes (or numbers) that were given, unless `condition` holds."""
    if not condition:
        raise ValueError(f"{formula}; got {', '.join(f'{name} {value}' for name, value in given.items())}")


def bias(name: str, b: np.ndarray, size: int) -> np.ndarray:
    """Return a bias as (size,): NumPy would add one of that shape, one row, or one number to each row of the result."""
    require(b.size in (1, size), f"{name} must hold one number for each of the {size} outputs", **{name: b.shape})
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
    TypeError
        If an argument is not an array of floating-point numbers.
    """
    for name, array in arrays.items():
        if not isinstance(array, np.ndarray) or array.dtype.kind != "f":
            what = f"dtype {array.dtype}" if isinstance(array, np.ndarray) else type(array).__name__
            raise TypeError(f"{name} is updated in place and must be an array of floats, as array.astype(float) is; got {what}")
    dtype = F32 if max(array.itemsize for array in arrays.values()) <= 4 else F64
    work = [a if a.dtype == dtype and a.flags.carray else np.array(a, dtype=dtype, order="C") for a in arrays.values()]
    yield work
    for array, computed in zip(arrays.values(), work, strict=True):
        if computed is not array:
            array[...] = computed
