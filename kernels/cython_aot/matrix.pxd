"""Products of matrices as they lie in memory: dense layers and 1x1 convolutions.

A is read in place. B is packed panel by panel, a block of its rows at a time, on the stack of the task that needs it: from its rows, or
transposed, from its columns. One to three rows of A do not repay that, see thin.h.
"""

from cython.parallel cimport prange
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

from activate cimport LINEAR, RELU, activate_inplace
from call cimport real
from gemm cimport (LINE_BYTES, PANEL_BYTES, PANEL_ROWS, PARALLEL_FLOPS, TILE_ACCUMULATE, TILE_RELU, TILE_ROWS, TILE_VECTORS, first_line,
                   multiply_panel, multiply_segments, pack_columns, pack_rows, panel_width, tile_width)

cdef extern from "thin.h" nogil:
    enum:
        THIN_ROWS
    void thin_product_f32(Py_ssize_t rows, Py_ssize_t k, const float *a, Py_ssize_t lda, const float *b, Py_ssize_t ldb, float *c,
                          Py_ssize_t ldc, Py_ssize_t n)
    void thin_product_f64(Py_ssize_t rows, Py_ssize_t k, const double *a, Py_ssize_t lda, const double *b, Py_ssize_t ldb, double *c,
                          Py_ssize_t ldc, Py_ssize_t n)
    void thin_dots_f32(Py_ssize_t rows, Py_ssize_t k, const float *a, Py_ssize_t lda, const float *b, Py_ssize_t ldb, Py_ssize_t b_size,
                       float *c, Py_ssize_t ldc, Py_ssize_t n)
    void thin_dots_f64(Py_ssize_t rows, Py_ssize_t k, const double *a, Py_ssize_t lda, const double *b, Py_ssize_t ldb, Py_ssize_t b_size,
                       double *c, Py_ssize_t ldc, Py_ssize_t n)
    void thin_narrow_f32(Py_ssize_t k, const float *a, const float *b, Py_ssize_t ldb, Py_ssize_t b_size, float *c, Py_ssize_t n)
    void thin_narrow_f64(Py_ssize_t k, const double *a, const double *b, Py_ssize_t ldb, Py_ssize_t b_size, double *c, Py_ssize_t n)
    void thin_short_dots_f32(Py_ssize_t k, const float *a, const float *b, Py_ssize_t ldb, Py_ssize_t b_size, float *c, Py_ssize_t n)
    void thin_short_dots_f64(Py_ssize_t k, const double *a, const double *b, Py_ssize_t ldb, Py_ssize_t b_size, double *c, Py_ssize_t n)

cdef enum:
    CHUNK_ROWS = 144  # rows of A for which a task packs B: so many that packing is about a hundredth of the work
    HALF_ELEMENTS = 262144  # most elements of C whose second halves are kept
    NEAR_BYTES = 1024  # rows of B no farther apart than this are read in place where there are few rows of A


cdef struct Matrices:
    Py_ssize_t rows, k, n
    Py_ssize_t lda  # from one row of A to the next
    bint halved  # A is in halves: the first k // 2 columns of all rows, then the others
    Py_ssize_t ldb, b_size  # from one row of B to the next (of its transpose, if transposed); elements that may be read at b
    bint transposed
    Py_ssize_t ldc
    Py_ssize_t activation
    double alpha


cdef inline void matrix_multiply(const real *a, const real *b, const real *bias, real *c, const Matrices *m,
                                 int threads) noexcept nogil:
    """C = activation(A B + bias), or A B^T.

    Sums longer than A is high are made in halves, each from one half of B. The gradient of B is cut in the same way, so that of two
    threads each reads, and later changes, its own half: what the other core has written is slow to get, and slower to overwrite.
    Whether a sum is in halves depends on the shape alone, as its rounding does. (It does on whether there is memory for them.)
    """
    cdef bint long_sums = not m.transposed and m.rows > THIN_ROWS and m.k >= 2 * m.rows and m.rows * m.n <= HALF_ELEMENTS
    cdef bint in_halves = long_sums and 2.0 * m.rows * m.k * m.n >= 2 * PARALLEL_FLOPS
    cdef real *second = <real *>malloc(m.rows * m.n * sizeof(real)) if in_halves else NULL
    multiply_halves(a, b, bias, c, second, m, threads)
    free(second)


