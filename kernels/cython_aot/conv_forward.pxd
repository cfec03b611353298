"""Convolution forward: C[pixels, filters] = A[pixels, k] B[k, filters], where a row of A is the patch of the image that an output pixel sees.

Nothing as large as A is ever stored (im2col would make kh * kw copies of the image). Where they can, the tiles read the patches of a
row of output pixels straight from the image; else a block of patches is gathered where it stays in a near cache, multiplied by all
of B, and the next block overwrites it.
"""

from cython.parallel cimport prange
from libc.stdlib cimport free

from activate cimport RELU, activate_inplace
from call cimport real
from gemm cimport (LINE_BYTES, PARALLEL_FLOPS, SMALL_BYTES, TILE_ACCUMULATE, TILE_RELU, TILE_ROWS, allocate_panels, first_line,
                   line_pitch, multiply_panel, multiply_segments, pack_rows, panel_width, tile_width)
from matrix cimport Matrices, matrix_multiply
from patches cimport (BLOCK_BYTES, BLOCK_COLUMNS_BYTES, BLOCK_ROWS, LINE_PIXELS, View, Window, columns_joined, gather_patches,
                      needs_padding, padded_width, patches_are_pixels, view_line)

cdef enum:
    TASKS = 8  # work is cut into at least this many tasks where it can be


cdef inline void convolve_group(const real *x, const real *w, const real *b, real *y, const Window *window, Py_ssize_t x_size,
                                Py_ssize_t rows, Py_ssize_t filters, Py_ssize_t co, Py_ssize_t activation, double alpha,
                                int threads) noexcept nogil:
    """y = activation(x * w + b) for the channels and filters of one group, `rows` output pixels of all images."""
    cdef char small[SMALL_BYTES]
    cdef real *panels = NULL
    cdef const real *matrix = w
    cdef Py_ssize_t k = window.kh * window.kw * window.c
    cdef Matrices matrices = Matrices(rows=rows, k=k, n=filters, lda=window.pixel, ldb=co, b_size=(k - 1) * co + filters,
                                      transposed=False, halved=False, ldc=co, activation=activation, alpha=alpha)
    cdef Product product = Product(window=window[0], x_size=x_size, rows=rows, k=k, n=filters, packed=False, ldb=co,
                                   b_size=(k - 1) * co + filters, ldc=co, activation=activation, alpha=alpha)
    if patches_are_pixels(window):
        matrix_multiply(x, w, b, y, &matrices, threads)
        return
    if rows >= 4 * TILE_ROWS:
        panels = allocate_panels(k, filters, small, x)
    if panels:
        pack_rows(w, co, k, filters, panels)
        product.packed = True
        matrix = panels
    multiply_patches(x, matrix, b, y, &product, threads)
    if <char *>panels != small:
        free(panels)


cdef struct Product:
    Window window  # how the rows of A lie in the image
    Py_ssize_t x_size  # elements that may be read at x
    Py_ssize_t rows, k, n
    bint packed  # B is in panels, see pack_rows; otherwise its rows lie ldb apart and b_size elements may be read
    Py_ssize_t ldb, b_size
    Py_ssize_t ldc  # from one row of C to the next
    Py_ssize_t activation
    double alpha


