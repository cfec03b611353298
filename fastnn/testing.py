"""Checks for tests of one's own ops and layers: are the tape's gradients those of central differences?"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from .arguments import described
from .autodiff import GradientTape, Tensor, Variable
from .layers import Layer
from .layers.base import sample_shape

__all__ = [
    "GradientError",
    "check_layer",
    "gradcheck",
]

#: samples in the batch that `check_layer` makes
SAMPLES = 3
#: slopes on both sides of a point that differ by more than this share of the largest slope there are called a kink
KINK = 1e-3


class GradientError(AssertionError):
    """A gradient of the tape that central differences contradict; the attributes describe the worst element.

    Attributes
    ----------
    input : str
        The input that the gradient is by, as in "inputs[0]".
    index : tuple of int
        The element.
    analytic, numeric : float
        The gradient from the tape and from central differences.
    relative_error : float
        Their difference over the larger of the two.
    """

    def __init__(self, message: str, input: str, index: tuple[int, ...], analytic: float, numeric: float) -> None:
        super().__init__(message)
        self.input, self.index, self.analytic, self.numeric = input, index, analytic, numeric
        self.relative_error = _relative_error(analytic, numeric)


def gradcheck(f: Callable[..., Tensor], inputs: Any, eps: float = 1e-6, rtol: float = 1e-5, atol: float = 1e-7) -> bool:
    """Compare the tape's gradient of a function with central differences, in float64.

    Parameters
    ----------
    f : callable
        Function of as many tensors as there are inputs, made of `fastnn.ops`; returns a Tensor. One of more than one element is
        summed with weights between 1 and 2, random but the same in each run.
    inputs : array_like, Tensor or Variable; or a list or tuple of them
        Where to check; a list or tuple is always a list of inputs. Numbers are converted to float64. A variable must be of
        float64; it is shifted itself, so that `f` need not use its argument, and gets its values back.
    eps : float, default 1e-06
        Step of the differences, times the element's absolute value where that is above 1.
    rtol, atol : float, default 1e-05 and 1e-07
        An element is right if the gradients differ by no more than ``atol + rtol * abs(numeric)``.

    Returns
    -------
    bool
        True: a gradient that is wrong raises.

    Raises
    ------
    GradientError
        An AssertionError that says how many elements of which inputs are wrong, and shows the worst.
    TypeError, ValueError
        If the inputs are not numbers; if `f` is no function, does not return a Tensor of float64, returns something else the second
        time, or is not finite.

    Notes
    -----
    Where a function has a kink there is no derivative: relu at 0, abs at 0, max pooling at a tie. The tape takes one of the slopes
    beside it, central differences their mean. The error says so; check at another point.

    Examples
    --------
    >>> from fastnn import ops
    >>> from fastnn.testing import gradcheck
    >>> gradcheck(lambda x, w: ops.tanh(x @ w), [[[0.5, -1.0]], [[2.0], [1.0]]])
    True
    """
    if not callable(f):
        raise TypeError(f"f must be a function of tensors; got {type(f).__name__}")
    given = inputs if isinstance(inputs, (list, tuple)) else [inputs]
    if not given:
        raise ValueError("inputs must be an array, or a list of at least one; got an empty list")
    named = {f"inputs[{i}]": _as_input(f"inputs[{i}]", value) for i, value in enumerate(given)}
    _check_gradients("f", f, named, _Tolerance(eps, rtol, atol))
    return True


def check_layer(layer: Layer, input_shape: Sequence[int], eps: float = 1e-6, rtol: float = 1e-5, atol: float = 1e-7) -> bool:
    """Check a layer on random inputs: output shape, gradients, and configuration.

    What is checked is a copy of the layer in float64 that its class makes from its configuration; the layer itself stays as it is.
    The copy's weights are new, with random numbers added to what their initializers give. Gradients are compared for the input and
    for every trainable weight, in training and not; where training changes a state (moving averages, dropout's random numbers),
    each call starts from the same.

    Parameters
    ----------
    layer : Layer
        Built or not.
    input_shape : tuple of int
        Shape of one sample. Small: every element is shifted twice.
    eps, rtol, atol : float, default 1e-06, 1e-05 and 1e-07
        As for `gradcheck`.

    Returns
    -------
    bool
        True: what is wrong raises.

    Raises
    ------
    AssertionError
        If `compute_output_shape` says something else than `call` returns, or the configuration does not make the layer again; as
        `GradientError` if a gradient is wrong.
    TypeError, ValueError
        If the layer does not compute in float64 although its dtype is float64, or not the same thing twice.

    Examples
    --------
    >>> from fastnn import layers
    >>> from fastnn.testing import check_layer
    >>> check_layer(layers.Dense(3, activation="tanh"), (4,))
    True
    """
    if not isinstance(layer, Layer):
        raise TypeError(f"layer must be a fastnn.layers.Layer; got {described(layer)}")
    shape = sample_shape("input_shape", input_shape)
    if None in shape:
        raise ValueError(f"input_shape must be known in all axes; got {shape}")
    title = layer._described()
    double = _double_precision_copy(layer, title)
    generator = np.random.default_rng(0)
    x = Tensor(generator.normal(size=(SAMPLES, *shape)))  # type: ignore[arg-type]
    double(x)  # builds it
    named: dict[str, Tensor] = {"the input": x}
    for i, weight in enumerate(double.trainable_weights):
        name = f"{weight.name} (trainable_weights[{i}])"
        named[name] = _as_input(name, weight)
        weight.assign_add(generator.uniform(0.1, 0.5, weight.shape))

    for training in (False, True):

        def call(x: Tensor, *weights: Tensor, training: bool = training) -> Tensor:
            # a copy of all but the weights that are shifted: what a call changes is not there in the next one
            return copy.deepcopy(double, {id(weight): weight for weight in weights})(x, training=training)

        what = f"{title} with training={training}"
        _check_output_shape(double, call(*named.values()).shape, x.shape, what)
        _check_gradients(what, call, named, _Tolerance(eps, rtol, atol))
    return True


class _Tolerance(NamedTuple):
    eps: float
    rtol: float
    atol: float


class _Difference(NamedTuple):
    """Gradients by one input, and the slopes on both sides of each element."""

    name: str
    values: np.ndarray
    connected: bool
    analytic: np.ndarray
    numeric: np.ndarray
    left: np.ndarray
    right: np.ndarray


def _as_input(name: str, value: Any) -> Tensor:
    """Return a tensor of float64 whose values can be shifted in place."""
    if isinstance(value, Variable):
        if value.dtype != np.float64:
            raise TypeError(
                f"{name} must be of float64, since central differences need its digits; got a variable of {value.dtype}. "
                "In a layer: give add_weight no dtype of its own, and layers in the layer dtype=self.dtype"
            )
        return value
    array = np.asarray(value.data if isinstance(value, Tensor) else value)
    if array.dtype.kind not in "fiu":
        raise TypeError(f"{name} must be real numbers; got dtype {array.dtype}")
    return Tensor(np.array(array, np.float64, order="C"))


def _check_gradients(what: str, f: Callable[..., Tensor], inputs: dict[str, Tensor], tolerance: _Tolerance) -> None:
    tensors = list(inputs.values())
    with GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(tensors)
        y = f(*tensors)
    if not isinstance(y, Tensor):
        raise TypeError(f"{what} must return a Tensor made of fastnn.ops; got {type(y).__name__}")
    if y.dtype != np.float64:
        raise TypeError(
            f"{what} must compute in float64, of which its inputs are; it returns {y.dtype}. "
            "Layers need dtype='float64', and variables and constants NumPy arrays of float64"
        )
    at_inputs = y.data.copy()
    if not np.isfinite(at_inputs).all():
        raise ValueError(f"{what} must be finite at the inputs; it returns NaN or infinity")
    if not np.array_equal(at_inputs, f(*tensors).data):
        raise ValueError(f"{what} must return the same for the same inputs; does it draw random numbers, or keep a state?")
    # not ones for several elements: the sum of a softmax, for example, is constant
    weights = np.random.default_rng(0).uniform(1, 2, y.shape) if y.size > 1 else np.ones(y.shape)
    gradients = tape.gradient(y, tensors, Tensor(weights))

    def change() -> np.ndarray:
        return weights * (f(*tensors).data - at_inputs)

    differences = []
    for (name, tensor), gradient in zip(inputs.items(), gradients, strict=True):
        analytic = np.zeros(tensor.shape) if gradient is None else gradient.data
        slopes = _slopes(change, tensor, tolerance.eps)
        differences.append(_Difference(name, tensor.data, gradient is not None, analytic, *slopes))
    _compare(what if y.size == 1 else f"the weighted sum of {what}", differences, tolerance)


def _slopes(change: Callable[[], np.ndarray], tensor: Tensor, eps: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the central, left and right differences by each element of a tensor; `change` is what shifting it changes."""
    central, left, right = (np.empty(tensor.shape) for _ in range(3))
    for index in np.ndindex(tensor.shape):
        value = tensor.data[index]
        step = eps * max(1.0, abs(value))
        above, below = value + step, value - step
        try:
            _shift(tensor, index, above)
            up = change()
            _shift(tensor, index, below)
            down = change()
        finally:
            _shift(tensor, index, value)
        central[index] = (up - down).sum() / (above - below)
        left[index], right[index] = -down.sum() / (value - below), up.sum() / (above - value)
    return central, left, right


def _shift(tensor: Tensor, index: tuple[int, ...], value: float) -> None:
    tensor.data[index] = value
    if isinstance(tensor, Variable):
        tensor.version += 1


def _compare(what: str, differences: list[_Difference], tolerance: _Tolerance) -> None:
    counts, worst = [], []
    for difference in differences:
        allowed = tolerance.atol + tolerance.rtol * np.abs(difference.numeric)
        with np.errstate(divide="ignore", invalid="ignore"):
            error = np.abs(difference.analytic - difference.numeric)
            wrong = ~(error <= allowed)  # NaN is wrong
            excess = np.where(wrong, np.nan_to_num(error / allowed, nan=np.inf), 0.0)
        if wrong.any():
            counts.append(f"  {np.count_nonzero(wrong)} of {wrong.size} elements of {difference.name}, shape {wrong.shape}")
            index = np.unravel_index(excess.argmax(), excess.shape)
            worst.append((excess[index], difference, tuple(int(i) for i in index)))
    if not worst:
        return
    _, found, at = max(worst, key=lambda entry: entry[0])
    element = f"element {list(at)} of {found.name}" if at else found.name
    analytic, numeric = float(found.analytic[at]), float(found.numeric[at])
    lines = [
        f"the gradient of {what} is not that of central differences in",
        *counts,
        f"worst: {element}, at {found.values[at]:.6g}: tape {analytic:.10g}, central differences {numeric:.10g}, "
        f"relative error {_relative_error(analytic, numeric):.3g} (rtol {tolerance.rtol:g}, atol {tolerance.atol:g})",
    ]
    left, right = found.left[at] + 0.0, found.right[at] + 0.0  # not -0
    if not found.connected:
        lines.append(f"the tape has no path from {found.name} to the result: is there something computed without fastnn.ops?")
    elif abs(right - left) > KINK * max(abs(left), abs(right), abs(analytic)):
        lines.append(f"the slope is {left:.6g} on the left and {right:.6g} on the right: a kink, where there is no derivative")
    raise GradientError("\n".join(lines), found.name, at, analytic, numeric)


def _relative_error(analytic: float, numeric: float) -> float:
    larger = max(abs(analytic), abs(numeric))
    return abs(analytic - numeric) / larger if larger else 0.0


# ------------------------------------------------------------------------ layers


def _double_precision_copy(layer: Layer, title: str) -> Layer:
    """Return a new layer, from the configuration, after a check that the configuration is whole."""
    try:
        config = layer.get_config()
        again = type(layer).from_config(config).get_config()
        double = type(layer).from_config(_in_double_precision(config))
    except Exception as error:
        raise AssertionError(f"{title} cannot be made again by from_config(get_config()): {error}") from error
    changed = [key for key in {**config, **again} if key not in config or key not in again or config[key] != again[key]]
    if changed:
        changes = "; ".join(f"{key!r} from {config.get(key)!r} to {again.get(key)!r}" for key in changed)
        raise AssertionError(f"from_config(get_config()) changes the configuration of {title}: {changes}")
    return double


def _in_double_precision(config: Any) -> Any:
    """Return a configuration in which the layer and the layers in it compute in float64."""
    if isinstance(config, dict):
        return {key: "float64" if key == "dtype" else _in_double_precision(value) for key, value in config.items()}
    return [_in_double_precision(item) for item in config] if isinstance(config, list) else config


def _check_output_shape(layer: Layer, found: tuple[int, ...], input_shape: tuple[int, ...], what: str) -> None:
    for given, expected in ((input_shape, found), ((None, *input_shape[1:]), (None, *found[1:]))):
        said = tuple(layer.compute_output_shape(given))
        if said != expected:
            raise AssertionError(
                f"compute_output_shape({given}) of {what} says {said}, but for inputs of shape {input_shape} call returns {found}"
            )
