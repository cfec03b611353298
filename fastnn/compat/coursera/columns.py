"""Dense layers in the course's layout: samples are columns, A is (features, m), W is (n_l, n_prev), b is (n_l, 1).

As each of the products that the course needs is a product of some operand of the kernels' dense layer, nothing is transposed.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from ... import kernels
from ...kernels.functions.checks import F32, F64
from ...kernels.functions.compute import compute
from ...kernels.functions.linear import NO_ACTIVATION
from ...kernels.table import attempt
from ..as_numpy import alike
from ..given import as_float


def linear(A: Any, W: Any, b: Any, layer: int | None = None) -> np.ndarray:
    """Return ``Z = W A + b``; `layer` numbers W and b in errors."""
    outputs = attempt("dense_forward", (W, A, None), NO_ACTIVATION)
    if outputs is not None and type(b) is np.ndarray and b.dtype is W.dtype and b.shape == (len(W), 1):
        (Z,) = outputs
        Z += b
        return Z
    name = "" if layer is None else str(layer)
    before = "" if layer is None else str(layer - 1)
    W, b, A = as_float(f"W{name}", W), as_float(f"b{name}", b), as_float(f"A{before}", A)
    if W.ndim != 2 or A.ndim != 2 or W.shape[1] != A.shape[0] or not A.shape[1]:
        raise ValueError(
            f"Z{name} = W{name} A{before} + b{name} needs W{name} of shape (n_l, n_prev) and A{before} of shape (n_prev, m), "
            f"a column for each of at least one sample; got W{name} {W.shape} and A{before} {A.shape}"
        )
    if b.size != 1 and b.shape != (len(W), 1):
        raise ValueError(
            f"b{name} must have shape ({len(W)}, 1), one number for each row of W{name}, which is {W.shape}; got {b.shape}"
        )
    Z = kernels.matmul(W, A)
    return np.add(Z, b.reshape(-1, 1), out=Z if Z.dtype == F64 or b.dtype == F32 else None)


def linear_gradients(dZ: Any, A_prev: Any, W: Any, scale: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return ``W^T dZ``, ``scale * dZ A_prev^T``, and ``scale`` times the sum of dZ over samples, of shape (n_l, 1)."""
    by_input, by_weight = attempt("dense_backward_weight", (W, dZ), (), None, False), attempt("dense_backward_input", (dZ, A_prev))
    if by_input is not None and by_weight is not None and by_weight[0].shape == W.shape:
        (dA_prev, _), (dW,) = by_input, by_weight
    else:
        dZ, dA_prev, dW = _converted_gradients(dZ, A_prev, W)
    weight = np.empty((dZ.shape[1], 1), dZ.dtype)
    weight.fill(scale)
    db = kernels.matmul(dZ, weight)
    if scale != 1:
        dW *= scale
    return dA_prev, dW, db


