"""Dense layers."""

from .activation import custom, fused, gated
from .compiler import device, number, uint32
from .factor import Factor
from .neighbours import together
from .product import Result, product

u = uint32


@device
def _by_extent(i, k, extent, depth, group):
    """Return where an element of a matrix is whose rows are the factor's rows."""
    return True, u(i * depth + k)


@device
def _by_depth(i, k, extent, depth, group):
    """Return where an element of a matrix is whose rows are the places of the sum."""
    return True, u(k * extent + i)


def _rows(matrix):
    """Return a matrix as a factor: its rows are the factor's rows, or columns of the right factor."""
    return Factor(matrix, _by_extent, True, together(matrix, matrix.shape[1]))


def _columns(matrix):
    """Return a matrix as a factor: its columns are the factor's rows, or columns of the right factor."""
    return Factor(matrix, _by_depth, False, together(matrix, matrix.shape[1]))


def _forward(x, w, b, activation, y, slope, statistics):
    (n, k), m = x.shape, w.shape[1]
    return product(n, m, k, _rows(x), _columns(w), Result(y, b, activation, slope, statistics))


def dense_forward(x, w, b, activation, alpha, y, statistics=None):
    return _forward(x, w, b, fused(activation, alpha, number(y.dtype)), y, None, statistics)


def dense_custom_forward(x, w, b, function, y, slope, statistics=None):
    return _forward(x, w, b, custom(function, slope is not None, y.dtype), y, slope, statistics)


def dense_backward_input(dy, w, dx, gate=None):
    (n, m), k = dy.shape, w.shape[0]
    return product(n, k, m, _rows(dy), _rows(w), Result(dx, None, *gated(gate, dx)))


def dense_backward_weight(x, dy, dw, db):
    (n, k), m = x.shape, dy.shape[1]
    return product(k, m, n, _columns(x), _columns(dy), Result(dw, totals=db))
