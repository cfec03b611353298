"""Arrays in the card's memory that people hold: those of other libraries, and results that such libraries take, without a copy."""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np

from .device import card


class Memory:
    """A piece of the card's memory, given back when nobody refers to it."""

    def __init__(self, nbytes: int) -> None:
        self.address = card().allocate(max(nbytes, 1))
        weakref.finalize(self, card().free, self.address).atexit = False


class DeviceArray:
    """An array in the GPU's memory.

    ``cupy.asarray(a)`` and ``torch.from_dlpack(a)`` take it without a copy; ``numpy.asarray(a)`` copies it to the host.

    Parameters
    ----------
    shape : tuple of int
        C-contiguous.
    dtype : dtype
        As in NumPy.
    address : int
        Where it lies on the card.
    owner : object
        What keeps the memory.
    writeable : bool
        Whether kernels may write it.
    """

    #: of an array that is no view of a NumPy array
    base = None

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype, address: int, owner: Any, writeable: bool = True) -> None:
        self.shape, self.dtype, self.address, self.owner, self.writeable = shape, np.dtype(dtype), address, owner, writeable

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """The number of elements."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """The number of bytes."""
        return self.size * self.dtype.itemsize

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self) -> str:
        return f"<DeviceArray: shape={self.shape}, dtype={self.dtype}, on the GPU {card().name}>"

    def reshape(self, *shape: Any) -> DeviceArray:
        """Return the same elements in another shape, as NumPy does."""
        wanted = tuple(shape[0]) if len(shape) == 1 and not isinstance(shape[0], int) else shape
        if -1 in wanted:
            rest = -math.prod(wanted)
            wanted = tuple(self.size // max(rest, 1) if extent == -1 else extent for extent in wanted)
        if math.prod(wanted) != self.size:
            raise ValueError(f"an array of shape {self.shape} cannot have the shape {shape}")
        return self._part(wanted, 0)

    def __getitem__(self, rows: slice) -> DeviceArray:
        """Return consecutive samples."""
        if not isinstance(rows, slice) or rows.step not in (None, 1):
            raise TypeError(f"an array on the GPU is indexed by one slice, without a step; got {rows!r}: use cupy.asarray(a)")
        start, stop, _ = rows.indices(len(self))
        return self._part((max(stop - start, 0), *self.shape[1:]), start * math.prod(self.shape[1:]))

    def _part(self, shape: tuple[int, ...], start: int) -> DeviceArray:
        return DeviceArray(shape, self.dtype, self.address + start * self.dtype.itemsize, self, self.writeable)

    def copy(self) -> DeviceArray:
        """Return a copy on the GPU."""
        other = empty(self.shape, self.dtype)
        _copyto(other, self)
        return other

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if copy is False:
            raise ValueError("an array on the GPU cannot be seen by NumPy without a copy")
        host = np.empty(self.shape, self.dtype)
        _copyto(host, self)
        return host if dtype is None else host.astype(dtype, copy=False)

    def __array_function__(self, function: Callable, types: Any, args: tuple, kwargs: dict) -> Any:
        """Allocate and copy by NumPy's own functions: ``numpy.empty(shape, dtype, like=a)``, ``numpy.copyto(a, b)``."""
        if function not in _FUNCTIONS:
            return NotImplemented
        return _FUNCTIONS[function](*args, **kwargs)

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        card().synchronize()
        return {
            "shape": self.shape,
            "typestr": self.dtype.str,
            "data": (self.address if self.size else 0, not self.writeable),
            "strides": None,
            "stream": None,
            "version": 3,
        }

    def __dlpack__(self, **how: Any) -> Any:
        card().synchronize()
        return card().export(self).__dlpack__(**how)

    def __dlpack_device__(self) -> tuple[int, int]:
        return card().export(self).__dlpack_device__()


def adopt(name: str, value: Any) -> DeviceArray:
    """Return an array that another library has on this card, where it is; `name` is for messages."""
    if isinstance(value, DeviceArray):
        return value
    address, shape, strides, dtype, writeable = card().adopt(name, value)
    contiguous = tuple(math.prod(shape[axis + 1 :]) for axis in range(len(shape)))
    if strides is not None and any(n > 1 and s != c for n, s, c in zip(shape, strides, contiguous, strict=True)):
        raise ValueError(
            f"{name} is on the GPU and must be C-contiguous there, as cupy.ascontiguousarray(x) and x.contiguous() of PyTorch make "
            f"it; got shape {shape} with strides {strides}"
        )
    if address % dtype.itemsize:
        raise ValueError(f"{name} is on the GPU and must be aligned there to its {dtype.itemsize} bytes; got the address {address}")
    return DeviceArray(shape, dtype, address, value, writeable)


def empty(shape: Any, dtype: Any = float) -> DeviceArray:
    """Return a new array on the card, of any content."""
    shape, dtype = (shape,) if isinstance(shape, int) else tuple(shape), np.dtype(dtype)
    memory = Memory(math.prod(shape) * dtype.itemsize)
    return DeviceArray(shape, dtype, memory.address, memory)


def _copyto(to: Any, source: Any) -> None:
    if to.shape != source.shape or to.dtype != source.dtype:
        raise ValueError(
            f"only arrays of one shape and dtype are copied; got {source.shape}, {source.dtype} to {to.shape}, {to.dtype}"
        )
    if not source.nbytes:
        return
    card().make_current()
    if not isinstance(source, DeviceArray):
        source = np.ascontiguousarray(source)
        card().upload(to.address, source.ctypes.data, source.nbytes)
    elif isinstance(to, DeviceArray):
        card().copy(to.address, source.address, source.nbytes)
    else:
        card().download(to.ctypes.data, source.address, source.nbytes)
    card().synchronize()


#: NumPy's functions that arrays on the card have too
_FUNCTIONS: dict[Any, Callable] = {np.empty: empty, np.empty_like: lambda like: empty(like.shape, like.dtype), np.copyto: _copyto}
