"""What most public functions do: from arguments to new arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import spec
from ..table import attempt, call
from .checks import DTYPES, inputs


def compute(op_name: str, values: tuple, params: tuple = (), *, optional: bool = True, names: str | None = None) -> Any:
    """Return the outputs of an op, new arrays whose shapes follow from those of the inputs.

    Parameters
    ----------
    op_name : str
        The op.
    values : tuple of array_like
        The inputs in the spec's order; None where an optional one is left out.
    params : tuple
        The parameters, already checked.
    optional : bool, default True
        Whether to make the outputs that may be left out; if not, None stands for them.
    names : str, optional
        A key of `checks.INPUTS`: error messages name the inputs as that function does; by default as the op does.

    Returns
    -------
    tuple of ndarray or None
        The outputs in the spec's order.

    Raises
    ------
    TypeError, ValueError
        As `checks.inputs`.
    """
    outputs = attempt(op_name, values, params, None, optional)
    if outputs is not None:
        return outputs
    arrays, extents = inputs(names or op_name, *values)
    outputs = tuple(
        _new(array, extents, arrays[0]) if optional or not array.optional else None for array in spec.OPS[op_name].outputs
    )
    call(op_name, *arrays, *params, *outputs)
    return outputs


def _new(array: spec.Array, extents: dict, like: np.ndarray) -> np.ndarray:
    shape = extents["*"] if array.axes == "*" else [extents[axis] if axis in extents else int(axis) for axis in array.axis_names]
    return np.empty(shape, like.dtype if array.kind == "real" else DTYPES[array.kind], like=like)