cdef inline void multiply_halves(const real *a, const real *b, const real *bias, real *c, real *second, const Matrices *m,
                                 int threads) noexcept nogil:
    """The same; in halves where there is `second`, which then holds the sums of the second ones."""
    cdef double flops = 2.0 * m.rows * m.k * m.n
    cdef Py_ssize_t halves = 2 if second else 1, chunks = (m.rows + CHUNK_ROWS - 1) // CHUNK_ROWS, shares = 1, task
    if threads == 1 or flops < PARALLEL_FLOPS:
        for task in range(halves * chunks):
            _multiply_task(a, b, bias, c, second, m, task, chunks, shares)
    else:
        # as many tasks for each thread, and no more: the fewer, the more columns has each, for which it reads the rows of A only once;
        # which rows and columns a task has does not change their sums
        while chunks < 2 * threads and shares * panel_width(a) < m.n and halves * chunks * shares % threads:
            shares += 1
        if halves * chunks * shares < threads:
            chunks = max(chunks, min(threads, m.rows // TILE_ROWS))
        for task in prange(halves * chunks * shares, num_threads=threads, schedule="static"):
            _multiply_task(a, b, bias, c, second, m, task, chunks, shares)
    if second:
        for task in range(m.rows):
            _add_row(second + task * m.n, c + task * m.ldc, m)


cdef inline void _add_row(const real *second, real *c, const Matrices *m) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(m.n):
        c[i] += second[i]
    if m.activation > LINEAR:
        activate_inplace(c, m.n, m.activation, <real>m.alpha)


cdef inline void _multiply_task(const real *a, const real *b, const real *bias, real *c, real *second, const Matrices *m, Py_ssize_t task,
                                Py_ssize_t chunks, Py_ssize_t shares) noexcept nogil:
    """Compute a chunk of the rows of C and a share of its columns, or a half of their sums."""
    cdef Matrices part = m[0]
    cdef Py_ssize_t chunk = task // shares % chunks, share = task % shares, panels = (m.n + panel_width(a) - 1) // panel_width(a)
    if second:
        part.activation = LINEAR
        part.k = part.lda = m.k // 2
    if task >= chunks * shares:
        a += m.rows * part.k if m.halved else part.k
        b += part.k * m.ldb
        bias = NULL
        c = second
        part.b_size -= part.k * m.ldb
        part.ldc = m.n
        part.k = part.lda = m.k - part.k
    if not m.halved:
        part.lda = m.lda
    _multiply_block(a, b, bias, c, &part, chunk * m.rows // chunks, (chunk + 1) * m.rows // chunks,
                    share * panels // shares * panel_width(a), min((share + 1) * panels // shares * panel_width(a), m.n))


cdef inline void _multiply_block(const real *a, const real *b, const real *bias, real *c, const Matrices *m, Py_ssize_t first,
                                 Py_ssize_t last, Py_ssize_t left, Py_ssize_t right) noexcept nogil:
    """Compute rows [first, last) and columns [left, right) of C."""
    cdef bint thin = m.rows <= THIN_ROWS
    cdef int relu = TILE_RELU if m.activation == RELU else 0
    cdef Py_ssize_t row
    if thin and m.transposed:
        _multiply_thin_transposed(a + first * m.lda, b + left * m.ldb, c + first * m.ldc + left, m, last - first, left, right - left)
    elif thin:
        _multiply_thin(a + first * m.lda, b, bias, c + first * m.ldc, m, last - first, left, right)
    else:
        _multiply_panels(a + first * m.lda, b, bias, c + first * m.ldc, m, last - first, left, right, relu)
    if m.activation > (LINEAR if thin else RELU):
        if right - left == m.ldc:
            activate_inplace(c + first * m.ldc, (last - first) * m.ldc, m.activation, <real>m.alpha)
            return
        for row in range(first, last):
            activate_inplace(c + row * m.ldc + left, right - left, m.activation, <real>m.alpha)


cdef inline void _multiply_panels(const real *a, const real *b, const real *bias, real *c, const Matrices *m, Py_ssize_t rows,
                                  Py_ssize_t left, Py_ssize_t right, int relu) noexcept nogil:
    cdef char memory[PANEL_ROWS * PANEL_BYTES + LINE_BYTES]
    cdef real *packed = first_line(memory, a)
    # by the rows of A, not by those of the task, which depend on the threads: at the end of B a sum is rounded otherwise in place
    cdef bint in_place = not m.transposed and m.ldb * <Py_ssize_t>sizeof(real) <= NEAR_BYTES and m.rows < 4 * TILE_ROWS
    cdef Py_ssize_t steps = max((m.k + PANEL_ROWS - 1) // PANEL_ROWS, 1), step, width = panel_width(a), panel, top, depth, at, n, start
    cdef int flags
    for step in range(steps):
        top = step * m.k // steps
        depth = (step + 1) * m.k // steps - top
        flags = (TILE_ACCUMULATE if step else 0) | (relu if step == steps - 1 else 0)
        for panel in range((right - left + width - 1) // width):
            at = left + panel * width
            n = min(width, right - at)
            start = top * m.ldb + at
            if in_place:
                multiply_panel(a + top, m.lda, 1, b + start, m.ldb, m.b_size - start, c + at, m.ldc, rows, depth, n,
                               bias + at if bias else NULL, flags)
                continue
            if m.transposed:
                pack_columns(b + at * m.ldb + top, m.ldb, 0, depth, depth, n, packed)
            else:
                pack_rows(b + start, m.ldb, depth, n, packed)
            multiply_segments(a + top, m.lda, 1, 0, packed, tile_width(n, sizeof(real)), c + at, m.ldc, rows, 1, depth, n,
                              bias + at if bias else NULL, flags)


cdef inline void _multiply_thin(const real *a, const real *b, const real *bias, real *c, const Matrices *m, Py_ssize_t rows,
                                Py_ssize_t left, Py_ssize_t right) noexcept nogil:
    cdef Py_ssize_t width = panel_width(a), lanes = width // TILE_VECTORS, whole = left + (right - left) // width * width, row, piece, at
    cdef Py_ssize_t pieces = (right - whole + lanes - 1) // lanes
    for row in range(rows):
        if bias:
            memcpy(c + row * m.ldc + left, bias + left, (right - left) * sizeof(real))
        else:
            memset(c + row * m.ldc + left, 0, (right - left) * sizeof(real))
    thin_product(rows, m.k, a, m.lda, b + left, m.ldb, c + left, m.ldc, whole - left)
    for row in range(rows):
        for piece in range(pieces):
            at = whole + piece * lanes
            thin_narrow(m.k, a + row * m.lda, b + at, m.ldb, m.b_size - at, c + row * m.ldc + at, min(lanes, right - at))


cdef inline void _multiply_thin_transposed(const real *a, const real *b, real *c, const Matrices *m, Py_ssize_t rows, Py_ssize_t left,
                                           Py_ssize_t columns) noexcept nogil:
    cdef Py_ssize_t row
    if m.k >= panel_width(a) // TILE_VECTORS:
        thin_dots(rows, m.k, a, m.lda, b, m.ldb, m.b_size - left * m.ldb, c, m.ldc, columns)
        return
    for row in range(rows):
        thin_short_dots(m.k, a + row * m.lda, b, m.ldb, m.b_size - left * m.ldb, c + row * m.ldc, columns)


cdef inline void thin_product(Py_ssize_t rows, Py_ssize_t k, const real *a, Py_ssize_t lda, const real *b, Py_ssize_t ldb, real *c,
                              Py_ssize_t ldc, Py_ssize_t n) noexcept nogil:
    if real is float:
        thin_product_f32(rows, k, a, lda, b, ldb, c, ldc, n)
    else:
        thin_product_f64(rows, k, a, lda, b, ldb, c, ldc, n)


cdef inline void thin_dots(Py_ssize_t rows, Py_ssize_t k, const real *a, Py_ssize_t lda, const real *b, Py_ssize_t ldb, Py_ssize_t b_size,
                           real *c, Py_ssize_t ldc, Py_ssize_t n) noexcept nogil:
    if real is float:
        thin_dots_f32(rows, k, a, lda, b, ldb, b_size, c, ldc, n)
    else:
        thin_dots_f64(rows, k, a, lda, b, ldb, b_size, c, ldc, n)


cdef inline void thin_narrow(Py_ssize_t k, const real *a, const real *b, Py_ssize_t ldb, Py_ssize_t b_size, real *c,
                             Py_ssize_t n) noexcept nogil:
    if real is float:
        thin_narrow_f32(k, a, b, ldb, b_size, c, n)
    else:
        thin_narrow_f64(k, a, b, ldb, b_size, c, n)


cdef inline void thin_short_dots(Py_ssize_t k, const real *a, const real *b, Py_ssize_t ldb, Py_ssize_t b_size, real *c,
                                 Py_ssize_t n) noexcept nogil:
    if real is float:
        thin_short_dots_f32(k, a, b, ldb, b_size, c, n)
    else:
        thin_short_dots_f64(k, a, b, ldb, b_size, c, n)
