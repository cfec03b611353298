"""The matrix product under dense layers and convolutions.

Forward both are C[rows, n] = A[rows, k] B[k, n], where a row of A is the patch of the image that one output pixel sees
(`patches.pxd`) and B holds the filters; a dense layer is the case of images of one pixel. The gradient of the filters is A^T B with the
errors as B. Nothing as large as A is ever stored: a block of patches is gathered where it stays in a near cache, multiplied by all
of B, and the next block overwrites it. Columns of B are taken in panels as wide as the register tile of `tile.h`.
"""

from cython.parallel cimport prange
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

from activate cimport RELU, activate_inplace
from call cimport real
from patches cimport (View, Window, columns_joined, gather_patches, needs_padding, pad_line, padded_width, patches_are_pixels,
                      view_line)

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

cdef enum:
    LINE_BYTES = 64
    # A block of patches is BLOCK_ROWS (a multiple of every TILE_ROWS) by at most DEPTH_BYTES: 56 KB, which fits the stack of any thread
    # and is read from the second-level cache while a panel of B (DEPTH_BYTES deep: 48 KB with AVX-512) streams past.
    BLOCK_ROWS = 36
    DEPTH_BYTES = 1536
    BLOCK_BYTES = BLOCK_ROWS * (DEPTH_BYTES + LINE_BYTES)
    LINE_PIXELS = 6  # rows of output pixels from this length fill tiles
    LONG_RUN = 64  # elements side by side from which gathering them costs little
    # For the gradient of the filters the block is turned: this many patches deep, this many bytes of each.
    GRADIENT_DEPTH = 128
    GRADIENT_BYTES = 384
    SMALL_BYTES = 16384  # packed filters up to this size need no malloc
    PARALLEL_FLOPS = 1500000  # below (some 15 us of one thread), a busy machine may lose more by a second thread than it brings
    TASKS = 8  # work is cut into at least this many tasks where it can be
    CHUNKS = 8  # most chunks into which the pixels of a gradient are cut, each of at least
    CHUNK_PIXELS = 512
    PARTIAL_ELEMENTS = 262144  # in the partial sums of all chunks


