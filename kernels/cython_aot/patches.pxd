"""The patches of an image that the pixels of a convolution's output see: the rows of the matrix that im2col would make.

Row (n, oh, ow) of that matrix, flattened, holds the image at rows ``oh * stride_h - pad_top + i * dilation_h`` and likewise columns,
in the order (i, j, channel), and zero where that lies outside the image.
"""

from libc.string cimport memcpy, memset

from call cimport real

cdef enum:
    # A block of patches is BLOCK_ROWS (a multiple of every TILE_ROWS) by at most BLOCK_COLUMNS_BYTES, with a cache line between rows: 56 KB
    # fit the stack of any thread, and are read from the second-level cache while panels of B stream past.
    BLOCK_ROWS = 36
    BLOCK_COLUMNS_BYTES = 1536
    BLOCK_BYTES = BLOCK_ROWS * (BLOCK_COLUMNS_BYTES + 64)
    LINE_PIXELS = 6  # rows of output pixels from this length fill tiles
    PIECE = 16  # elements that are copied at once, and as many or few as that of a short run
    SHORT_PIECE = 4


cdef struct Window:
    Py_ssize_t ih, iw, c  # image, and the channels of it that are read
    Py_ssize_t pixel  # elements from one pixel of the image to the next: all its channels
    Py_ssize_t oh, ow
    Py_ssize_t kh, kw
    Py_ssize_t stride_h, stride_w, pad_top, pad_left, dilation_h, dilation_w


cdef inline bint patches_are_pixels(const Window *window) noexcept nogil:
    """Say whether the patches are the image's pixels themselves, so that nothing needs to be gathered."""
    return (window.kh == 1 and window.kw == 1 and window.stride_h == 1 and window.stride_w == 1 and window.pad_top == 0
            and window.pad_left == 0 and window.ih == window.oh and window.iw == window.ow)


cdef inline bint columns_joined(const Window *window) noexcept nogil:
    """Say whether the pixels of a row of a patch stand side by side in the image."""
    return window.dilation_w == 1 and window.pixel == window.c


cdef struct View:
    # Where a row of output pixels finds its patches: element (p, s * k + q) stands at p * pixel + s * segment + q
    Py_ssize_t pixel, segment
    Py_ssize_t segments, k
    Py_ssize_t skipped  # elements of each patch, before these, that lie above the image


cdef inline Py_ssize_t padded_width(const Window *window) noexcept nogil:
    """Pixels of the image, with its padding, that a row of output pixels sees side by side."""
    return (window.ow - 1) * window.stride_w + window.kw


cdef inline bint needs_padding(const Window *window) noexcept nogil:
    return window.pad_left > 0 or padded_width(window) > window.iw


