"""im2col and col2im: for a row of output pixels, what their windows see of the image is copied to the patches, or added from them.

An image consists of planes of pixels of `c` channels: one plane with channels_last; with channels_first as many as channels, of one
channel each. A patch holds for each plane the rows of the window, a row being kw * c elements. They stand side by side in the image as
well unless there is a dilation: one run, or else one for each pixel.
"""

from libc.string cimport memset

from call cimport real
from patches cimport Window, columns_joined

cdef extern from "columns.h" nogil:
    ctypedef struct fastnn_runs:
        Py_ssize_t count[4]
        Py_ssize_t image[4]
        Py_ssize_t patch[4]
        Py_ssize_t run
    void copy_runs_f32(const fastnn_runs *runs, const float *image, float *patch)
    void copy_runs_f64(const fastnn_runs *runs, const double *image, double *patch)
    void add_runs_f32(const fastnn_runs *runs, const float *patch, float *image)
    void add_runs_f64(const fastnn_runs *runs, const double *patch, double *image)

cdef enum:
    BAND = 16  # rows of the image to which a task of col2im adds


cdef inline Py_ssize_t bands_of(const Window *window) noexcept nogil:
    """Return into how many bands the rows of an image are cut."""
    return (window.ih + BAND - 1) // BAND


cdef inline void im2col_line(const real *x, const Window *window, Py_ssize_t planes, Py_ssize_t line, real *cols) noexcept nogil:
    """Write the patches of row `line` of the output pixels of all images."""
    cdef Py_ssize_t patches = window.ow * planes * window.kh * window.kw * window.c
    x += line // window.oh * planes * window.ih * window.iw * window.c
    _line(<real *>x, window, planes, line % window.oh, 0, window.ih, cols + line * patches, False)


cdef inline void col2im_band(const real *cols, const Window *window, Py_ssize_t planes, Py_ssize_t band, real *x) noexcept nogil:
    """Sum into band `band` of all images what the patches hold for it."""
    cdef Py_ssize_t image = band // bands_of(window), first = band % bands_of(window) * BAND, stop = min(first + BAND, window.ih)
    cdef Py_ssize_t width = window.iw * window.c, patches = window.ow * planes * window.kh * window.kw * window.c, i
    x += image * planes * window.ih * width
    for i in range(planes):
        memset(x + (i * window.ih + first) * width, 0, (stop - first) * width * sizeof(real))
    for i in range(window.oh):
        add_patches(cols + (image * window.oh + i) * patches, window, planes, i, first, stop, x)


cdef inline void add_patches(const real *cols, const Window *window, Py_ssize_t planes, Py_ssize_t oh, Py_ssize_t first, Py_ssize_t stop,
                             real *x) noexcept nogil:
    """Add the patches of row `oh` of output pixels to rows [first, stop) of an image, of which other groups may have channels as well."""
    _line(x, window, planes, oh, first, stop, <real *>cols, True)


cdef inline void _line(real *x, const Window *window, Py_ssize_t planes, Py_ssize_t oh, Py_ssize_t first, Py_ssize_t stop, real *cols,
                       bint add) noexcept nogil:
    """Copy the patches of a row of output pixels, or add them to rows [first, stop) of the image."""
    cdef Py_ssize_t c = window.c, row = window.kw * c, patch = planes * window.kh * row
    cdef Py_ssize_t h = oh * window.stride_h - window.pad_top, w, ow, left, right
    cdef Py_ssize_t top = _begin(h - first, window.dilation_h), bottom = _end(h, window.dilation_h, stop, window.kh)
    # the output pixels whose windows leave the image neither on the left nor on the right
    cdef Py_ssize_t inner = min(_begin(-window.pad_left, window.stride_w), window.ow)
    cdef Py_ssize_t outer = max(_end((window.kw - 1) * window.dilation_w - window.pad_left, window.stride_w, window.iw, window.ow), inner)
    if not add and bottom - top < window.kh:
        memset(cols, 0, window.ow * patch * sizeof(real))
    if top >= bottom:
        return
    x += (h + top * window.dilation_h) * window.iw * window.pixel
    _patches(x, window, planes, bottom - top, inner, outer - inner, 0, window.kw, cols + top * row, add)
    for ow in range(window.ow):
        if inner <= ow < outer:
            continue
        w = ow * window.stride_w - window.pad_left
        left = _begin(w, window.dilation_w)
        right = _end(w, window.dilation_w, window.iw, window.kw)
        if not add and bottom - top == window.kh:
            memset(cols + ow * patch, 0, patch * sizeof(real))
        if left < right:
            _patches(x, window, planes, bottom - top, ow, 1, left, right, cols + top * row, add)


# Of the places at, at + step, at + 2 * step, ... the first that is not negative, and the one, at most `most`, that is not below `stop`.

cdef inline Py_ssize_t _begin(Py_ssize_t at, Py_ssize_t step) noexcept nogil:
    return (step - 1 - at) // step if at < 0 else 0


cdef inline Py_ssize_t _end(Py_ssize_t at, Py_ssize_t step, Py_ssize_t stop, Py_ssize_t most) noexcept nogil:
    return min((stop - 1 - at) // step + 1, most) if at < stop else 0


cdef inline void _patches(real *x, const Window *window, Py_ssize_t planes, Py_ssize_t rows, Py_ssize_t ow, Py_ssize_t pixels,
                          Py_ssize_t left, Py_ssize_t right, real *cols, bint add) noexcept nogil:
    """Copy or add columns [left, right) and `rows` rows of the windows of output pixels [ow, ow + pixels)."""
    cdef Py_ssize_t c = window.c, row = window.kw * c
    # loops over pixels, planes, rows and inside, unless there is only one, the runs of a row
    cdef Py_ssize_t joined = 1 if columns_joined(window) else 0
    # a single plane is no loop: pixels, of which there are many, are next to the rows then
    cdef Py_ssize_t over_planes = joined + (planes > 1), over_pixels = joined + (planes == 1)
    cdef fastnn_runs runs
    runs.run = (right - left) * c if joined else c
    runs.count[0 if joined else 3] = 1 if joined else right - left
    runs.image[0 if joined else 3] = window.dilation_w * window.pixel
    runs.patch[0 if joined else 3] = c
    runs.count[over_pixels] = pixels
    runs.image[over_pixels] = window.stride_w * window.pixel
    runs.patch[over_pixels] = planes * window.kh * row
    runs.count[over_planes] = planes
    runs.image[over_planes] = window.ih * window.iw * window.pixel
    runs.patch[over_planes] = window.kh * row
    runs.count[joined + 2] = rows
    runs.image[joined + 2] = window.dilation_h * window.iw * window.pixel
    runs.patch[joined + 2] = row
    x += (ow * window.stride_w - window.pad_left + left * window.dilation_w) * window.pixel
    cols += ow * runs.patch[over_pixels] + left * c
    if add:
        add_runs(&runs, cols, x)
    elif real is float:
        copy_runs_f32(&runs, x, cols)
    else:
        copy_runs_f64(&runs, x, cols)


cdef inline void add_runs(const fastnn_runs *runs, const real *patch, real *image) noexcept nogil:
    """Add runs of patches to an image."""
    if real is float:
        add_runs_f32(runs, patch, image)
    else:
        add_runs_f64(runs, patch, image)
