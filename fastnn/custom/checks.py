"""What is checked of a compiled function before it gets a name: it does what Python does, is finite, and has the right slope."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from functools import partial
from types import FunctionType
from typing import Any

import numpy as np

from ..kernels.custom.record import FLOATS, Record

#: where functions and slopes have to be finite: round numbers, where formulas break, and others
ORDINARY = np.concatenate([np.arange(-40, 41) / 4, np.linspace(-9.97, 9.98, 998)])
#: numbers farther out, up to where float32 ends, of one sign
FAR = np.geomspace(10, 1e38, 400)
#: steps of the differences
STEPS = (1e-4, 1e-5, 1e-6)
TOLERANCE = 1e-4


def _at(record: Record, x: Any, dtype: Any = np.float64) -> tuple[np.ndarray, np.ndarray]:
    """Return values and slopes at the numbers `x`."""
    y = np.array(x, dtype, ndmin=1)
    slope = np.empty_like(y)
    record.activate(y, slope)
    return y, slope


def _is_number(record: Record, dtype: np.dtype, x: Any) -> np.ndarray:
    return ~np.isnan(_at(record, x, dtype)[0])


def _has_slope(record: Record, dtype: np.dtype, x: Any) -> np.ndarray:
    return np.isfinite(_at(record, x, dtype)[1])


def check_values(record: Record, function: FunctionType, what: str) -> None:
    """Raise ValueError unless the function is finite at ordinary numbers and gives what Python does; warn of NaN farther out."""
    for dtype in reversed(FLOATS):
        x = ORDINARY.astype(dtype)
        y, _ = _at(record, x, dtype)
        if (bad := _nearest(x, ~np.isfinite(y))) is not None:
            raise ValueError(
                f"{what} must be finite for the numbers from -10 to 10 at least; it is {y[bad]} at x = {x[bad]:.6g} in {dtype}"
            )
        for sign in (-1, 1):
            if (ends := _ends(partial(_is_number, record, dtype), sign)) is not None:
                warnings.warn(
                    f"{what} is nan for x = {ends[1]:.4g} and beyond in {dtype}, where a part of its formula overflows: "
                    "take exponentials of negative numbers only, such as math.exp(-abs(x))",
                    stacklevel=5,
                )
    for x in ORDINARY[:81].tolist():
        y = _at(record, x)[0][0]
        try:
            expected = function(x)
        except Exception as error:
            raise ValueError(f"{what} is {y} at x = {x}, but Python raises {type(error).__name__}: {error}") from None
        if not math.isclose(y, expected, rel_tol=1e-6, abs_tol=1e-9):
            raise ValueError(f"{what} must depend on x alone; compiled it is {y} at x = {x}, but Python gives {expected}")


def check_slopes(record: Record, what: str, given: bool) -> None:
    """Raise ValueError unless the slopes are finite at ordinary numbers, and those of differences; `given` if by the user."""
    for dtype in reversed(FLOATS):
        x = ORDINARY.astype(dtype)
        _, slope = _at(record, x, dtype)
        if (bad := _nearest(x, ~np.isfinite(slope))) is not None:
            advice = "" if given else "; give one that is: @fastnn.activation(derivative=...)"
            raise ValueError(f"the derivative of {what} must be finite; it is {slope[bad]} at x = {x[bad]:.6g} in {dtype}{advice}")
    _, slope = _at(record, ORDINARY)
    wrong = np.full(ORDINARY.shape, np.inf)
    for step in STEPS:
        wrong = np.minimum(wrong, _excess(record, ORDINARY, slope, step))
    worst = int(np.argmax(wrong))
    if wrong[worst] > 0:
        x, h = ORDINARY[worst], STEPS[1]
        (above, below), _ = _at(record, [x + h, x - h])
        whose = "given" if given else "derived"
        raise ValueError(
            f"the derivative {whose} for {what} is wrong at x = {x:.6g}: it is {slope[worst]:.6g}, but central differences give "
            f"{(above - below) / (2 * h):.6g}"
        )


def _excess(record: Record, x: np.ndarray, slope: np.ndarray, step: float) -> np.ndarray:
    """Return how far slopes are outside of what differences on the left and on the right allow; 0 where they are inside.

    Where the function has a corner the two differ, and any slope between them is right.
    """
    h = step * np.maximum(1, np.abs(x))
    (y, _), (above, _), (below, _) = _at(record, x), _at(record, x + h), _at(record, x - h)
    right, left = (above - y) / (x + h - x), (y - below) / (x - (x - h))
    noise = 8 * np.finfo(np.float64).eps * np.maximum(np.abs(y), np.maximum(np.abs(above), np.abs(below))) / h
    allowed = TOLERANCE * (1 + np.abs(slope)) + noise
    return np.maximum(0, np.maximum(np.minimum(left, right) - slope, slope - np.maximum(left, right)) - allowed)


def set_edges(record: Record) -> None:
    """Find where the formula for the slope overflows, and let it stay from there on what it was."""
    for dtype in FLOATS:
        for sign, place in ((-1, 0), (1, 2)):
            if (ends := _ends(partial(_has_slope, record, dtype), sign)) is not None:
                record.edges(dtype)[place : place + 2] = ends[0], _at(record, ends[0], dtype)[1][0]


def _ends(good: Callable[[Any], np.ndarray], sign: int) -> tuple[float, float] | None:
    """Return where, far out, numbers stop being good: the last good one and the first bad one; None if all are good."""
    bad = ~good(sign * FAR)
    if not bad.any():
        return None
    i = int(np.argmax(bad))
    inside, outside = sign * FAR[i - 1], sign * FAR[i]  # FAR[0] is ordinary, and good
    for _ in range(60):
        middle = (inside + outside) / 2
        if good(middle)[0]:
            inside = middle
        else:
            outside = middle
    return inside, outside


def _nearest(x: np.ndarray, bad: np.ndarray) -> int | None:
    """Return the index of the bad number that is nearest to 0."""
    return int(np.argmin(np.where(bad, np.abs(x), np.inf))) if bad.any() else None
