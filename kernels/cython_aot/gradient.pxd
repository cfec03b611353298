"""The gradient of filters: dw[k, filters] = A^T[k, pixels] dy[pixels, filters], where a row of A is the patch that an output pixel sees.

The inputs of a dense layer are patches too, of images of one pixel. The errors are read in place; patches are, where they can be, or
are gathered a block at a time.
"""

from cython.parallel cimport prange
from libc.stdlib cimport free, malloc

from call cimport real
from gemm cimport (LINE_BYTES, PARALLEL_FLOPS, TILE_ACCUMULATE, TILE_ROWS, first_line, line_pitch, multiply_panel, multiply_segments,
                   panel_width, panels_size)
from patches cimport (BLOCK_BYTES, LINE_PIXELS, Window, columns_joined, gather_patches, needs_padding, pad_line, padded_width,
                      patches_are_pixels)

cdef enum:
    # A block of gathered patches is this many pixels by this many bytes of each: 56 KB
    DEPTH = 128
    COLUMNS_BYTES = 384
    LONG_RUN = 64  # elements side by side from which gathering them costs little
    CHUNKS = 8  # most chunks into which the pixels are cut, each of at least
    CHUNK_PIXELS = 512
    PARTIAL_ELEMENTS = 262144  # in the partial sums of all chunks


cdef struct Gradient:
    Window window
    Py_ssize_t x_size
    Py_ssize_t pixels, k, n  # patches, and the extents of the filters' gradient
    Py_ssize_t dy_pixel, dy_size  # elements from one pixel of the errors to the next, elements that may be read at dy
    Py_ssize_t dw_row  # elements from one row of dw to the next
    bint added  # to what dw and db hold, instead of in its place


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


cdef inline void multiply_halves_transposed(const real *x, const real *dy, real *dw, real *db, const Gradient *left,
                                            const Gradient *right, int threads) noexcept nogil:
    """The same of a matrix in halves, of which each thread has one, or a share of its columns."""
    cdef Py_ssize_t shares = max(min(threads // 2, left.k // TILE_ROWS), 1), task
    if threads == 1 or 2 * (left.k + right.k) * left.n * left.pixels < PARALLEL_FLOPS:
        _gradient_task(x, dy, dw, db, <real *>NULL, left, 0, 1, 0, 1)
        _gradient_task(x + left.x_size, dy, dw + left.k * left.dw_row, <real *>NULL, <real *>NULL, right, 0, 1, 0, 1)
    else:
        for task in prange(2 * shares, num_threads=threads, schedule="static"):
            if task < shares:
                _gradient_task(x, dy, dw, db, <real *>NULL, left, 0, 1, task, shares)
            else:
                _gradient_task(x + left.x_size, dy, dw + left.k * left.dw_row, <real *>NULL, <real *>NULL, right, 0, 1,
                               task - shares, shares)


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
    cdef int flags = TILE_ACCUMULATE if gradient.added and chunk == 0 else 0
    if chunk > 0:
        dw = partial + (chunk - 1) * (gradient.k + 1) * gradient.n
        db = dw + gradient.k * gradient.n if db else NULL
        ldc = gradient.n
    if share > 0:
        db = NULL
    if first == last:
        _gradient_pixels(x, dy, dw + start * ldc, db, ldc, gradient, 0, 0, start, stop, flags)
    while line < last:
        if band > 0:
            end = min(line + band, min(last, (line // gradient.window.oh + 1) * gradient.window.oh))
            _gradient_lines(x, dy, dw + start * ldc, db, ldc, gradient, line, end, start, stop, flags)
        else:
            end = min(line + max(DEPTH // ow, 1), last)
            _gradient_pixels(x, dy, dw + start * ldc, db, ldc, gradient, line * ow, end * ow, start, stop, flags)
        flags = TILE_ACCUMULATE
        line = end


cdef inline Py_ssize_t _band_lines(const Gradient *gradient, const real *tag) noexcept nogil:
    """Return how many rows of output pixels to sum at once straight from the image, or from a padded copy of some rows of it.

    0 where it is better to gather patches: where they are short or not in one piece, or where an image has too few pixels.
    """
    cdef const Window *window = &gradient.window
    cdef Py_ssize_t bytes = padded_width(window) * window.c * sizeof(real), lines = min(max(DEPTH // window.ow, 1), window.oh)
    if patches_are_pixels(window) or not columns_joined(window) or window.ow < LINE_PIXELS or window.kw * window.c < 3:
        return 0
    if window.ow < 2 * LINE_PIXELS and window.kw * window.c >= LONG_RUN:
        return 0
    if needs_padding(window):
        lines = min(lines, (BLOCK_BYTES // bytes - (window.kh - 1) * window.dilation_h - 1) // window.stride_h + 1)
    return lines if lines * window.ow >= DEPTH // 4 else 0


cdef inline void _gradient_lines(const real *x, const real *dy, real *dw, real *db, Py_ssize_t ldc, const Gradient *gradient,
                                 Py_ssize_t first, Py_ssize_t last, Py_ssize_t start, Py_ssize_t stop, int flags) noexcept nogil:
    """Add rows [first, last) of output pixels, all of one image, to rows [start, stop) of dw, of which `dw` is the first.

    A tile's rows are elements side by side in one row of the patches, which step on from pixel to pixel.
    """
    cdef char memory[BLOCK_BYTES + 2 * LINE_BYTES]
    cdef real *padded = first_line(memory, x)
    cdef const Window *window = &gradient.window
    cdef Py_ssize_t image = first // window.oh, top = first % window.oh * window.stride_h - window.pad_top, h, i, left, right
    cdef Py_ssize_t line = window.iw * window.c, run = window.kw * window.c, above, below, count
    cdef Py_ssize_t past = panels_size(1, gradient.n, x) - gradient.dy_pixel  # what tiles read past a pixel's errors
    cdef Py_ssize_t inside = min(max((gradient.dy_size - past) // (window.ow * gradient.dy_pixel), first), last)
    cdef const real *pixels = x + image * window.ih * line
    if inside < last:  # tiles would read past the end of dy
        _gradient_pixels(x, dy, dw, db, ldc, gradient, inside * window.ow, last * window.ow, start, stop, flags)
        flags = TILE_ACCUMULATE
    if inside == first:
        return
    last = inside
    count = last - first
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
    cdef Py_ssize_t columns = COLUMNS_BYTES // sizeof(real), blocks = (stop - start + columns - 1) // columns, block
    cdef Py_ssize_t steps = max((end - begin + DEPTH - 1) // DEPTH, 1), step, first, last, left, right
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
    cdef char memory[DEPTH * (COLUMNS_BYTES + LINE_BYTES) + 2 * LINE_BYTES]
    cdef real *patches = first_line(memory, x)
    cdef const real *a = patches
    cdef Py_ssize_t width = panel_width(x), pitch = line_pitch(stop - start, x), panel, left, at = begin * gradient.dy_pixel
    if patches_are_pixels(&gradient.window):
        a = x + begin * gradient.window.pixel + start
        pitch = gradient.window.pixel
    else:
        gather_patches(x, gradient.x_size, &gradient.window, begin, end - begin, start, stop - start, patches, pitch,
                       (DEPTH * (COLUMNS_BYTES + LINE_BYTES) + LINE_BYTES) // sizeof(real))
    for panel in range((gradient.n + width - 1) // width):
        left = panel * width
        multiply_panel(a, 1, pitch, dy + at + left, gradient.dy_pixel, gradient.dy_size - at - left, dw + left, ldc, stop - start,
                       end - begin, min(width, gradient.n - left), <const real *>NULL, flags)
