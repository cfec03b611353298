"""Dense layers on batches in halves: those on whole batches, and how the halves lie."""

import numpy as np

from .data import gather, gather_uint8
from .descent import dense_descent
from .linear import dense_backward_weight, dense_forward
from .precision import in_float64


def _whole(x):
    """Return the matrix that is in halves in memory."""
    rows, columns = x.shape
    left, right = np.split(x.reshape(-1), [rows * (columns // 2)])
    return np.hstack([left.reshape(rows, columns // 2), right.reshape(rows, columns - columns // 2)])


def _halve(x):
    """Put the first columns of all rows before the others, in place."""
    x[...] = np.concatenate([half.ravel() for half in np.split(x, [x.shape[1] // 2], axis=1)]).reshape(x.shape)


@in_float64
def gather__halves(x, index, scale, offset, y):
    gather(x, index, scale, offset, y)
    _halve(y)


@in_float64
def gather_uint8__halves(x, index, scale, offset, y):
    gather_uint8(x, index, scale, offset, y)
    _halve(y)


@in_float64
def dense_forward__halves(x, w, b, activation, alpha, y, second):
    whole, half = _whole(x), len(w) // 2
    dense_forward(whole, w, b, activation, alpha, y)
    second[...] = whole[:, half:] @ w[half:]


@in_float64
def dense_backward_weight__halves(x, dy, dw, db):
    dense_backward_weight(_whole(x), dy, dw, db)


@in_float64
def dense_descent__halves(x, dy, lr, w, b):
    dense_descent(_whole(x), dy, lr, w, b)
