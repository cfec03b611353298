"""Dense layers."""

from functools import cache

from .activation import custom, fused
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
def _activated(activation, with_bias):
    """Return what stores a sum with bias and activation, in two parts, for rows of samples and columns of features."""
    first, then = activation

    @device
    def store(result, bias, m, n, rows, columns, group, value):
        if with_bias:
            value += bias[n]
        result[u(m * columns + n)] = first(value)

    @device
    def finish(result, slope, m, n, columns, group):
        then(result, slope, u(m * columns + n))

    return store, finish


@device
def _store(result, bias, m, n, rows, columns, group, value):
    result[u(m * columns + n)] = value


def _forward(x, w, b, activation, y, slope, statistics):
    (n, k), m = x.shape, w.shape[1]
    store, finish = _activated(activation, b is not None)
    factors = Factor(x, _by_extent, True), Factor(w, _by_depth, False)
    return product(n, m, k, *factors, b, y, store, finish=finish, slope=slope, statistics=statistics)


def dense_forward(x, w, b, activation, alpha, y, statistics=None):
    return _forward(x, w, b, fused(activation, alpha, number(y.dtype)), y, None, statistics)


def dense_custom_forward(x, w, b, function, y, slope, statistics=None):
    return _forward(x, w, b, custom(function, slope is not None, y.dtype), y, slope, statistics)


def dense_backward_input(dy, w, dx):
    (n, m), k = dy.shape, w.shape[0]
    return product(n, k, m, Factor(dy, _by_extent, True), Factor(w, _by_extent, True), None, dx, _store)


def dense_backward_weight(x, dy, dw, db):
    (n, k), m = x.shape, dy.shape[1]
    launches = product(k, m, n, Factor(x, _by_depth, False), Factor(dy, _by_depth, False), None, dw, _store)
    return launches if db is None else [*launches, *column_sums(dy, db, n, m)]