cdef struct Product:
    Window window  # how the rows of A lie in the image
    Py_ssize_t x_size  # elements that may be read at x
    Py_ssize_t rows, k, n
    bint packed  # B is in panels, see pack_rows; otherwise its rows lie ldb apart and b_size elements may be read
    Py_ssize_t ldb, b_size
    Py_ssize_t ldc  # from one row of C to the next
    Py_ssize_t activation
    double alpha


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
    cdef Py_ssize_t inside = k, p
    cdef real *end = <real *>padded
    if (k - 1) * ldb + width <= b_size or k == 0:
        multiply_segments(a, row, step, 0, b, ldb, c, ldc, rows, 1, k, n, bias, flags)
        return
    inside = min(k, (b_size - width) // ldb + 1) if b_size >= width else 0
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


cdef inline void multiply(const real *x, const real *b, const real *bias, real *y, const Product *product, int threads) noexcept nogil:
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
    cdef Py_ssize_t depth = DEPTH_BYTES // sizeof(real), steps = max((product.k + depth - 1) // depth, 1), step
    cdef int relu = TILE_RELU if product.activation == RELU else 0
    if lines:
        a = view_line(x, &product.window, row_task, patches, &view)
        _multiply_view(a, &view, b, bias, y, product, first, last, left, right, relu)
    else:
        for step in range(steps):
            view.skipped = step * product.k // steps
            view.k = (step + 1) * product.k // steps - view.skipped
            view.segments = 1
            a = _view_patches(x, product, first, last, patches, &view)
            _multiply_view(a, &view, b, bias, y, product, first, last, left, right,
                           (TILE_ACCUMULATE if step else 0) | (relu if step == steps - 1 else 0))
    if product.activation > RELU:
        _activate_block(y, product, first, last, left, right)


cdef inline const real *_view_patches(const real *x, const Product *product, Py_ssize_t first, Py_ssize_t last, real *patches,
                                      View *view) noexcept nogil:
    """Gather columns [skipped, skipped + k) of the patches of rows [first, last), unless they can be read from the image."""
    view.segment = 0
    if patches_are_pixels(&product.window):
        view.pixel = product.window.pixel
        return x + first * product.window.pixel + view.skipped
    view.pixel = line_pitch(view.k, x)
    if view.k > 0:
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
    cdef Py_ssize_t width = panel_width(w), panel, p, left, count, ldb
    for panel in range((n + width - 1) // width):
        left = panel * width
        count = min(width, n - left)
        ldb = tile_width(count, sizeof(real))
        for p in range(k):
            memcpy(panels + left * k + p * ldb, w + p * ldw + left, count * sizeof(real))
            if count < ldb:
                memset(panels + left * k + p * ldb + count, 0, (ldb - count) * sizeof(real))


cdef inline void pack_columns(const real *w, Py_ssize_t ldw, Py_ssize_t first, Py_ssize_t rows, Py_ssize_t k, Py_ssize_t n,
                              real *panels) noexcept nogil:
    """Pack rows [first, first + rows) of B[k, n] from its transpose: B[first + p, j] stands at w[j * ldw + p]."""
    cdef Py_ssize_t width = panel_width(w), panel, p, j, left, count, ldb
    cdef real *to
    for panel in range((n + width - 1) // width):
        left = panel * width
        count = min(width, n - left)
        ldb = tile_width(count, sizeof(real))
        to = panels + left * k + first * ldb
        for j in range(count):
            for p in range(rows):
                to[p * ldb + j] = w[(left + j) * ldw + p]
        for j in range(count, ldb):
            for p in range(rows):
                to[p * ldb + j] = 0


cdef struct Gradient:
    Window window
    Py_ssize_t x_size
    Py_ssize_t pixels, k, n  # patches, and the extents of the filters' gradient
    Py_ssize_t dy_pixel, dy_size  # elements from one pixel of the errors to the next, elements that may be read at dy
    Py_ssize_t dw_row  # elements from one row of dw to the next


cdef inline void multiply_transposed(const real *x, const real *dy, real *dw, real *db, const Gradient *gradient,
                                     int threads) noexcept nogil:
    """dw = patches of x, transposed, @ dy; db = the sum of dy over pixels (where db is not NULL).

    The pixels are cut into chunks, as many as the shape alone says, whose sums are added in order; of a chunk's dw each of several
    tasks makes a share. So the result does not depend on the number of threads. (It does on whether there is memory for the sums.)
    """
    cdef Py_ssize_t size = (gradient.k + 1) * gradient.n, chunks = _gradient_chunks(gradient), shares, task
    cdef real *partial = <real *>malloc((chunks - 1) * size * sizeof(real)) if chunks > 1 else NULL
    if partial == NULL:
        chunks = 1
    if threads == 1 or 2 * size * gradient.pixels < PARALLEL_FLOPS:
        for task in range(chunks):
            _gradient_task(x, dy, dw, db, partial, gradient, task, chunks, 0, 1)
    else:
        shares = max(min((threads + chunks - 1) // chunks, gradient.k // TILE_ROWS), 1)
        for task in prange(chunks * shares, num_threads=threads, schedule="static"):
            _gradient_task(x, dy, dw, db, partial, gradient, task // shares, chunks, task % shares, shares)
    for task in range(chunks - 1):
        _add_partial(partial + task * size, dw, db, gradient)
    free(partial)


cdef inline Py_ssize_t _gradient_chunks(const Gradient *gradient) noexcept nogil:
    """Return into how many chunks the pixels are cut: not so many that adding their sums, or the memory for them, is felt."""
    cdef Py_ssize_t most = PARTIAL_ELEMENTS // ((gradient.k + 1) * gradient.n + 1)
    return max(min(min(most, CHUNKS), gradient.pixels // CHUNK_PIXELS), 1)


cdef inline void _add_partial(const real *partial, real *dw, real *db, const Gradient *gradient) noexcept nogil:
    cdef Py_ssize_t i, j
    for i in range(gradient.k):
        for j in range(gradient.n):
            dw[i * gradient.dw_row + j] += partial[i * gradient.n + j]
    if db:
        for j in range(gradient.n):
            db[j] += partial[gradient.k * gradient.n + j]


cdef inline void _gradient_task(const real *x, const real *dy, real *dw, real *db, real *partial, const Gradient *gradient,
                                Py_ssize_t chunk, Py_ssize_t chunks, Py_ssize_t share, Py_ssize_t shares) noexcept nogil:
    """Sum a chunk of the pixels into a share of the rows of dw, or of the chunk's partial sums."""
    cdef Py_ssize_t start = share * gradient.k // shares, stop = (share + 1) * gradient.k // shares
    cdef Py_ssize_t ldc = gradient.dw_row, ow = gradient.window.ow, lines = gradient.pixels // ow
    cdef Py_ssize_t first = chunk * lines // chunks, last = (chunk + 1) * lines // chunks, line = first, end
    cdef Py_ssize_t band = _band_lines(gradient, x)
    if chunk > 0:
        dw = partial + (chunk - 1) * (gradient.k + 1) * gradient.n
        db = dw + gradient.k * gradient.n if db else NULL
        ldc = gradient.n
    if share > 0:
        db = NULL
    if first == last:
        _gradient_pixels(x, dy, dw + start * ldc, db, ldc, gradient, 0, 0, start, stop, 0)
    while line < last:
        if band > 0:
            end = min(line + band, min(last, (line // gradient.window.oh + 1) * gradient.window.oh))
            _gradient_lines(x, dy, dw + start * ldc, db, ldc, gradient, line, end, start, stop, TILE_ACCUMULATE if line > first else 0)
        else:
            end = min(line + max(GRADIENT_DEPTH // ow, 1), last)
            _gradient_pixels(x, dy, dw + start * ldc, db, ldc, gradient, line * ow, end * ow, start, stop,
                             TILE_ACCUMULATE if line > first else 0)
        line = end


cdef inline Py_ssize_t _band_lines(const Gradient *gradient, const real *tag) noexcept nogil:
    """Return how many rows of output pixels to sum at once straight from the image, or from a padded copy of some rows of it.

    0 where it is better to gather patches: where they are short or not in one piece, or where an image has too few pixels.
    """
    cdef const Window *window = &gradient.window
    cdef Py_ssize_t bytes = padded_width(window) * window.c * sizeof(real), lines = min(max(GRADIENT_DEPTH // window.ow, 1), window.oh)
    if patches_are_pixels(window) or not columns_joined(window) or window.ow < LINE_PIXELS or window.kw * window.c < 3:
        return 0
    if window.ow < 2 * LINE_PIXELS and window.kw * window.c >= LONG_RUN:
        return 0
    if needs_padding(window):
        lines = min(lines, (BLOCK_BYTES // bytes - (window.kh - 1) * window.dilation_h - 1) // window.stride_h + 1)
    return lines if lines * window.ow >= GRADIENT_DEPTH // 4 else 0


cdef inline void _gradient_lines(const real *x, const real *dy, real *dw, real *db, Py_ssize_t ldc, const Gradient *gradient,
                                 Py_ssize_t first, Py_ssize_t last, Py_ssize_t start, Py_ssize_t stop, int flags) noexcept nogil:
    """Add rows [first, last) of output pixels, all of one image, to rows [start, stop) of dw, of which `dw` is the first.

    A tile's rows are elements side by side in one row of the patches, which step on from pixel to pixel.
    """
    cdef char memory[BLOCK_BYTES + 2 * LINE_BYTES]
    cdef real *padded = first_line(memory, x)
    cdef const Window *window = &gradient.window
    cdef Py_ssize_t image = first // window.oh, top = first % window.oh * window.stride_h - window.pad_top, h, i, left, right
    cdef Py_ssize_t line = window.iw * window.c, run = window.kw * window.c, above, below, count = last - first
    cdef const real *pixels = x + image * window.ih * line
    if last * window.ow * gradient.dy_pixel + PANEL_BYTES // sizeof(real) > gradient.dy_size:  # tiles would read past the end of dy
        _gradient_pixels(x, dy, dw, db, ldc, gradient, first * window.ow, last * window.ow, start, stop, flags)
        return
    if needs_padding(window):
        line = padded_width(window) * window.c
        for h in range(max(top, 0), min(top + (count - 1) * window.stride_h + (window.kh - 1) * window.dilation_h + 1, window.ih)):
            pad_line(pixels + h * window.iw * window.c, window, padded + (h - top) * line)
        pixels = padded - top * line
    for i in range(start // run, (stop + run - 1) // run):
        left = max(start - i * run, 0)
        right = min(stop - i * run, run)
        h = top + i * window.dilation_h  # the row of the image that element i of the first row's patches meets
        above = min((window.stride_h - 1 - h) // window.stride_h, count) if h < 0 else 0
        below = max((window.ih - 1 - h) // window.stride_h + 1, above) if h < window.ih else above
        _gradient_run(pixels + (h + above * window.stride_h) * line + left, window.stride_h * line,
                      dy + (first + above) * window.ow * gradient.dy_pixel, dw + (i * run + left - start) * ldc, ldc, gradient,
                      right - left, min(below, count) - above, flags)
    if db:
        _sum_pixels(dy, db, gradient, first * window.ow, last * window.ow, flags)


cdef inline void _gradient_run(const real *pixels, Py_ssize_t segment, const real *dy, real *dw, Py_ssize_t ldc,
                               const Gradient *gradient, Py_ssize_t rows, Py_ssize_t lines, int flags) noexcept nogil:
    cdef Py_ssize_t width = panel_width(pixels), panel
    for panel in range((gradient.n + width - 1) // width):
        multiply_segments(pixels, 1, gradient.window.stride_w * gradient.window.c, segment, dy + panel * width, gradient.dy_pixel,
                          dw + panel * width, ldc, rows, lines, gradient.window.ow, min(width, gradient.n - panel * width),
                          <const real *>NULL, flags)


cdef inline void _gradient_pixels(const real *x, const real *dy, real *dw, real *db, Py_ssize_t ldc, const Gradient *gradient,
                                  Py_ssize_t begin, Py_ssize_t end, Py_ssize_t start, Py_ssize_t stop, int flags) noexcept nogil:
    """Add pixels [begin, end) to rows [start, stop) of dw, of which `dw` is the first, and to db."""
    cdef Py_ssize_t columns = GRADIENT_BYTES // sizeof(real), blocks = (stop - start + columns - 1) // columns, block
    cdef Py_ssize_t steps = max((end - begin + GRADIENT_DEPTH - 1) // GRADIENT_DEPTH, 1), step, first, last, left, right
    for step in range(steps):
        first = begin + step * (end - begin) // steps
        last = begin + (step + 1) * (end - begin) // steps
        for block in range(blocks):
            left = start + block * (stop - start) // blocks
            right = start + (block + 1) * (stop - start) // blocks
            _gradient_block(x, dy, dw + (left - start) * ldc, ldc, gradient, first, last, left, right, flags)
        if db:
            _sum_pixels(dy, db, gradient, first, last, flags)
        flags = TILE_ACCUMULATE


cdef inline void _sum_pixels(const real *dy, real *db, const Gradient *gradient, Py_ssize_t begin, Py_ssize_t end,
                             int flags) noexcept nogil:
    """Add the errors of pixels [begin, end) to db: the product of a row of ones with them."""
    cdef Py_ssize_t width = panel_width(dy), panel, at
    cdef real one = 1
    for panel in range((gradient.n + width - 1) // width):
        at = begin * gradient.dy_pixel + panel * width
        multiply_panel(&one, 0, 0, dy + at, gradient.dy_pixel, gradient.dy_size - at, db + panel * width, gradient.n, 1, end - begin,
                       min(width, gradient.n - panel * width), <const real *>NULL, flags)


cdef inline void _gradient_block(const real *x, const real *dy, real *dw, Py_ssize_t ldc, const Gradient *gradient, Py_ssize_t begin,
                                 Py_ssize_t end, Py_ssize_t start, Py_ssize_t stop, int flags) noexcept nogil:
    """Add pixels [begin, end) to rows [start, stop) of dw, of which `dw` is the first."""
    cdef char memory[GRADIENT_DEPTH * (GRADIENT_BYTES + LINE_BYTES) + 2 * LINE_BYTES]
    cdef real *patches = first_line(memory, x)
    cdef const real *a = patches
    cdef Py_ssize_t width = panel_width(x), pitch = line_pitch(stop - start, x), panel, left, at = begin * gradient.dy_pixel
    if patches_are_pixels(&gradient.window):
        a = x + begin * gradient.window.pixel + start
        pitch = gradient.window.pixel
    else:
        gather_patches(x, gradient.x_size, &gradient.window, begin, end - begin, start, stop - start, patches, pitch,
                       (GRADIENT_DEPTH * (GRADIENT_BYTES + LINE_BYTES) + LINE_BYTES) // sizeof(real))
    for panel in range((gradient.n + width - 1) // width):
        left = panel * width
        multiply_panel(a, 1, pitch, dy + at + left, gradient.dy_pixel, gradient.dy_size - at - left, dw + left, ldc, stop - start,
                       end - begin, min(width, gradient.n - left), <const real *>NULL, flags)
