"""At the door of every public function: from what the caller gave to arrays that fit the op's spec, or an error that says why not.

Two rules hold everywhere. Numbers of any kind are taken (lists, integers, float16) and become float32, or float64 if one of the
arrays of the call is float64. An array that is already right (dtype, C-contiguous, aligned) passes through as the same object.
"""

from __future__ import annotations

import functools
import numbers
import operator
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .. import spec
from ..custom.record import Record
from ..interop import is_on_gpu, on_gpu
from ..table import python_step, skips_kernels

F32, F64, I32, U64 = np.dtype(np.float32), np.dtype(np.float64), np.dtype(np.int32), np.dtype(np.uint64)
#: kind of an array of the spec, other than "real" -> dtype
DTYPES = {kind: np.dtype(kind) for kind in spec.op.KINDS if kind != "real"}

#: the inputs of an op, each with its axis names in the caller's order (None: any shape)
Signature = tuple[tuple[spec.Array, tuple[str, ...] | None], ...]

DATA_FORMATS = ("channels_last", "channels_first")
#: the inputs of functions that people call with other arrays than the op has: matmul is dense_forward under other names, and im2col
#: puts the channels of an image in planes, or all in one
INPUTS = {
    "matmul": (spec.Array("a", "n k"), spec.Array("b", "k m"), spec.Array("bias", "m", optional=True)),
    "im2col": (spec.Array("x", "n ih iw c"),),
}
#: axes of an array of the spec -> axes of the array as the caller has it in channels_first
CHANNELS_FIRST = {
    "n ih iw c": "n c ih iw",
    "n oh ow c": "n c oh ow",
    "n oh ow co": "n co oh ow",
    "kh kw cg co": "co cg kh kw",
}


def inputs(
    op_name: str, *values: Any, known: Mapping[str, int] | None = None, data_format: str = "channels_last"
) -> tuple[list, dict]:
    """Convert and check the array inputs of an op.

    Parameters
    ----------
    op_name : str
        The op; its spec says which axes and dtypes the inputs have.
    *values : array_like
        The inputs in the spec's order; None where an optional one is left out.
    known : dict, optional
        Extents that are known before, by axis name.
    data_format : {"channels_last", "channels_first"}
        Order of the axes of images and filters in `values`.

    Returns
    -------
    arrays : list of ndarray or None
        The inputs, in the order of the axes in which they came.
    extents : dict
        Axis name -> extent; ``"*"`` -> shape for arrays of any shape.

    Raises
    ------
    TypeError, ValueError
        If an input is no array of numbers, or its rank or an extent does not fit. Only the first axis of the first input, the
        batch, may be empty.
    """
    signature, fixed = _signature(op_name, data_format)
    arrays = _converted(signature, values)
    extents = {**fixed, **known} if known else dict(fixed)
    for (argument, axes), array in zip(signature, arrays, strict=True):
        if array is None:
            if not argument.optional:
                raise TypeError(f"{argument.name} must be an array; got None")
        elif axes is None:
            if extents.setdefault("*", array.shape) != array.shape:
                raise ValueError(f"{argument.name} must have shape {extents['*']}; got {array.shape}")
        else:
            shape = array.shape
            if len(shape) != len(axes):
                raise _shape_error(argument.name, axes, extents, shape)
            for axis, extent in zip(axes, shape, strict=True):
                if extents.setdefault(axis, extent) != extent:
                    raise _shape_error(argument.name, axes, extents, shape)
    if 0 in extents.values():
        _check_not_empty(signature, arrays)
    return arrays, extents


@functools.cache
def _signature(op_name: str, data_format: str) -> tuple[Signature, dict[str, int]]:
    """Return each input of an op with its axis names in the caller's order (None: any shape), and the extents that are fixed."""
    arrays = INPUTS[op_name] if op_name in INPUTS else spec.OPS[op_name].inputs
    swap = CHANNELS_FIRST if data_format == "channels_first" else {}
    axes = [None if a.axes == "*" else tuple(swap.get(a.axes, a.axes).split()) for a in arrays]
    return tuple(zip(arrays, axes, strict=True)), {axis: int(axis) for names in axes for axis in names or () if axis.isdigit()}


def _shape_error(name: str, axes: tuple[str, ...], extents: Mapping[str, int], shape: tuple[int, ...]) -> ValueError:
    wanted = ", ".join(f"{axis}={extents[axis]}" if axis in extents and not axis.isdigit() else axis for axis in axes)
    return ValueError(f"{name} must have shape ({wanted}); got {shape}")


def _check_not_empty(signature: Signature, arrays: Sequence[np.ndarray | None]) -> None:
    batch = signature[0][1][0] if signature[0][1] else None
    for (argument, axes), array in zip(signature, arrays, strict=True):
        if axes is None or array is None:
            continue
        for axis, extent in zip(axes, array.shape, strict=True):
            if extent == 0 and axis != batch:
                raise ValueError(f"{argument.name} must have at least one element along axis {axis}; got shape {array.shape}")


