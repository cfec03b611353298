"""What is checked of a compiled function before it gets a name: it does what Python does, is finite, and has the right slope."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from types import FunctionType
from typing import Any

import numpy as np

from ..kernels.custom.record import FLOATS, Record

#: where functions and slopes have to be finite: round numbers, where formulas break, and others
ORDINARY = np.concatenate([np.arange(-40, 41) / 4, np.linspace(-9.97, 9.98, 998)])
#: numbers farther out, where a derivative that the user gives is compared with differences, too
BEYOND = np.concatenate([np.linspace(-100, -10.5, 180), np.linspace(10.5, 100, 180)])
#: numbers farther out, up to where float32 ends, of one sign
FAR = np.geomspace(10, 1e38, 400)
#: where losses are compared with differences: predictions between 0 and 1, and others
LOSS_PREDICTIONS = np.concatenate([np.arange(-3, 3.25, 0.25), np.linspace(0.013, 0.987, 40), np.linspace(-3.93, 3.94, 40)])
#: steps of the differences
STEPS = (1e-4, 1e-5, 1e-6)
TOLERANCE = 1e-4

#: from numbers to the values and the slopes of a function
Evaluate = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


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
    grid = ORDINARY[:81].tolist()
    in_python = [_in_python(function, x) for x in grid]
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
    for x, y, expected in zip(grid, _at(record, grid)[0], in_python, strict=True):
        _check_as_python(y, expected, what, f"x = {x}")


def check_slopes(record: Record, what: str, given: bool) -> None:
    """Raise ValueError unless the slopes are finite at ordinary numbers, and those of differences; `given` if by the user."""
    for dtype in reversed(FLOATS):
        x = ORDINARY.astype(dtype)
        _, slope = _at(record, x, dtype)
        if (bad := _nearest(x, ~np.isfinite(slope))) is not None:
            advice = "" if given else "; give one that is: @fastnn.activation(derivative=...)"
            raise ValueError(f"the derivative of {what} must be finite; it is {slope[bad]} at x = {x[bad]:.6g} in {dtype}{advice}")
    for x in (ORDINARY, BEYOND) if given else (ORDINARY,):
        _compare(partial(_at, record), {"x": x}, what, given)


def _compare(evaluate: Evaluate, places: Mapping[str, np.ndarray], what: str, given: bool) -> None:
    """Raise ValueError where slopes are not those of differences.

    Parameters
    ----------
    evaluate : callable
        From numbers to values and slopes.
    places : mapping
        Where to compare, as the message names it; the last are the numbers.
    what, given
        For the message.
    """
    x = [*places.values()][-1]
    wrong = np.min([_excess(evaluate, x, step) for step in STEPS], axis=0)
    worst = int(np.argmax(wrong))
    if wrong[worst] > 0:
        h = STEPS[1]
        difference = (evaluate(x + h)[0][worst] - evaluate(x - h)[0][worst]) / (2 * h)
        where = ", ".join(f"{name} = {numbers[worst]:.6g}" for name, numbers in places.items())
        raise ValueError(
            f"the derivative {'given' if given else 'derived'} for {what} is wrong at {where}: it is {evaluate(x)[1][worst]:.6g}, "
            f"but central differences give {difference:.6g}"
        )


def _excess(evaluate: Evaluate, x: np.ndarray, step: float) -> np.ndarray:
    """Return how far slopes are outside of what differences on the left and on the right allow; 0 where they are inside.

    Where the function has a corner the two differ, and any slope between them is right. Where something is not finite, it is 0 too.
    """
    h = step * np.clip(np.abs(x), 1, 10)
    (y, slope), (above, _), (below, _) = evaluate(x), evaluate(x + h), evaluate(x - h)
    with np.errstate(all="ignore"):
        right, left = (above - y) / (x + h - x), (y - below) / (x - (x - h))
        noise = 8 * np.finfo(np.float64).eps * np.maximum(np.abs(y), np.maximum(np.abs(above), np.abs(below))) / h
        allowed = TOLERANCE * (1 + np.abs(slope)) + noise
        excess = np.maximum(0, np.maximum(np.minimum(left, right) - slope, slope - np.maximum(left, right)) - allowed)
    return np.where(np.isfinite(excess), excess, 0)


def check_loss(record: Record, function: FunctionType, what: str, given: bool) -> None:
    """Raise ValueError unless a loss is finite where any is, does what Python does, and has the slope of differences.

    What a loss is defined for is its own affair (probabilities, signs): elsewhere it may be infinite or NaN.
    """
    target, pred = _pairs(LOSS_PREDICTIONS)
    inside = (pred > 0) & (pred < 1) & ((target == 0) | (target == 1))
    points = [(i, target[i].item(), pred[i].item()) for i in np.flatnonzero(inside).tolist()]
    in_python = [_in_python(function, *point) for _, *point in points]
    y, slope = _loss_at(record, target, pred)
    for values, name in ((y, what), (slope, f"the derivative of {what}")):
        bad = ~np.isfinite(values) & (inside if values is y else np.isfinite(y) & inside)
        if bad.any():
            i = int(np.argmax(bad))
            raise ValueError(
                f"{name} must be finite for targets 0 and 1 and predictions between them at least; it is {values[i]} at "
                f"y_true = {target[i]}, y_pred = {pred[i]:.6g}"
            )
    for (i, y_true, y_pred), expected in zip(points, in_python, strict=True):
        _check_as_python(y[i], expected, what, f"y_true = {y_true}, y_pred = {y_pred:.6g}")
    for predictions in (LOSS_PREDICTIONS, BEYOND) if given else (LOSS_PREDICTIONS,):
        target, pred = _pairs(predictions)
        _compare(partial(_loss_at, record, target), {"y_true": target, "y_pred": pred}, what, given)


def _pairs(predictions: np.ndarray) -> list[np.ndarray]:
    """Return targets and predictions, each target with each prediction."""
    return [grid.ravel() for grid in np.meshgrid([-1.0, 0.0, 0.25, 1.0, 2.0], predictions)]


def _loss_at(record: Record, target: np.ndarray, pred: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    y, slope = np.empty_like(pred), np.empty_like(pred)
    record.loss(pred, target, y, slope)
    return y, slope


def check_step(
    record: Record, function: FunctionType, arguments: list[str], slots: tuple[str, ...], defaults: dict[str, float], what: str
) -> None:
    """Raise ValueError unless some updates of an optimizer are finite and what Python makes them."""
    params = np.array([*defaults.values()] or [0.0], np.float64)
    hyper = {f"p{i}": value.item() for i, value in enumerate(params)}
    names = ["w", *("s1", "s2", "s3")[: len(slots)]]
    for gradients in ((0.3, -0.2, 0.0, 1.5, -4.0), (0.0, 0.3)):  # a relu that is off makes the first gradient 0
        state = {name: np.array([0.5 if name == "w" else 0.0]) for name in names}
        for count, gradient in enumerate(gradients, 1):
            given = {"g": gradient, "lr": 0.01, "step": float(count), **hyper, **{name: state[name].item() for name in names}}
            expected = _in_python(function, *(given[name] for name in arguments))
            slots_or_none = (state.get(name) for name in ("s1", "s2", "s3"))
            record.step(np.array([gradient]), np.array([0.01]), np.array([float(count)]), params, state["w"], *slots_or_none)
            where = f"update {count}, gradient {gradient}"
            for i, name in enumerate(names):
                if not np.isfinite(state[name][0]):
                    raise ValueError(f"{what} must give finite numbers; in {where} result {i + 1} is {state[name][0]}")
                one_of_several = slots and not isinstance(expected, Exception)
                _check_as_python(state[name][0], expected[i] if one_of_several else expected, what, where)


def _in_python(function: FunctionType, *arguments: float) -> Any:
    """Return what Python gives, or the exception that it raises.

    It is asked before the compiled function is called: if it never ends, Ctrl-C shows where, while compiled code cannot be stopped.
    """
    try:
        with np.errstate(all="ignore"):
            return function(*arguments)
    except Exception as error:
        return error


def _check_as_python(y: float, expected: Any, what: str, where: str) -> None:
    """Raise ValueError unless the compiled function gives what `_in_python` returned."""
    if isinstance(expected, Exception):
        raise ValueError(f"{what} is {y} at {where}, but Python raises {type(expected).__name__}: {expected}")
    if not math.isclose(y, expected, rel_tol=1e-6, abs_tol=1e-9):
        raise ValueError(f"{what} must depend on its arguments alone; compiled it is {y} at {where}, but Python gives {expected}")


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