def _converted_gradients(dZ: Any, A_prev: Any, W: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return dZ, as an array that kernels take, ``W^T dZ`` and ``dZ A_prev^T``."""
    dZ, A_prev, W = as_float("dZ", dZ), as_float("A_prev", A_prev), as_float("W", W)
    if dZ.ndim != 2 or A_prev.ndim != 2 or W.shape != (len(dZ), len(A_prev)) or dZ.shape[1] != A_prev.shape[1]:
        raise ValueError(
            f"dW = dZ A_prev^T / m and dA_prev = W^T dZ need dZ (n_l, m), A_prev (n_prev, m) and W (n_l, n_prev); "
            f"got dZ {dZ.shape}, A_prev {A_prev.shape} and W {W.shape}"
        )
    dA_prev, _ = kernels.dense_backward_weight(W, dZ, bias=False)
    return dZ, dA_prev, kernels.dense_backward_input(dZ, A_prev)


def elementwise(op_name: str, x: Any) -> Any:
    """Return what an activation makes of `x`, a number for a number."""
    (y,) = attempt(op_name, (x,)) or compute(op_name, (as_float("x", x),))
    return y if y.ndim else y[()]


def labels(Y: Any, A: np.ndarray) -> np.ndarray:
    """Return labels in the shape of the activations `A` of the output layer."""
    Y = as_float("Y", Y)
    if Y.shape != A.shape and (A.shape[0] != 1 or Y.shape != A.shape[1:]):
        raise ValueError(f"Y must have shape {A.shape}, the labels of the samples in columns like the activations; got {Y.shape}")
    return Y.reshape(A.shape)


def cross_entropy(A: Any, Y: Any, add: Callable[[np.ndarray], Any] = np.sum) -> tuple[Any, int]:
    """Return the sum of ``-Y log(A) - (1 - Y) log(1 - A)``, where 0 * log(0) counts as 0, and the number of samples.

    By NumPy's logarithm, for the kernels' cross-entropies clip and the course does not: the cost is inf where an answer is
    wrong and A exactly 0 or 1. Where A is exactly 0 or 1 and the answer right, the course has NaN, and this the limit. `add` makes
    the sum where there is NaN all the same.
    """
    A = as_float("A", A)
    if A.ndim != 2:
        raise ValueError(f"A must have shape (1, m), a probability for each sample; got {A.shape}")
    Y = labels(Y, A)
    with np.errstate(divide="ignore", invalid="ignore"):
        total = (-Y * np.log(A) - (1 - Y) * np.log(1 - A)).sum()
    if total.dtype is A.dtype and total == total:
        return total, A.shape[1]
    with np.errstate(divide="ignore"):
        return add(-_times(Y, np.log(A)) - _times(1 - Y, np.log(1 - A))), A.shape[1]


def cross_entropy_gradient(A: np.ndarray, Y: np.ndarray) -> np.ndarray:
    """Return ``-(Y / A - (1 - Y) / (1 - A))``; 0 / 0 counts as 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        gradient = (1 - Y) / (1 - A) - Y / A
    if gradient.dtype is A.dtype and not math.isnan(gradient.sum()):
        return gradient
    with np.errstate(divide="ignore"):
        return _times(1 - Y, 1 / (1 - A)) - _times(Y, 1 / A)


def _times(weight: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Return ``weight * value``, 0 where the weight is 0, whatever the value."""
    return np.multiply(weight, value, where=weight != 0, out=np.zeros_like(value))


def layer_count(parameters: Mapping[str, Any]) -> int:
    """Return L, for parameters W1, b1, ..., WL, bL; raise an error if one of these is missing."""
    count = len(parameters) // 2 if isinstance(parameters, (dict, Mapping)) else 1
    check_parameters(parameters, max(count, 1))
    return count


def check_parameters(parameters: Any, layers: int) -> None:
    """Raise an error unless there are parameters of so many layers.

    Raises
    ------
    TypeError, ValueError
        If they are no dict, or one is missing.
    """
    if not isinstance(parameters, (dict, Mapping)):  # dict first: asking an abstract class takes its time
        raise TypeError(f"parameters must be a dict with W1, b1, ..., WL, bL; got {type(parameters).__name__}")
    for key in names(layers):
        if key not in parameters:
            raise ValueError(
                f"parameters must have W1, b1, ..., W{layers}, b{layers}; {key} is missing among {', '.join(map(str, parameters))}"
            )


@functools.cache
def names(layers: int) -> tuple[str, ...]:
    """Return W1, b1, W2, b2, ..."""
    return tuple(f"{kind}{layer}" for layer in range(1, layers + 1) for kind in "Wb")


def parameters_and_gradients(
    parameters: Mapping[str, Any], grads: Mapping[str, Any]
) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Yield for each parameter its name, a copy that a kernel can update, and its gradient."""
    for key in names(layer_count(parameters)):
        gradient = f"d{key}"
        if gradient not in grads:
            raise ValueError(f"grads must have {gradient}, the gradient by {key}; got {', '.join(map(str, grads))}")
        w, g = parameters[key], grads[gradient]
        if alike(w, g):
            yield key, w.copy(), g
            continue
        g = as_float(f"grads['{gradient}']", g)
        w = copied(f"parameters['{key}']", w, np.promote_types(g.dtype, dtype_of(w)))
        if g.shape != w.shape:
            raise ValueError(f"grads['{gradient}'] must have the shape of parameters['{key}'], {w.shape}; got {g.shape}")
        yield key, w, g


def copied(name: str, value: Any, dtype: np.dtype) -> np.ndarray:
    """Return a copy that a kernel can update."""
    return np.array(as_float(name, value, dtype))


def dtype_of(value: Any) -> np.dtype:
    """Return the dtype in which arithmetic on `value` is done."""
    return F32 if getattr(value, "dtype", None) == F32 else F64


def updated(parameters: dict, grads: Mapping[str, Any], learning_rate: float) -> dict:
    """Put ``parameter - learning_rate * gradient``, new arrays, into `parameters` and return it."""
    new = {}
    for key, w, g in parameters_and_gradients(parameters, grads):
        kernels.sgd_step(w, g, learning_rate)
        new[key] = w
    parameters.update(new)
    return parameters


def initial(layer_dims: Any, scale: Callable[[int], float]) -> dict[str, np.ndarray]:
    """Return W1, b1, ...: ``np.random.randn`` times ``scale(n_prev)``, drawn in the order of the layers, and zeros."""
    parameters = {}
    for layer in range(1, len(layer_dims)):
        n_prev, n = layer_dims[layer - 1], layer_dims[layer]
        parameters[f"W{layer}"] = np.random.randn(n, n_prev) * scale(n_prev)
        parameters[f"b{layer}"] = np.zeros((n, 1), dtype=np.float64)
    return parameters