cdef inline const real *view_line(const real *x, const Window *window, Py_ssize_t line, real *padded, View *view) noexcept nogil:
    """Find the patches of row `line` of output pixels: in the image, or in a copy of its rows with zeros beside them.

    Only for patches whose columns stand side by side in the image (dilation_w 1, no groups). `padded` has room for
    kh * padded_width * c elements.
    """
    cdef Py_ssize_t image = line // window.oh, h = line % window.oh * window.stride_h - window.pad_top
    cdef Py_ssize_t width = padded_width(window) * window.c, i
    cdef Py_ssize_t above = min((-h + window.dilation_h - 1) // window.dilation_h, window.kh) if h < 0 else 0
    cdef Py_ssize_t below = max((window.ih - h + window.dilation_h - 1) // window.dilation_h, above) if h < window.ih else above
    cdef const real *pixels = x + (image * window.ih + h + above * window.dilation_h) * window.iw * window.c
    view.pixel = window.stride_w * window.c
    view.segment = window.dilation_h * window.iw * window.c
    view.segments = min(below, window.kh) - above
    view.k = window.kw * window.c
    view.skipped = above * view.k
    if not needs_padding(window):
        return pixels
    for i in range(view.segments):
        pad_line(pixels + i * view.segment, window, padded + i * width)
    view.segment = width
    return padded


cdef inline void pad_line(const real *pixels, const Window *window, real *padded) noexcept nogil:
    """Copy a row of the image, padded_width pixels of it, with zeros for those beside it."""
    cdef Py_ssize_t width = padded_width(window) * window.c, left = window.pad_left * window.c
    cdef Py_ssize_t inside = min(window.iw * window.c, width - left)
    memset(padded, 0, left * sizeof(real))
    memcpy(padded + left, pixels, inside * sizeof(real))
    memset(padded + left + inside, 0, (width - left - inside) * sizeof(real))


cdef inline void gather_patches(const real *x, Py_ssize_t x_size, const Window *window, Py_ssize_t row, Py_ssize_t rows,
                                Py_ssize_t column, Py_ssize_t columns, real *patches, Py_ssize_t pitch,
                                Py_ssize_t size) noexcept nogil:
    """Write rows [row, row + rows) and columns [column, column + columns) to `patches`, rows `pitch` apart.

    `x_size` and `size` are the elements that may be read at `x` and written at `patches`: as far as they allow, runs are copied in
    whole pieces, since what is written too much is overwritten by what follows.
    """
    cdef Py_ssize_t image = row // (window.oh * window.ow), r, h, w, inner
    cdef Py_ssize_t oh = row // window.ow % window.oh, ow = row % window.ow
    cdef Py_ssize_t line = window.iw * window.pixel  # elements in a row of the image
    cdef bint joined = columns_joined(window)
    cdef Py_ssize_t runs = 1 if joined else window.kw, run = window.kw * window.c // runs  # elements side by side in both
    cdef Py_ssize_t next_run = window.dilation_w * window.pixel, next_line = window.dilation_h * line
    cdef Py_ssize_t last_line = (window.kh - 1) * window.dilation_h, last_pixel = (window.kw - 1) * window.dilation_w
    cdef Py_ssize_t first_run = column // run, skipped = column - first_run * run
    cdef Py_ssize_t far = last_line * line + last_pixel * window.pixel + window.c + PIECE  # from the first element of a patch
    for r in range(rows):
        h = oh * window.stride_h - window.pad_top
        w = ow * window.stride_w - window.pad_left
        inner = (image * window.ih + h) * line + w * window.pixel
        if (h >= 0 and w >= 0 and h + last_line < window.ih and w + last_pixel < window.iw and inner + far <= x_size
                and r * pitch + columns + PIECE <= size):
            _copy_inner_patch(x + inner, next_line, next_run, run, runs, first_run, skipped, columns, patches + r * pitch)
        else:
            _copy_clipped_patch(x + image * window.ih * line, window, h, w, runs, column, columns, patches + r * pitch)
        ow += 1
        if ow == window.ow:
            ow = 0
            oh += 1
            if oh == window.oh:
                oh = 0
                image += 1


cdef inline void _copy_inner_patch(const real *pixels, Py_ssize_t next_line, Py_ssize_t next_run, Py_ssize_t run, Py_ssize_t runs,
                                   Py_ssize_t first_run, Py_ssize_t skipped, Py_ssize_t columns, real *patch) noexcept nogil:
    """Copy the runs of a patch, `runs` in each line, one behind the other; may write up to a piece too much.

    Begins `skipped` elements into run `first_run`.
    """
    cdef Py_ssize_t line = first_run // runs, place = first_run - line * runs, count = min(run - skipped, columns), done
    cdef const real *at
    while columns > 0:
        at = pixels + line * next_line + place * next_run + skipped
        memcpy(patch, at, SHORT_PIECE * sizeof(real))
        done = SHORT_PIECE
        while done < count:
            if count - done <= SHORT_PIECE:
                memcpy(patch + done, at + done, SHORT_PIECE * sizeof(real))
                break
            memcpy(patch + done, at + done, PIECE * sizeof(real))
            done += PIECE
        patch += count
        columns -= count
        skipped = 0
        count = min(run, columns)
        place += 1
        if place == runs:
            place = 0
            line += 1


cdef inline void _copy_clipped_patch(const real *image, const Window *window, Py_ssize_t h, Py_ssize_t w, Py_ssize_t runs,
                                     Py_ssize_t column, Py_ssize_t columns, real *patch) noexcept nogil:
    """Copy columns [column, column + columns) of the patch whose first pixel is (h, w), zero where it leaves the image.

    The patch consists of kh * `runs` runs of elements that stand side by side.
    """
    cdef Py_ssize_t run = window.kw // runs * window.c, line = window.iw * window.pixel
    cdef Py_ssize_t i, k, at, start, stop, first, last, row
    for i in range(column // run, (column + columns + run - 1) // run):
        start = max(column - i * run, 0)  # the part of this run that is asked for
        stop = min(column + columns - i * run, run)
        row = h + i // runs * window.dilation_h
        at = (w + i % runs * window.dilation_w) * window.pixel  # where the run begins in the row of the image
        if row < 0 or row >= window.ih:
            first = last = stop
        else:
            first = min(max(start, -at), stop)  # the part of that which lies inside
            last = max(min(stop, line - at), first)
        for k in range(start, first):
            patch[k - start] = 0
        memcpy(patch + first - start, image + row * line + at + first, (last - first) * sizeof(real))
        for k in range(last, stop):
            patch[k - start] = 0
        patch += stop - start
