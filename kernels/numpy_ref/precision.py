"""The one decision of the reference about precision: compute in float64, round once, on the way out."""

import functools

import numpy as np

from ..spec import OPS


def in_float64(function):
    """Make a function written for float64 arrays an op for any "real" dtype.

    The "real" arrays of the op of the same name are widened before the call and its outputs rounded back after it. As in a compiled
    kernel nothing warns: overflow gives inf and an undefined result NaN.
    """
    op = OPS[function.__name__]
    arguments = (*op.inputs, *op.params, *op.outputs)

    @functools.wraps(function)
    def call(*args):
        wide = [_widen(argument, value) for argument, value in zip(arguments, args, strict=True)]
        with np.errstate(all="ignore"):
            function(*wide)
            for value, result in list(zip(args, wide, strict=True))[-len(op.outputs) :]:
                if result is not value:
                    value[...] = result

    call.__doc__ = op.summary
    return call


def _widen(argument, value):
    if argument.kind != "real" or value is None or value.dtype == np.float64:
        return value
    if argument.role == "out":  # its content is not to be read
        return np.full(value.shape, np.nan, dtype=np.float64)
    return value.astype(np.float64)
