"""Dense layers."""

from functools import cache

from .activation import fused
from .compiler import device, number, uint32
from .sums import column_sums
from .tile import Factor, product

u = uint32


@device
def _by_extent(array, i, k, extent, depth, group):
    """Return an element of a matrix whose rows are the factor's rows."""
    return array[u(i * depth + k)]


@device
def _by_depth(array, i, k, extent, depth, group):
    """Return an element of a matrix whose rows are the places of the sum."""
    return array[u(k * extent + i)]


@cache
def store_activated(activation, alpha, real, with_bias):
    """Return what stores a sum with bias and activation, for rows of samples and columns of features."""
    f = fused(activation, alpha, real)

    @device
    def store(result, bias, m, n, rows, columns, group, value):
        if with_bias:
            value += bias[n]
        result[u(m * columns + n)] = f(value)

    return store


@device
def _store(result, bias, m, n, rows, columns, group, value):
    result[u(m * columns + n)] = value


def dense_forward(x, w, b, activation, alpha, y):
    (n, k), m = x.shape, w.shape[1]
    store = store_activated(activation, alpha, number(y.dtype), b is not None)
    return product(n, m, k, Factor(x, _by_extent, True), Factor(w, _by_depth, False), b, y, store)


def dense_backward_input(dy, w, dx):
    (n, m), k = dy.shape, w.shape[0]
    return product(n, k, m, Factor(dy, _by_extent, True), Factor(w, _by_extent, True), None, dx, _store)


def dense_backward_weight(x, dy, dw, db):
    (n, k), m = x.shape, dy.shape[1]
    launches = product(k, m, n, Factor(x, _by_depth, False), Factor(dy, _by_depth, False), None, dw, _store)
    return launches if db is None else [*launches, *column_sums(dy, db, n, m)]
