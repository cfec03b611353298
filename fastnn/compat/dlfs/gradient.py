"""The book's ``common.gradient``: gradients by central differences, with a step of 1e-4.

`x` itself is changed while they are computed, and has its old numbers afterwards: f may look at it.
"""

import numpy as np

_STEP = 1e-4


def numerical_gradient(f, x):
    """Return the gradient at `x` of the function f, which takes `x` and returns a number.

    Parameters
    ----------
    f : callable
        Returns one number.
    x : ndarray of float, of any shape

    Returns
    -------
    ndarray
        Of the shape and dtype of `x`.
    """
    _check(x)
    gradient = np.zeros_like(x)
    for index in np.ndindex(x.shape):
        gradient[index] = _central_difference(f, x, index)
    return gradient


def numerical_gradient_2d(f, X):
    """Return the gradient of f at each row of `X`, by itself: f is called with that row. A vector is one row."""
    _check(X)
    if X.ndim == 1:
        return numerical_gradient(f, X)
    gradient = np.zeros_like(X)
    for row, x in enumerate(X):
        gradient[row] = numerical_gradient(f, x)
    return gradient


def _central_difference(f, x, index):
    value = x[index]
    try:
        x[index] = float(value) + _STEP
        above = f(x)
        x[index] = float(value) - _STEP
        below = f(x)
    finally:
        x[index] = value
    difference = np.asarray(above - below) / (2 * _STEP)
    if difference.size != 1:
        raise ValueError(f"f must return one number, such as the sum of its elements; got an array of shape {difference.shape}")
    return difference.reshape(())


def _check(x):
    if not isinstance(x, np.ndarray) or x.dtype.kind != "f":
        what = f"dtype {x.dtype}" if isinstance(x, np.ndarray) else type(x).__name__
        raise TypeError(f"x must be an array of floats, as x.astype(float) is, since x + 1e-4 is put into it; got {what}")
