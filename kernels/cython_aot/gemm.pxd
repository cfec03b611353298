"""Tiles and panels: what every matrix product here is made of.

A product C = A B takes the columns of B in panels, as wide as the register tile of tile.h. The rows of a panel follow one another in
memory when it is packed (pack.h), and a panel of a few hundred rows stays in the nearest cache while tiles of A pass by it. A is read
where it lies: `row` elements from one of its rows to the next, `step` from one of its columns to the next.
"""

from libc.stdlib cimport malloc
from libc.string cimport memcpy, memset

from call cimport real

cdef extern from "tile.h" nogil:
    enum:
        VECTOR_BYTES
        TILE_ROWS
        TILE_VECTORS
        PANEL_BYTES
        SQUARE_BYTES
        TILE_ACCUMULATE
        TILE_RELU
    Py_ssize_t tile_width(Py_ssize_t n, Py_ssize_t size)
    void tile_f32(Py_ssize_t rows, Py_ssize_t segments, Py_ssize_t k, const float *a, Py_ssize_t row, Py_ssize_t step,
                  Py_ssize_t segment, const float *b, Py_ssize_t ldb, float *c, Py_ssize_t ldc, Py_ssize_t n, const float *bias,
                  int flags)
    void tile_f64(Py_ssize_t rows, Py_ssize_t segments, Py_ssize_t k, const double *a, Py_ssize_t row, Py_ssize_t step,
                  Py_ssize_t segment, const double *b, Py_ssize_t ldb, double *c, Py_ssize_t ldc, Py_ssize_t n, const double *bias,
                  int flags)

cdef extern from "pack.h" nogil:
    void pack_rows_f32(const float *w, Py_ssize_t ldw, Py_ssize_t rows, Py_ssize_t count, float *panel, Py_ssize_t width)
    void pack_rows_f64(const double *w, Py_ssize_t ldw, Py_ssize_t rows, Py_ssize_t count, double *panel, Py_ssize_t width)
    void pack_columns_f32(const float *w, Py_ssize_t ldw, Py_ssize_t rows, Py_ssize_t count, float *panel, Py_ssize_t width)
    void pack_columns_f64(const double *w, Py_ssize_t ldw, Py_ssize_t rows, Py_ssize_t count, double *panel, Py_ssize_t width)

cdef enum:
    LINE_BYTES = 64  # of a cache line
    SMALL_BYTES = 16384  # packed filters up to this size need no malloc
    PANEL_ROWS = 256  # most rows of B that are packed at a time: 32 KB with AVX-512, half of that with AVX
    PARALLEL_FLOPS = 1500000  # below (some 15 us of one thread), a busy machine may lose more by a second thread than it brings


cdef inline Py_ssize_t panel_width(const real *tag) noexcept nogil:
    """Columns of a whole panel."""
    return PANEL_BYTES // sizeof(real) if VECTOR_BYTES else TILE_VECTORS


cdef inline void tile(Py_ssize_t rows, Py_ssize_t segments, Py_ssize_t k, const real *a, Py_ssize_t row, Py_ssize_t step,
                      Py_ssize_t segment, const real *b, Py_ssize_t ldb, real *c, Py_ssize_t ldc, Py_ssize_t n, const real *bias,
                      int flags) noexcept nogil:
    """C = A B for a tile, see tile.h."""
    if real is float:
        tile_f32(rows, segments, k, a, row, step, segment, b, ldb, c, ldc, n, bias, flags)
    else:
        tile_f64(rows, segments, k, a, row, step, segment, b, ldb, c, ldc, n, bias, flags)


cdef inline real *first_line(char *memory, const real *tag) noexcept nogil:
    """Return the first address in `memory` at which a cache line begins."""
    return <real *>((<size_t>memory + LINE_BYTES - 1) & ~<size_t>(LINE_BYTES - 1))


