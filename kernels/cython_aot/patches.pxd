"""The patches of an image that the pixels of a convolution's output see: the rows of the matrix that im2col would make.

Row (n, oh, ow) of that matrix, flattened, holds the image at rows ``oh * stride_h - pad_top + i * dilation_h`` and likewise columns,
in the order (i, j, channel), and zero where that lies outside the image.
"""

from libc.string cimport memcpy, memset

from call cimport real

cdef enum:
    SHORT_BYTES = 16  # short runs are copied in pieces of this size, long ones in pieces of LONG_BYTES
    LONG_BYTES = 64


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


cdef inline void gather_patches(const real *x, Py_ssize_t x_size, const Window *window, Py_ssize_t row, Py_ssize_t rows,
                                Py_ssize_t column, Py_ssize_t columns, real *patches, Py_ssize_t pitch,
                                Py_ssize_t size) noexcept nogil:
    """Write rows [row, row + rows) and columns [column, column + columns) to `patches`, rows `pitch` apart.

    `x_size` and `size` are the elements that may be read at `x` and written at `patches`: a run may be copied in whole pieces as far as
    they allow, since what follows it is written later.
    """
    cdef Py_ssize_t image = row // (window.oh * window.ow), r, h, w
    cdef Py_ssize_t oh = row // window.ow % window.oh, ow = row % window.ow
    cdef Py_ssize_t line = window.iw * window.pixel  # elements in a row of the image
    cdef Py_ssize_t run = window.kw * window.c  # elements side by side in the patch and in the image
    cdef bint joined = window.dilation_w == 1 and window.pixel == window.c
    cdef bint whole = joined and column == 0 and columns == window.kh * run
    cdef const real *pixels
    for r in range(rows):
        h = oh * window.stride_h - window.pad_top
        w = ow * window.stride_w - window.pad_left
        pixels = x + (image * window.ih + h) * line + w * window.pixel
        if (whole and h >= 0 and w >= 0 and h + (window.kh - 1) * window.dilation_h < window.ih and w + window.kw <= window.iw
                and pixels - x + (window.kh - 1) * window.dilation_h * line + run + LONG_BYTES <= x_size
                and r * pitch + columns + LONG_BYTES <= size):
            _copy_inner_patch(pixels, window.dilation_h * line, run, window.kh, patches + r * pitch)
        else:
            _copy_clipped_patch(x + image * window.ih * line, window, h, w, 1 if joined else window.kw, column, columns,
                                patches + r * pitch)
        ow += 1
        if ow == window.ow:
            ow = 0
            oh += 1
            if oh == window.oh:
                oh = 0
                image += 1


cdef inline void _copy_inner_patch(const real *pixels, Py_ssize_t line, Py_ssize_t run, Py_ssize_t lines,
                                   real *patch) noexcept nogil:
    """Copy `lines` runs, `line` elements apart, one behind the other; may write up to a piece more than the last."""
    cdef Py_ssize_t i, done, piece = LONG_BYTES // sizeof(real)
    if run <= 2 * <Py_ssize_t>(SHORT_BYTES // sizeof(real)):
        piece = SHORT_BYTES // sizeof(real)
        for i in range(lines):
            memcpy(patch, pixels, SHORT_BYTES)
            if run > piece:
                memcpy(patch + piece, pixels + piece, SHORT_BYTES)
            patch += run
            pixels += line
        return
    for i in range(lines):
        done = 0
        while done < run:
            memcpy(patch + done, pixels + done, LONG_BYTES)
            done += piece
        patch += run
        pixels += line


cdef inline void _copy_clipped_patch(const real *image, const Window *window, Py_ssize_t h, Py_ssize_t w, Py_ssize_t runs,
                                     Py_ssize_t column, Py_ssize_t columns, real *patch) noexcept nogil:
    """Copy columns [column, column + columns) of the patch whose first pixel is (h, w), zero where it leaves the image.

    The patch consists of kh * `runs` runs of elements that stand side by side.
    """
    cdef Py_ssize_t run = window.kw // runs * window.c, line = window.iw * window.pixel
    cdef Py_ssize_t i, at, start, stop, first, last, row
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
        memset(patch, 0, (first - start) * sizeof(real))
        memcpy(patch + first - start, image + row * line + at + first, (last - first) * sizeof(real))
        memset(patch + last - start, 0, (stop - last) * sizeof(real))
        patch += stop - start
