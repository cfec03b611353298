"""What a kernel gets of a compiled function: the address of its record, an integer parameter of the call like any other.

A record and the code that it points to stay for the life of the process: an address in a recorded step never becomes invalid, and
no kernel needs a lock.
"""

from __future__ import annotations

import ctypes
import math
from typing import Any, NamedTuple

import numpy as np

#: the float types, in the order in which a record has them
FLOATS = (np.dtype(np.float32), np.dtype(np.float64))

#: all records by their address, and what they point to
_records: dict[int, Record] = {}
_kept: list[Any] = []


class Source(NamedTuple):
    """What a record was compiled from.

    Attributes
    ----------
    what : str
        What messages call it: "activation 'mish'".
    function, derivative : function
        The user's; without a derivative it is computed along with the value.
    arguments : tuple of str
        Of an update rule: what it gets, see `fastnn.kernels.custom.compile.step`.
    kind : {"activation", "loss", "optimizer_step"}
        What it is, by the name of the decorator: each kind is called with other arrays.
    """

    what: str
    function: Any
    derivative: Any = None
    arguments: tuple[str, ...] = ()
    kind: str = "activation"


class Record(ctypes.Structure):
    """The C functions that one function of the user's became; the struct `Custom` of kernels/cython_aot/custom.pxd.

    `value` computes results, `slope` results and derivatives, each for float32 and for float64:

    * of an activation ``value(n, y)`` and ``slope(n, y, slope, edges)``, `y` updated in place
    * of a loss ``value(n, pred, target, loss)`` and ``slope(n, pred, target, loss, slope)``, the slope by the prediction
    * of an update rule ``value(n, g, lr, step, params, w, s1, s2, s3)``, `w` and the slots that it has updated in place; `lr`,
      `step` and `params` are float64

    The edges are, on the left and then on the right, an x and the slope there, which is that of all x beyond: there the formula for
    the slope overflows.

    Parameters
    ----------
    source : Source
        What it is compiled from; a GPU's kernels are compiled from it too.
    """

    _fields_ = (
        ("value", ctypes.c_void_p * 2),
        ("slope", ctypes.c_void_p * 2),
        ("edges32", ctypes.c_float * 4),
        ("edges64", ctypes.c_double * 4),
    )

    def __init__(self, source: Source) -> None:
        super().__init__()
        self.source = source
        _records[self.address] = self
        for dtype in FLOATS:
            self.edges(dtype)[:] = -math.inf, 0, math.inf, 0

    @classmethod
    def at(cls, address: int) -> Record:
        """Return the record at an address."""
        return _records[address]

    @property
    def address(self) -> int:
        """What kernels take as `function`."""
        return ctypes.addressof(self)

    def set(self, dtype: np.dtype, value: Any, slope: Any = None) -> None:
        """Set the functions for a float type: objects of Numba that have an `address`, and are kept."""
        _kept.append((value, slope))
        which = FLOATS.index(dtype)
        self.value[which] = value.address
        if slope is not None:
            self.slope[which] = slope.address

    def edges(self, dtype: np.dtype) -> np.ndarray:
        """Return the edges for a float type, an array on the record's memory."""
        return np.ctypeslib.as_array(self.edges32 if dtype == FLOATS[0] else self.edges64)

    def activate(self, y: np.ndarray, slope: np.ndarray | None = None) -> None:
        """Replace `y` by the activation of it, and write the derivative to `slope`: C-contiguous arrays of one float type."""
        which = FLOATS.index(y.dtype)
        if slope is None:
            _call(self.value[which], y.size, y)
        else:
            _call(self.slope[which], y.size, y, slope, self.edges(y.dtype))

    def loss(self, pred: np.ndarray, target: np.ndarray, loss: np.ndarray, slope: np.ndarray | None = None) -> None:
        """Write each element's loss, and its derivative by the prediction to `slope`."""
        which = FLOATS.index(pred.dtype)
        if slope is None:
            _call(self.value[which], pred.size, pred, target, loss)
        else:
            _call(self.slope[which], pred.size, pred, target, loss, slope)

    def step(self, g: np.ndarray, lr: np.ndarray, step: np.ndarray, params: np.ndarray, w: np.ndarray, *slots: Any) -> None:
        """Update a parameter and its slots, of which there are three or None in their place."""
        _call(self.value[FLOATS.index(w.dtype)], w.size, g, lr, step, params, w, *slots)


def _call(address: int, n: int, *arrays: np.ndarray | None) -> None:
    kind = ctypes.CFUNCTYPE(None, ctypes.c_ssize_t, *(ctypes.c_void_p for _ in arrays))
    kind(address)(n, *(None if array is None else array.ctypes.data for array in arrays))
