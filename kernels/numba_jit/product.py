"""Products of matrices: B in packed panels, and tiles of A that pass by them.

A panel is as many columns of B as a tile is wide. Its rows follow one another in memory, and a last panel of few columns is only
one vector wide; what it lacks is zero. Panels of k rows begin k elements apart for every column.
"""

from .pointers import fill, inline, is_null, offset, on_stack
from .tile import tile_width, tiles
from .vectors import MOST_LANES, lanes

#: most rows of a panel that tiles pass by at a time, so that it stays in the nearest cache
PANEL_ROWS = 256
#: a multiple of the width of every panel
PANEL_COLUMNS = 2 * MOST_LANES
#: the time of a multiplication and an addition, in that of reading and writing an element
WEIGHT = 1 / 6
#: rows that are better multiplied together: whole tiles
ROWS = 24
#: rows of A that pass by all panels before the next ones do, so that they stay in a near cache
BLOCK_ROWS = 144


def panels_size(k, n):
    """Return the elements that B[k, n] takes at most."""
    return k * (n + PANEL_COLUMNS)


@inline
def panel_width(n, like):
    """Return the width of a panel of n columns."""
    return tile_width(like) if n > lanes(like) else lanes(like)


@inline
def pack_rows(b, ldb, k, first, last, panels):
    """Pack columns [first, last) of B[k, ...], whose rows lie ldb apart; `first` is a multiple of PANEL_COLUMNS."""
    for left in range(first, last, tile_width(b)):
        n = min(tile_width(b), last - left)
        width = panel_width(n, b)
        for p in range(k):
            source, target = offset(b, p * ldb + left), offset(panels, left * k + p * width)
            for j in range(n):
                target[j] = source[j]
            for j in range(n, width):
                target[j] = 0.0


@inline
def pack_columns(b, ldb, k, first, last, panels):
    """Pack columns [first, last) of B[k, ...] from its transpose, whose rows lie ldb apart."""
    for left in range(first, last, tile_width(b)):
        n = min(tile_width(b), last - left)
        width = panel_width(n, b)
        panel = offset(panels, left * k)
        for j in range(width):
            source, inside = offset(b, (left + j) * ldb), j < n
            for p in range(k):
                panel[p * width + j] = source[p] if inside else 0.0


@inline
def multiply(a, row, step, rows, panel, k, start, start_row, c, c_row, n):
    """C[rows, n] = start + A[rows, k] panel[k, n]; see `tiles`."""
    if n > lanes(a):
        tiles(2, rows, k, a, row, step, panel, start, start_row, c, c_row, n)
    else:
        tiles(1, rows, k, a, row, step, panel, start, start_row, c, c_row, n)


@inline
def multiply_panels(a, row, step, rows, panels, k, bias, c, c_row, n):
    """C[rows, n] = A[rows, k] B[k, n] + bias, which may be NULL."""
    zeros = on_stack(a, PANEL_COLUMNS)
    fill(zeros, PANEL_COLUMNS, 0.0)
    pieces = (k + PANEL_ROWS - 1) // PANEL_ROWS
    for first in range(0, rows, BLOCK_ROWS):
        count, block = min(BLOCK_ROWS, rows - first), offset(a, first * row)
        for left in range(0, n, tile_width(a)):
            columns = min(tile_width(a), n - left)
            panel, target = offset(panels, left * k), offset(c, first * c_row + left)
            start = zeros if is_null(bias) else offset(bias, left)
            multiply(block, row, step, count, panel, k // pieces, start, 0, target, c_row, columns)
            for piece in range(1, pieces):
                top, bottom = piece * k // pieces, (piece + 1) * k // pieces
                a_here, b_here = offset(block, top * step), offset(panel, top * panel_width(columns, a))
                multiply(a_here, row, step, count, b_here, bottom - top, target, c_row, target, c_row, columns)
