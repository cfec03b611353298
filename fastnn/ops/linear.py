"""Dense layers and matrix products."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import kernels
from ..autodiff import Gradients, Needs, Tensor, as_tensor, is_watched, record
from ..kernels.custom.record import Record
from ..kernels.table import python_step
from . import activation as activations
from .arithmetic import sum_to
from .shape import reshape, swapaxes


def dense(x: Any, w: Any, b: Any = None, activation: str | Record | None = None, alpha: float | None = None) -> Tensor:
    """Return ``activation(x @ w + b)``.

    Parameters
    ----------
    x : Tensor, shape (n, k)
    w : Tensor, shape (k, m)
    b : Tensor, shape (m,), optional
    activation : str or Record, optional
        One that the kernel applies itself, linear, relu, sigmoid, tanh, bipolar_sigmoid, leaky_relu, elu, selu or softplus; or the
        record of one of the user's (see `fastnn.activation`).
    alpha : float, optional
        The parameter of leaky_relu or elu.
    """
    x, w, b = as_tensor(x), as_tensor(w), None if b is None else as_tensor(b)
    arrays = x.data, w.data, None if b is None else b.data
    if isinstance(activation, Record):
        y_data, slope = kernels.dense_custom_forward(*arrays, function=activation, slope=is_watched(x, w, b))
    else:
        y_data, slope = kernels.dense_forward(*arrays, activation, alpha), None
    y = Tensor(y_data)

    def vjp(dy: Tensor, needs: Needs) -> Gradients:
        if isinstance(activation, Record):
            dz = activations.custom_backward(dy, slope, x, w, b)
        else:
            dz = activations.backward(activation, dy, y, alpha)
        dx = dense_backward_input(dz, w) if needs[0] else None
        dw, db = dense_backward_weight(x, dz, bias=needs[2]) if needs[1] or needs[2] else (None, None)
        return dx, dw, db

    return record("matmul" if b is None and activation is None else "dense", (x, w, b), y, vjp)


def dense_backward_input(dy: Tensor, w: Tensor) -> Tensor:
    """Return ``dy @ w.T``, the gradient of a dense layer by its input."""
    dx = Tensor(kernels.dense_backward_input(dy.data, w.data))

    def vjp(ddx: Tensor, needs: Needs) -> Gradients:
        return (
            dense(ddx, w) if needs[0] else None,
            dense_backward_weight(ddx, dy, bias=False)[0] if needs[1] else None,
        )

    return record("dense_backward_input", (dy, w), dx, vjp)


def dense_backward_weight(x: Tensor, dy: Tensor, bias: bool = True) -> tuple[Tensor, Tensor | None]:
    """Return ``x.T @ dy`` and the sum of `dy` over samples (None without `bias`): the gradients by weights and bias."""
    dw_data, db_data = kernels.dense_backward_weight(x.data, dy.data, bias=bias)
    dw, db = Tensor(dw_data), None if db_data is None else Tensor(db_data)

    def vjp(ddw: Tensor | None, *ddb_and_needs: Any) -> Gradients:
        *ddb, needs = ddb_and_needs
        ddw = ddw if ddw is not None else Tensor(np.zeros_like(dw.data))
        return (
            dense_backward_input(dy, ddw) if needs[0] else None,
            dense(x, ddw, *ddb) if needs[1] else None,
        )

    record("dense_backward_weight", (x, dy), (dw,) if db is None else (dw, db), vjp)
    return dw, db


def matmul(a: Any, b: Any) -> Tensor:
    """Return the matrix product; of more than two axes the last two are the matrices' and the others broadcast.

    A vector counts as a row on the left and as a column on the right, as in NumPy.
    """
    a, b = as_tensor(a), as_tensor(b)
    if a.ndim == 2 and b.ndim == 2 and a.shape[1] != b.shape[0]:
        raise ValueError(f"a must have as many columns as b has rows; got shapes {a.shape} and {b.shape}")
    if a.ndim == 2 and b.ndim == 2 and a.data.dtype.kind == "f" and b.data.dtype.kind == "f":
        return dense(a, b)
    if a.ndim == 1:
        product = matmul(reshape(a, (1, -1)), b)
        return reshape(product, product.shape[:-2] + product.shape[-1:])
    if b.ndim == 1:
        product = matmul(a, reshape(b, (-1, 1)))
        return reshape(product, product.shape[:-1])
    python_step("matmul")
    y = Tensor(np.matmul(a.data, b.data))

    def vjp(dy: Tensor, needs: Needs) -> Gradients:
        return (
            sum_to(matmul(dy, swapaxes(b, -1, -2)), a.shape) if needs[0] else None,
            sum_to(matmul(swapaxes(a, -1, -2), dy), b.shape) if needs[1] else None,
        )

    return record("matmul", (a, b), y, vjp)