def _converted(signature: Signature, values: Sequence[Any]) -> list:
    dtype = None
    for (argument, _), value in zip(signature, values, strict=True):
        if value is None:
            continue
        if type(value) is not np.ndarray or not value.flags.carray:
            break
        given = value.dtype
        if argument.kind != "real":
            if given is not DTYPES[argument.kind]:
                break
        elif given is not dtype:
            if dtype is not None or (given is not F32 and given is not F64):
                break
            dtype = given
    else:
        return list(values)  # all as they should be
    arrays = [None if v is None else _number_array(a.name, v) for (a, _), v in zip(signature, values, strict=True)]
    wide = any(a.kind == "real" and _is_float64(v, array) for (a, _), v, array in zip(signature, values, arrays, strict=True))
    return [_as_kind(a, array, F64 if wide else F32) for (a, _), array in zip(signature, arrays, strict=True)]


def _as_kind(argument: spec.Array, array: np.ndarray | None, real: np.dtype) -> np.ndarray | None:
    if array is None:
        return None
    if argument.kind == "int32":
        return integers(argument.name, array)
    return plain_array(array, real if argument.kind == "real" else DTYPES[argument.kind])


def _number_array(name: str, value: Any) -> np.ndarray:
    """Return `value` as an array of numbers of whatever dtype and strides."""
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(f"{name} must be an array without a mask: masked elements would count like all others")
    if is_on_gpu(value):
        array = on_gpu(name, value)
    else:
        try:
            array = np.asarray(value)
        except (TypeError, ValueError) as error:
            kind = TypeError if isinstance(error, TypeError) else ValueError  # their subclasses take other arguments
            raise kind(f"{name} must be an array of real numbers; got {type(value).__name__}: {error}") from error
    if array.dtype.kind not in "fiub" or array.dtype.itemsize > 8:
        got = f"dtype {array.dtype}" if hasattr(value, "dtype") else f"{value!r:.60}"
        raise TypeError(f"{name} must be an array of real numbers (at most 64 bits each); got {got}")
    return array


def _is_float64(value: Any, array: np.ndarray | None) -> bool:
    # a list of Python floats, a float64 array for NumPy, has no dtype of its own and does not make a call a float64 one
    return array is not None and array.dtype.newbyteorder("=") == F64 and hasattr(value, "dtype")


