"""Recorded calls replaced by others that give the same numbers for less work."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from .kernels.spec.activation import FUSED

Call = tuple[str, tuple]

#: derivatives that follow from an activation's output alone
_FROM_OUTPUT = {f"{name}_backward" for name in FUSED if name != "linear"}


def rewritten(calls: Sequence[Call]) -> list[Call]:
    """Return the calls with everything replaced that is known here."""
    return _relu_in_batchnorm(_derivatives_behind_pools(calls))


def _derivatives_behind_pools(calls: Sequence[Call]) -> list[Call]:
    """Take the derivative of an activation that feeds a max-pooling at the pooled elements only, before they are spread.

    Each window passes its gradient to one element, whose activation is what the pooling kept: in f'(y) * spread(dp), as it is
    recorded, all but one element of each window is zero, and spread(f'(pooled y) * dp) is the same. Only for windows that do not
    overlap: where they do, the products would be rounded before they are added and not after.
    """
    pools = {
        _place(argmax): (x, pooled)
        for name, args in calls
        if name == "maxpool2d_forward"
        for x, pool_h, pool_w, stride_h, stride_w, _, _, pooled, argmax in [args]
        if stride_h >= pool_h and stride_w >= pool_w
    }
    uses = _uses(calls)
    made = list(calls)
    for i, (name, args) in enumerate(calls[:-1]):
        if name != "maxpool2d_backward" or _place(args[1]) not in pools:
            continue
        dp, argmax, spread = args
        x, pooled = pools[_place(argmax)]
        next_name, (*inputs, dx) = calls[i + 1]
        follows = next_name in _FROM_OUTPUT and [_place(a) for a in inputs[:2]] == [_place(spread), _place(x)]
        if follows and uses[id(base_of(spread))] == 2:
            at_pooled = np.empty_like(dp)
            made[i] = (next_name, (dp, pooled, *inputs[2:], at_pooled))
            made[i + 1] = (name, (at_pooled, argmax, dx))
    return made


def _relu_in_batchnorm(calls: Sequence[Call]) -> list[Call]:
    """Let the gradient of a batch normalization take the derivative of relu before it, whose output it reads anyway."""
    uses = _uses(calls)
    made: list[Call] = []
    for name, args in calls:
        before, given = made[-1] if made else ("", ())
        if (before, name) == ("batchnorm_backward", "relu_backward"):
            (dy, y, dx), (*inputs, _, gradient, dgamma, dbeta) = args, given
            if [_place(dy), _place(y)] == [_place(gradient), _place(inputs[1])] and uses[id(base_of(gradient))] == 2:
                made[-1] = (before, (*inputs, 1, dx.reshape(gradient.shape), dgamma, dbeta))
                continue
        made.append((name, args))
    return made


def _uses(calls: Sequence[Call]) -> Counter[int]:
    """Return how often each array, or a view of it, is an argument."""
    return Counter(id(base_of(value)) for _, args in calls for value in args if isinstance(value, np.ndarray))


def _place(array: np.ndarray) -> tuple[int, int]:
    """Return where a contiguous array lies: views of the same elements have different ids."""
    return array.ctypes.data, array.nbytes


def base_of(array: np.ndarray) -> np.ndarray:
    """Return the array that owns the memory of a view."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array