cdef inline void multiply_patches(const real *x, const real *b, const real *bias, real *y, const Product *product,
                                  int threads) noexcept nogil:
    """y = activation(patches of x @ b + bias)."""
    cdef bint lines = product.packed and lines_serve(&product.window, x)
    cdef Py_ssize_t block = product.window.ow if lines else BLOCK_ROWS
    cdef Py_ssize_t row_tasks = (product.rows + block - 1) // block
    cdef Py_ssize_t panels = (product.n + panel_width(x) - 1) // panel_width(x)
    cdef Py_ssize_t column_tasks = min(panels, (TASKS + row_tasks - 1) // row_tasks) if row_tasks else 0
    cdef Py_ssize_t task, tasks = row_tasks * column_tasks
    if threads == 1 or tasks == 1 or 2 * product.rows * product.k * product.n < PARALLEL_FLOPS:
        for task in range(row_tasks):
            _multiply_block(x, b, bias, y, product, lines, task, row_tasks, 0, 1)
    else:
        for task in prange(tasks, num_threads=threads, schedule="static"):
            _multiply_block(x, b, bias, y, product, lines, task // column_tasks, row_tasks, task % column_tasks, column_tasks)


cdef inline bint lines_serve(const Window *window, const real *tag) noexcept nogil:
    """Say whether to take the patches of a row of output pixels from the image, or from a padded copy of a few rows of it.

    Rows of output pixels that do not fill a tile, and patches whose columns do not stand side by side, are gathered instead.
    """
    cdef Py_ssize_t bytes = window.kh * padded_width(window) * window.c * sizeof(real) if needs_padding(window) else 0
    return columns_joined(window) and window.ow >= LINE_PIXELS and bytes <= BLOCK_BYTES


cdef inline void _multiply_block(const real *x, const real *b, const real *bias, real *y, const Product *product, bint lines,
                                 Py_ssize_t row_task, Py_ssize_t row_tasks, Py_ssize_t column_task,
                                 Py_ssize_t column_tasks) noexcept nogil:
    """Compute a block of rows of y, and of its columns the share `column_task` of `column_tasks`."""
    cdef char memory[BLOCK_BYTES + 2 * LINE_BYTES]
    cdef real *patches = first_line(memory, x)
    cdef const real *a
    cdef View view
    cdef Py_ssize_t width = panel_width(x)
    cdef Py_ssize_t panels = (product.n + width - 1) // width
    cdef Py_ssize_t left = column_task * panels // column_tasks * width
    cdef Py_ssize_t right = min((column_task + 1) * panels // column_tasks * width, product.n)
    cdef Py_ssize_t first = row_task * product.rows // row_tasks, last = (row_task + 1) * product.rows // row_tasks
    cdef Py_ssize_t depth = BLOCK_COLUMNS_BYTES // sizeof(real), steps = (product.k + depth - 1) // depth, step
    cdef int relu = TILE_RELU if product.activation == RELU else 0
    if lines:
        a = view_line(x, &product.window, row_task, patches, &view)
        _multiply_view(a, &view, b, bias, y, product, first, last, left, right, relu)
    else:
        for step in range(steps):
            view.skipped = step * product.k // steps
            view.k = (step + 1) * product.k // steps - view.skipped
            view.segments = 1
            a = _gather_view(x, product, first, last, patches, &view)
            _multiply_view(a, &view, b, bias, y, product, first, last, left, right,
                           (TILE_ACCUMULATE if step else 0) | (relu if step == steps - 1 else 0))
    if product.activation > RELU:
        _activate_block(y, product, first, last, left, right)


cdef inline const real *_gather_view(const real *x, const Product *product, Py_ssize_t first, Py_ssize_t last, real *patches,
                                     View *view) noexcept nogil:
    """Gather columns [skipped, skipped + k) of the patches of rows [first, last)."""
    view.segment = 0
    view.pixel = line_pitch(view.k, x)
    gather_patches(x, product.x_size, &product.window, first, last - first, view.skipped, view.k, patches, view.pixel,
                   (BLOCK_BYTES + LINE_BYTES) // sizeof(real))
    return patches


cdef inline void _multiply_view(const real *a, const View *view, const real *b, const real *bias, real *y, const Product *product,
                                Py_ssize_t first, Py_ssize_t last, Py_ssize_t left, Py_ssize_t right, int flags) noexcept nogil:
    """Multiply rows [first, last) of A, as far as `view` shows them, with columns [left, right) of B."""
    cdef Py_ssize_t width = panel_width(a), panel, n, at, ldb, at_b
    cdef real *c
    for panel in range((right - left + width - 1) // width):
        at = left + panel * width
        n = min(width, right - at)
        c = y + first * product.ldc + at
        if product.packed:
            ldb = tile_width(n, sizeof(real))
            multiply_segments(a, view.pixel, 1, view.segment, b + at * product.k + view.skipped * ldb, ldb, c, product.ldc, last - first,
                              view.segments, view.k, n, bias + at if bias else NULL, flags)
        else:
            at_b = at + view.skipped * product.ldb
            multiply_panel(a, view.pixel, 1, b + at_b, product.ldb, product.b_size - at_b, c, product.ldc, last - first, view.k, n,
                           bias + at if bias else NULL, flags)


cdef inline void _activate_block(real *y, const Product *product, Py_ssize_t first, Py_ssize_t last, Py_ssize_t left,
                                 Py_ssize_t right) noexcept nogil:
    cdef Py_ssize_t row
    if right - left == product.ldc:
        activate_inplace(y + first * product.ldc, (last - first) * product.n, product.activation, <real>product.alpha)
    else:
        for row in range(first, last):
            activate_inplace(y + row * product.ldc + left, right - left, product.activation, <real>product.alpha)