def plain_array(array: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Return an array of numbers as `dtype`, C-contiguous and aligned; the same object if it is that already."""
    if not isinstance(array, np.ndarray):
        if array.dtype != dtype:
            raise TypeError(f"arrays on the GPU are not converted: expected one of dtype {dtype}; got {array.dtype}")
        return array
    if array.dtype == dtype:
        plain = np.require(array, dtype, ["C", "A"])
    elif array.dtype.kind == "f":
        with np.errstate(over="ignore"):  # a float64 beyond float32 becomes inf, as in every float32 computation
            plain = array.astype(dtype, order="C", subok=False)
    else:
        plain = array.astype(dtype, order="C", subok=False)
    if plain is not array and not np.may_share_memory(plain, array):
        python_step(_conversion(array.dtype, dtype))  # a replayed step would see the copy of the first time
    return plain


@functools.cache  # NumPy takes longer to print two dtypes than to convert an array
def _conversion(given: np.dtype, dtype: np.dtype) -> str:
    return f"conversion of {given} to {dtype}"


def real(name: str, value: Any, dtype: np.dtype | None = None) -> np.ndarray:
    """Return one array argument as float32 or float64 (`dtype` chooses), C-contiguous; the same object if it is that already."""
    if type(value) is np.ndarray and value.flags.carray:
        given = value.dtype
        if given is dtype or (dtype is None and (given is F32 or given is F64)):
            return value
    array = _number_array(name, value)
    return plain_array(array, dtype or (F64 if _is_float64(value, array) else F32))


def integers(name: str, value: Any) -> np.ndarray:
    """Return one array argument of integers as int32, C-contiguous; the same object if it is that already.

    Raises
    ------
    TypeError, ValueError
        If it is not of an integer dtype; ValueError where there are NaNs in it, or numbers beyond int32.
    """
    if type(value) is np.ndarray and value.dtype is I32 and value.flags.carray:
        return value
    array = np.asarray(_number_array(name, value))  # to check them, integers on a GPU are copied to the host
    if array.dtype.kind == "f":
        if array.size == 0 and not hasattr(value, "dtype"):
            return plain_array(array, I32)  # np.asarray([]) is float64
        if np.isnan(array).any():
            raise ValueError(f"{name} must be integers; got NaN among them")
        raise TypeError(f"{name} must be integers; got dtype {array.dtype}")
    if array.size and array.dtype.itemsize >= 4 and not (-(2**31) <= array.min() and array.max() < 2**31):
        raise ValueError(f"{name} must be integers that fit int32; got values from {array.min()} to {array.max()}")
    return plain_array(array, I32)


def check_below(name: str, array: np.ndarray, stop: int, what: str) -> None:
    """Raise ValueError unless all elements of an int32 array are in [0, stop); `what` says what `stop` counts."""
    if skips_kernels():
        return  # no values yet
    if array.size and array.view(np.uint32).max() >= stop:  # as unsigned, a negative number is too large as well
        raise ValueError(f"{name} must be in [0, {stop}) for {stop} {what}; got values from {array.min()} to {array.max()}")


def in_place(name: str, array: Any, dtype: np.dtype | None = None, shape: tuple[int, ...] | None = None) -> np.ndarray:
    """Return `array` itself, once it is sure that a kernel can write into it; nothing is ever copied here.

    Raises
    ------
    TypeError, ValueError
        If it is not a writable, C-contiguous NumPy array of `dtype` (of float32 or float64 by default) and `shape`.
    """
    if not isinstance(array, np.ndarray):
        raise TypeError(f"{name} is updated in place and must be a NumPy array; got {type(array).__name__}")
    if array.dtype != dtype if dtype is not None else array.dtype not in (F32, F64):
        raise TypeError(f"{name} is updated in place and must have dtype {dtype or 'float32 or float64'}; got {array.dtype}")
    if not array.flags.carray:
        what = "read-only" if array.flags.c_contiguous and array.flags.aligned else "not C-contiguous and aligned"
        raise ValueError(f"{name} is updated in place and must be a writable C-contiguous array; this one is {what}")
    if shape is not None and array.shape != shape:
        raise ValueError(f"{name} must have shape {shape}; got {array.shape}")
    return array


def own_function(function: Any, kind: str) -> Record:
    """Return the record of a function of the user's, once it is sure that it is one of this kind: kernels call what it points to.

    Raises
    ------
    TypeError
        If it is something else.
    """
    if not isinstance(function, Record) or function.source.kind != kind:
        got = f"that of {function.source.what}" if isinstance(function, Record) else f"{function!r:.60}"
        raise TypeError(f"function must be the attribute `record` of what fastnn.{kind} made; got {got}")
    return function


def one_float64(name: str, value: Any) -> np.ndarray:
    """Return a number as a float64 array of one element; such an array passes through as the same object."""
    if type(value) is np.ndarray:
        if value.dtype != F64 or value.shape != (1,) or not value.flags.aligned:
            raise ValueError(
                f"{name} must be a number or a float64 array of shape (1,); got dtype {value.dtype}, shape {value.shape}"
            )
        return value
    python_step(f"{name} given as a number")  # a replayed step would see the number of the first time
    return np.array([number(name, value)], dtype=F64)


def number(name: str, value: Any, low: float | None = None, below: float | None = None) -> float:
    """Return a scalar parameter as a float.

    Raises
    ------
    TypeError
        If it is no real number.
    ValueError
        If it is NaN, less than `low`, or not less than `below`.
    """
    if type(value) is not float and not isinstance(value, numbers.Real):  # asking an abstract class takes its time
        raise TypeError(f"{name} must be a number; got {value!r:.60}")
    result = float(value)
    if result != result or (low is not None and result < low) or (below is not None and result >= below):
        bounds = [f"at least {low}"] * (low is not None) + [f"less than {below}"] * (below is not None)
        raise ValueError(f"{name} must be {' and '.join(bounds) or 'a number'}; got {value!r}")
    return result


def integer(name: str, value: Any, low: int) -> int:
    """Return an integer parameter that is at least `low` and fits 31 bits."""
    try:
        result = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an integer; got {value!r:.60}") from None
    if not low <= result < 2**31:
        raise ValueError(f"{name} must be an integer of at least {low} (and below 2**31); got {value!r:.60}")
    return result


def pair(name: str, value: Any, low: int = 1) -> tuple[int, int]:
    """Return ``(rows, columns)`` from an integer, which stands for both, or from two integers."""
    if type(value) is int:
        if low <= value < 2**31:
            return value, value
    elif isinstance(value, (tuple, list)) or (isinstance(value, np.ndarray) and value.ndim == 1):
        if len(value) != 2:
            raise ValueError(f"{name} must be an integer or two integers (rows, columns); got {value!r:.60}")
        return integer(name, value[0], low), integer(name, value[1], low)
    one = integer(name, value, low)
    return one, one


def shape4(name: str, shape: Any, data_format: str) -> dict[str, int]:
    """Return the extents n, ih, iw, c of an image batch's shape; all but n are at least 1."""
    try:
        extents = tuple(shape)
    except TypeError:
        raise TypeError(f"{name} must be a shape of 4 integers; got {shape!r:.60}") from None
    axes = ("n", "c", "ih", "iw") if data_format == "channels_first" else ("n", "ih", "iw", "c")
    if len(extents) != 4:
        raise ValueError(f"{name} must be a shape of 4 integers ({', '.join(axes)}); got {shape!r:.60}")
    return {axis: integer(f"{name} ({axis})", extent, low=axis != "n") for axis, extent in zip(axes, extents, strict=True)}


def data_format_is_first(data_format: Any) -> bool:
    """Return whether `data_format` is "channels_first"; raise ValueError if it is neither that nor "channels_last"."""
    if data_format not in DATA_FORMATS:
        raise ValueError(f"data_format must be 'channels_last' or 'channels_first'; got {data_format!r:.60}")
    return data_format == "channels_first"