cdef inline Py_ssize_t line_pitch(Py_ssize_t columns, const real *tag) noexcept nogil:
    """Return a distance between rows of `columns` elements: an odd number of cache lines, so that rows do not compete for the same ones."""
    cdef Py_ssize_t line = LINE_BYTES // sizeof(real)
    return ((columns + line - 1) // line | 1) * line


cdef inline void multiply_panel(const real *a, Py_ssize_t row, Py_ssize_t step, const real *b, Py_ssize_t ldb, Py_ssize_t b_size,
                                real *c, Py_ssize_t ldc, Py_ssize_t rows, Py_ssize_t k, Py_ssize_t n, const real *bias,
                                int flags) noexcept nogil:
    """C[rows, n] = A[rows, k] B[k, n] for a panel of B, tile by tile.

    Tiles read rows of B as wide as their vectors, past column n. Where less than that is left (`b_size` elements from `b`), at the very
    end of B, they read a padded copy.
    """
    cdef char padded[SQUARE_BYTES]
    cdef Py_ssize_t width = tile_width(n, sizeof(real))
    cdef Py_ssize_t inside, p
    cdef real *end = <real *>padded
    if (k - 1) * ldb + width <= b_size or k == 0:
        multiply_segments(a, row, step, 0, b, ldb, c, ldc, rows, 1, k, n, bias, flags)
        return
    if k > width:  # else all of it is padded: fewer tiles
        inside = (b_size - width) // ldb + 1
    else:
        inside = 0
    memset(end, 0, (k - inside) * width * sizeof(real))
    for p in range(inside, k):
        memcpy(end + (p - inside) * width, b + p * ldb, n * sizeof(real))
    multiply_segments(a, row, step, 0, b, ldb, c, ldc, rows, 1, inside, n, bias, flags & TILE_ACCUMULATE)
    multiply_segments(a + inside * step, row, step, 0, end, width, c, ldc, rows, 1, k - inside, n, <const real *>NULL,
                      flags | TILE_ACCUMULATE)


cdef inline void multiply_segments(const real *a, Py_ssize_t row, Py_ssize_t step, Py_ssize_t segment, const real *b,
                                   Py_ssize_t ldb, real *c, Py_ssize_t ldc, Py_ssize_t rows, Py_ssize_t segments, Py_ssize_t k,
                                   Py_ssize_t n, const real *bias, int flags) noexcept nogil:
    """C[rows, n] = A[rows, segments * k] B[segments * k, n], see tile.h, in tiles of about the same height."""
    cdef Py_ssize_t tiles = (rows + TILE_ROWS - 1) // TILE_ROWS, i, first, last
    for i in range(tiles):
        first = i * rows // tiles
        last = (i + 1) * rows // tiles
        tile(last - first, segments, k, a + first * row, row, step, segment, b, ldb, c + first * ldc, ldc, n, bias, flags)


cdef inline Py_ssize_t panels_size(Py_ssize_t k, Py_ssize_t n, const real *tag) noexcept nogil:
    """Elements that B[k, n] takes in panels."""
    cdef Py_ssize_t whole = n - n % panel_width(tag)
    return k * (whole + (tile_width(n - whole, sizeof(real)) if n > whole else 0))


cdef inline real *allocate_panels(Py_ssize_t k, Py_ssize_t n, char *small, const real *tag) noexcept nogil:
    """Return room for B[k, n] in panels: `small` if that is enough (SMALL_BYTES), else from malloc (NULL when there is none)."""
    cdef Py_ssize_t size = panels_size(k, n, tag) * sizeof(real)
    return <real *>(small if size <= SMALL_BYTES else malloc(size))


cdef inline void pack_rows(const real *w, Py_ssize_t ldw, Py_ssize_t k, Py_ssize_t n, real *panels) noexcept nogil:
    """Pack B[k, n], whose rows lie ldw apart at `w`, in panels: the rows of a panel follow one another, zero past column n."""
    cdef Py_ssize_t width = panel_width(w), panel, left, count
    for panel in range((n + width - 1) // width):
        left = panel * width
        count = min(width, n - left)
        if real is float:
            pack_rows_f32(w + left, ldw, k, count, panels + left * k, tile_width(count, sizeof(real)))
        else:
            pack_rows_f64(w + left, ldw, k, count, panels + left * k, tile_width(count, sizeof(real)))


cdef inline void pack_columns(const real *w, Py_ssize_t ldw, Py_ssize_t first, Py_ssize_t rows, Py_ssize_t k, Py_ssize_t n,
                              real *panels) noexcept nogil:
    """Pack rows [first, first + rows) of B[k, n] from its transpose: B[first + p, j] stands at w[j * ldw + p]."""
    cdef Py_ssize_t width = panel_width(w), panel, left, count, ldb
    for panel in range((n + width - 1) // width):
        left = panel * width
        count = min(width, n - left)
        ldb = tile_width(count, sizeof(real))
        if real is float:
            pack_columns_f32(w + left * ldw, ldw, rows, count, panels + left * k + first * ldb, ldb)
        else:
            pack_columns_f64(w + left * ldw, ldw, rows, count, panels + left * k + first * ldb, ldb)
