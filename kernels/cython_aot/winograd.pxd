"""3x3 convolutions by Winograd's F(4x4, 3x3): a quarter of the multiplications, for transforms of the tiles before and after.

The image is cut into tiles of 4x4 output pixels, which see 6x6 input pixels. For each of the 36 elements of the transformed tiles
the sum over channels is one matrix product [tiles, c] x [c, filters], by the register tiles of gemm.pxd. Only for stride 1, no
dilation and one group. The transforms multiply by up to 8 and divide by up to 24, so the error is about ten times that of the direct
product: measured, in float32, 2e-6 to 1.3e-5 of the largest output for 16 to 280 channels, within the spec's 2e-5.
F(2x2, 3x3) would need fewer operations only for images of at most 2x2 pixels, which take the direct product.
"""

from cython.parallel cimport parallel, prange, threadid
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memset

from activate cimport RELU, activate_inplace, relu_gradient
from call cimport real
from gemm cimport TILE_ACCUMULATE, TILE_ROWS, TILE_VECTORS, multiply_panel, panel_width
from patches cimport Window

cdef extern from "winograd.h" nogil:
    void winograd_input_f32(const float **pixel, Py_ssize_t channels, float *planes, Py_ssize_t plane)
    void winograd_input_f64(const double **pixel, Py_ssize_t channels, double *planes, Py_ssize_t plane)
    void winograd_output_f32(const float *planes, Py_ssize_t plane, const float *bias, int relu, Py_ssize_t channels, float **pixel)
    void winograd_output_f64(const double *planes, Py_ssize_t plane, const double *bias, int relu, Py_ssize_t channels, double **pixel)
    void winograd_errors_f32(const float **pixel, Py_ssize_t channels, float *planes, Py_ssize_t plane)
    void winograd_errors_f64(const double **pixel, Py_ssize_t channels, double *planes, Py_ssize_t plane)
    void winograd_input_gradient_f32(const float *planes, Py_ssize_t plane, Py_ssize_t channels, float **pixel)
    void winograd_input_gradient_f64(const double *planes, Py_ssize_t plane, Py_ssize_t channels, double **pixel)
    void winograd_filter_f32(const float *g, Py_ssize_t tap, Py_ssize_t channels, float *planes, Py_ssize_t plane)
    void winograd_filter_f64(const double *g, Py_ssize_t tap, Py_ssize_t channels, double *planes, Py_ssize_t plane)
    void winograd_filter_gradient_f32(const float *planes, Py_ssize_t plane, Py_ssize_t channels, float *dg, Py_ssize_t tap)
    void winograd_filter_gradient_f64(const double *planes, Py_ssize_t plane, Py_ssize_t channels, double *dg, Py_ssize_t tap)

cdef enum:
    PLANES = 36
    TILE = 4  # output pixels of a tile in each direction
    # Cost of transforming one channel of a tile, in multiply-adds of a matrix product: loads, stores and additions of 36 elements.
    TRANSFORM_COST = 300
    # Tiles whose planes a thread holds at a time: as many as fit FORWARD_BYTES, which the second-level cache serves, but enough rows for the
    # register tiles and few enough that the last block of a thread is not much of its work.
    FORWARD_BYTES = 600000
    LEAST_TILES = 24
    MOST_TILES = 96
    # The gradient's sums, as large as four times the filters, are read and written once per block, so blocks are larger there. There is
    # one set of sums for each chunk of the tiles; as many chunks as threads may want, as far as the memory for the sums allows.
    GRADIENT_BLOCK = 96
    SUMS_BYTES = 24000000
    LEAST_CHUNKS = 2
    MOST_CHUNKS = 16
    # Both gradients at once: planes of three kinds in the second-level cache, and enough chunks for any threads.
    BOTH_BYTES = 1200000
    BOTH_CHUNKS = 8


cdef inline void winograd_input(const real **pixel, Py_ssize_t channels, real *planes, Py_ssize_t plane) noexcept nogil:
    if real is float:
        winograd_input_f32(pixel, channels, planes, plane)
    else:
        winograd_input_f64(pixel, channels, planes, plane)


cdef inline void winograd_output(const real *planes, Py_ssize_t plane, const real *bias, int relu, Py_ssize_t channels,
                                 real **pixel) noexcept nogil:
    if real is float:
        winograd_output_f32(planes, plane, bias, relu, channels, pixel)
    else:
        winograd_output_f64(planes, plane, bias, relu, channels, pixel)


cdef inline void winograd_errors(const real **pixel, Py_ssize_t channels, real *planes, Py_ssize_t plane) noexcept nogil:
    if real is float:
        winograd_errors_f32(pixel, channels, planes, plane)
    else:
        winograd_errors_f64(pixel, channels, planes, plane)


cdef inline void winograd_input_gradient(const real *planes, Py_ssize_t plane, Py_ssize_t channels, real **pixel) noexcept nogil:
    if real is float:
        winograd_input_gradient_f32(planes, plane, channels, pixel)
    else:
        winograd_input_gradient_f64(planes, plane, channels, pixel)


cdef inline void winograd_filter(const real *g, Py_ssize_t tap, Py_ssize_t channels, real *planes, Py_ssize_t plane) noexcept nogil:
    if real is float:
        winograd_filter_f32(g, tap, channels, planes, plane)
    else:
        winograd_filter_f64(g, tap, channels, planes, plane)


cdef inline void winograd_filter_gradient(const real *planes, Py_ssize_t plane, Py_ssize_t channels, real *dg,
                                          Py_ssize_t tap) noexcept nogil:
    if real is float:
        winograd_filter_gradient_f32(planes, plane, channels, dg, tap)
    else:
        winograd_filter_gradient_f64(planes, plane, channels, dg, tap)


cdef inline Py_ssize_t tiles_of(Py_ssize_t extent) noexcept nogil:
    """Number of tiles that cover so many output pixels."""
    return (extent + TILE - 1) // TILE


cdef inline bint winograd_pays(const Window *window, Py_ssize_t n, Py_ssize_t filters, const real *tag) noexcept nogil:
    """Say whether a convolution is one that Winograd's algorithm computes, with fewer operations than the direct product."""
    cdef Py_ssize_t tiles = n * tiles_of(window.oh) * tiles_of(window.ow), c = window.c, least = max(panel_width(tag) // TILE_VECTORS, 8)
    if (window.kh != 3 or window.kw != 3 or window.stride_h != 1 or window.stride_w != 1 or window.dilation_h != 1
            or window.dilation_w != 1 or window.pixel != c):
        return False
    if c < least or filters < least or tiles < LEAST_TILES:
        return False
    return (tiles * (PLANES * c * filters + TRANSFORM_COST * (c + filters)) + 2 * PLANES * c * filters
            < n * window.oh * window.ow * 9 * c * filters)


cdef inline Py_ssize_t tiles_within(Py_ssize_t size, Py_ssize_t channels, const real *tag) noexcept nogil:
    """Tiles of a block whose planes, of so many channels together, have about `size` bytes."""
    cdef Py_ssize_t fitting = size // (PLANES * channels * <Py_ssize_t>sizeof(real))
    return max(min(fitting // TILE_ROWS * TILE_ROWS, <Py_ssize_t>MOST_TILES), <Py_ssize_t>LEAST_TILES)


cdef inline bint winograd_forward(const real *x, const real *w, const real *b, real *y, const Window *window, Py_ssize_t n,
                                  Py_ssize_t filters, Py_ssize_t activation, double alpha, int threads) noexcept nogil:
    """y = activation(x * w + b), with w of shape (3, 3, c, filters); False if there is no memory for it."""
    cdef Py_ssize_t c = window.c, block = tiles_within(FORWARD_BYTES, c + filters, x), tiles = n * tiles_of(window.oh) * tiles_of(window.ow)
    cdef Py_ssize_t blocks = (tiles + block - 1) // block, task
    # each thread's planes, a line of zeros to read where a tile leaves the image, and a line to write there
    cdef Py_ssize_t scratch = PLANES * block * (c + filters) + c + filters
    cdef real *planes = <real *>malloc((PLANES * c * filters + threads * scratch) * sizeof(real))
    cdef real *own = planes + PLANES * c * filters
    if planes == NULL:
        return False
    if threads == 1:
        for task in range(c):
            winograd_filter(w + task * filters, c * filters, filters, planes + task * filters, c * filters)
        memset(own + PLANES * block * (c + filters), 0, c * sizeof(real))
        for task in range(blocks):
            _forward_block(x, planes, b, y, window, n, filters, activation, alpha, own, block,
                           task * tiles // blocks, (task + 1) * tiles // blocks)
    else:
        with parallel(num_threads=threads):
            memset(own + threadid() * scratch + PLANES * block * (c + filters), 0, c * sizeof(real))
            for task in prange(c, schedule="static"):
                winograd_filter(w + task * filters, c * filters, filters, planes + task * filters, c * filters)
            for task in prange(blocks, schedule="dynamic"):
                _forward_block(x, planes, b, y, window, n, filters, activation, alpha, own + threadid() * scratch, block,
                               task * tiles // blocks, (task + 1) * tiles // blocks)
    free(planes)
    return True


cdef inline void _forward_block(const real *x, const real *filter_planes, const real *b, real *y, const Window *window,
                                Py_ssize_t n, Py_ssize_t filters, Py_ssize_t activation, double alpha, real *scratch,
                                Py_ssize_t block, Py_ssize_t first, Py_ssize_t last) noexcept nogil:
    """Compute tiles [first, last)."""
    cdef Py_ssize_t c = window.c, tiles = last - first, tile, p
    cdef real *inputs = scratch
    cdef real *products = scratch + PLANES * block * c
    cdef const real *zeros = scratch + PLANES * block * (c + filters)
    cdef real *outside = scratch + PLANES * block * (c + filters) + c
    cdef const real *pixels[36]
    cdef real *outputs[16]
    for tile in range(tiles):
        _input_pixels(x, window, first + tile, zeros, pixels)
        winograd_input(pixels, c, inputs + tile * c, tiles * c)
    for p in range(PLANES):
        _multiply_plane(inputs + p * tiles * c, c, 1, filter_planes + p * c * filters, products + p * tiles * filters, tiles, c, filters, 0)
    for tile in range(tiles):
        _output_pixels(y, window, filters, first + tile, outside, outputs)
        winograd_output(products + tile * filters, tiles * filters, b, activation == RELU, filters, outputs)
        if activation > RELU:
            for p in range(TILE * TILE):
                if outputs[p] == outside:  # no place of the output, so none for a derivative either
                    continue
                activate_inplace(outputs[p], filters, activation, <real>alpha)


cdef inline void _multiply_plane(const real *a, Py_ssize_t row, Py_ssize_t step, const real *b, real *product, Py_ssize_t rows,
                                 Py_ssize_t k, Py_ssize_t n, int flags) noexcept nogil:
    """product[rows, n] = A[rows, k] B[k, n], panel by panel; element (i, p) of A is a[i * row + p * step]."""
    cdef Py_ssize_t width = panel_width(a), panel, left
    for panel in range((n + width - 1) // width):
        left = panel * width
        multiply_panel(a, row, step, b + left, n, k * n - left, product + left, n, rows, k, min(width, n - left), <const real *>NULL,
                       flags)


cdef inline void _input_pixels(const real *x, const Window *window, Py_ssize_t tile, const real *zeros,
                               const real **pixels) noexcept nogil:
    """Point at the 6x6 pixels that a tile sees."""
    cdef Py_ssize_t across = tiles_of(window.ow), down = tiles_of(window.oh), i, j
    cdef Py_ssize_t image = tile // (across * down), h = tile // across % down * TILE - window.pad_top
    cdef Py_ssize_t w = tile % across * TILE - window.pad_left
    for i in range(6):
        for j in range(6):
            if 0 <= h + i < window.ih and 0 <= w + j < window.iw:
                pixels[i * 6 + j] = x + ((image * window.ih + h + i) * window.iw + w + j) * window.c
            else:
                pixels[i * 6 + j] = zeros


cdef inline void _output_pixels(const real *y, const Window *window, Py_ssize_t filters, Py_ssize_t tile, const real *outside,
                                real **pixels) noexcept nogil:
    """Point at the 4x4 pixels of a tile."""
    cdef Py_ssize_t across = tiles_of(window.ow), down = tiles_of(window.oh), i, j
    cdef Py_ssize_t image = tile // (across * down), h = tile // across % down * TILE, w = tile % across * TILE
    for i in range(TILE):
        for j in range(TILE):
            if h + i < window.oh and w + j < window.ow:
                pixels[i * TILE + j] = <real *>y + ((image * window.oh + h + i) * window.ow + w + j) * filters
            else:
                pixels[i * TILE + j] = <real *>outside


cdef inline bint winograd_backward_input(const real *dy, const real *w, real *dx, const Window *window, Py_ssize_t n,
                                         Py_ssize_t filters, int threads) noexcept nogil:
    """dx; False if there is no memory for it.

    Neighbouring tiles share two rows and columns of dx, where they add up. So tasks are bands of whole rows of tiles, and every other
    band is computed first, then those between: no two threads write the same row, and each pixel is summed in an order that depends
    on shapes alone.
    """
    cdef Py_ssize_t c = window.c, block = tiles_within(FORWARD_BYTES, c + filters, dy), rows = n * tiles_of(window.oh), band, bands, task
    # each thread's planes, a filter's taps in one piece, a line to write where a tile leaves the image, a line of zeros to read there
    cdef Py_ssize_t scratch = PLANES * block * (c + filters) + 9 * c + c + filters
    cdef real *planes = <real *>malloc((PLANES * c * filters + threads * scratch) * sizeof(real))
    cdef real *own = planes + PLANES * c * filters
    if planes == NULL:
        return False
    band = max(block // tiles_of(window.ow), <Py_ssize_t>1)
    bands = (rows + band - 1) // band
    if threads == 1:
        for task in range(filters):
            _turn_filter(w, c, filters, task, own, planes)
        for task in range(bands):
            _backward_band(dy, planes, dx, window, n, filters, own, block, band, _other_first(task, bands))
    else:
        with parallel(num_threads=threads):
            for task in prange(filters, schedule="static"):
                _turn_filter(w, c, filters, task, own + threadid() * scratch, planes)
            for task in prange((bands + 1) // 2, schedule="dynamic"):
                _backward_band(dy, planes, dx, window, n, filters, own + threadid() * scratch, block, band, 2 * task)
            for task in prange(bands // 2, schedule="dynamic"):
                _backward_band(dy, planes, dx, window, n, filters, own + threadid() * scratch, block, band, 2 * task + 1)
    free(planes)
    return True


cdef inline Py_ssize_t _other_first(Py_ssize_t task, Py_ssize_t bands) noexcept nogil:
    """Return band number `task` in the order of the even ones, then the odd ones."""
    cdef Py_ssize_t even = (bands + 1) // 2
    return 2 * task if task < even else 2 * (task - even) + 1


cdef inline void _turn_filter(const real *w, Py_ssize_t c, Py_ssize_t filters, Py_ssize_t filter, real *taps,
                              real *planes) noexcept nogil:
    """Transform the taps of one filter into its row of the planes [filters, c]."""
    cdef Py_ssize_t tap, i
    for tap in range(9):
        for i in range(c):
            taps[tap * c + i] = w[(tap * c + i) * filters + filter]
    winograd_filter(taps, c, c, planes + filter * c, c * filters)


cdef inline void _backward_band(const real *dy, const real *filter_planes, real *dx, const Window *window, Py_ssize_t n,
                                Py_ssize_t filters, real *scratch, Py_ssize_t block, Py_ssize_t band,
                                Py_ssize_t number) noexcept nogil:
    """Add what the tiles of a band of tile rows give."""
    cdef Py_ssize_t across = tiles_of(window.ow), down = tiles_of(window.oh)
    cdef Py_ssize_t first = number * band, last = min(first + band, n * down), row, top, bottom, blocks, task
    for row in range(first, last):
        # zero the rows of pixels that this band is the first to write: an odd one shares two with each of its neighbours, who came before
        top = row % down * TILE - window.pad_top
        bottom = top + TILE
        if row == first and row % down > 0 and number % 2 == 1:
            top += 2
        if row % down == down - 1:
            bottom = window.ih
        elif row == last - 1 and number % 2 == 0:
            bottom += 2
        _clear_rows(dx, window, row // down, top, bottom)
    blocks = ((last - first) * across + block - 1) // block
    for task in range(blocks):
        _backward_block(dy, filter_planes, dx, window, filters, scratch, block, first * across + task * (last - first) * across // blocks,
                        first * across + (task + 1) * (last - first) * across // blocks)


cdef inline void _clear_rows(real *dx, const Window *window, Py_ssize_t image, Py_ssize_t top, Py_ssize_t bottom) noexcept nogil:
    """Zero rows [top, bottom) of pixels, as far as the image has them."""
    top = max(top, <Py_ssize_t>0)
    bottom = min(bottom, window.ih)
    if top < bottom:
        memset(dx + (image * window.ih + top) * window.iw * window.c, 0, (bottom - top) * window.iw * window.c * sizeof(real))


cdef inline void _backward_block(const real *dy, const real *filter_planes, real *dx, const Window *window, Py_ssize_t filters,
                                 real *scratch, Py_ssize_t block, Py_ssize_t first, Py_ssize_t last) noexcept nogil:
    """Add what tiles [first, last) give."""
    cdef Py_ssize_t c = window.c, tiles = last - first, tile, p
    cdef real *errors = scratch
    cdef real *products = scratch + PLANES * block * filters
    cdef real *outside = products + PLANES * block * c + 9 * c
    cdef const real *zeros = outside + c
    cdef const real *pixels[36]
    cdef real *outputs[16]
    memset(outside, 0, (c + filters) * sizeof(real))
    for tile in range(tiles):
        _output_pixels(dy, window, filters, first + tile, zeros, outputs)
        winograd_errors(<const real **>outputs, filters, errors + tile * filters, tiles * filters)
    for p in range(PLANES):
        _multiply_plane(errors + p * tiles * filters, filters, 1, filter_planes + p * c * filters, products + p * tiles * c, tiles, filters,
                        c, 0)
    for tile in range(tiles):
        _input_pixels(dx, window, first + tile, outside, pixels)
        winograd_input_gradient(products + tile * c, tiles * c, c, <real **>pixels)


cdef inline bint winograd_backward_weight(const real *x, const real *dy, real *dw, real *db, const Window *window, Py_ssize_t n,
                                          Py_ssize_t filters, int threads) noexcept nogil:
    """dw and (unless NULL) db; False if there is no memory for it.

    The tiles are cut into chunks, as many as the shape alone says, whose sums are added in order.
    """
    cdef Py_ssize_t c = window.c, tiles = n * tiles_of(window.oh) * tiles_of(window.ow), task
    cdef Py_ssize_t size = (PLANES * c + 1) * filters  # of a chunk's sums: planes, then db
    cdef Py_ssize_t fitting = SUMS_BYTES // (size * <Py_ssize_t>sizeof(real))
    cdef Py_ssize_t chunks = _power_of_two(
        min(max(min(fitting, <Py_ssize_t>MOST_CHUNKS), <Py_ssize_t>LEAST_CHUNKS),
            max(tiles // GRADIENT_BLOCK, min(tiles // LEAST_TILES, <Py_ssize_t>LEAST_CHUNKS), <Py_ssize_t>1)))
    cdef Py_ssize_t scratch = PLANES * GRADIENT_BLOCK * (c + filters)
    cdef real *zeros = <real *>calloc(max(c, filters), sizeof(real))
    cdef real *sums = <real *>malloc((chunks * size + threads * scratch) * sizeof(real))
    cdef real *own = sums + chunks * size
    if zeros == NULL or sums == NULL:
        free(zeros)
        free(sums)
        return False
    if threads == 1:
        for task in range(chunks):
            _gradient_chunk(x, dy, window, filters, zeros, own, sums + task * size, task * tiles // chunks, (task + 1) * tiles // chunks)
        for task in range(c):
            _filter_gradient(sums, size, chunks, c, filters, task, dw)
    else:
        for task in prange(chunks, num_threads=threads, schedule="dynamic"):
            _gradient_chunk(x, dy, window, filters, zeros, own + threadid() * scratch, sums + task * size, task * tiles // chunks,
                            (task + 1) * tiles // chunks)
        for task in prange(c, num_threads=threads, schedule="static"):
            _filter_gradient(sums, size, chunks, c, filters, task, dw)
    if db:
        _bias_gradient(sums + PLANES * c * filters, size, chunks, filters, db)
    free(zeros)
    free(sums)
    return True


cdef inline Py_ssize_t _power_of_two(Py_ssize_t chunks) noexcept nogil:
    """Return the largest power of two up to `chunks`: two, four or eight threads have equally many then."""
    while chunks & (chunks - 1):
        chunks &= chunks - 1
    return chunks


cdef inline void _gradient_chunk(const real *x, const real *dy, const Window *window, Py_ssize_t filters, const real *zeros,
                                 real *scratch, real *sums, Py_ssize_t first, Py_ssize_t last) noexcept nogil:
    """Write the sums over tiles [first, last)."""
    cdef Py_ssize_t c = window.c, blocks = max((last - first + GRADIENT_BLOCK - 1) // GRADIENT_BLOCK, 1), block, begin, count, p
    cdef real *inputs = scratch
    cdef real *errors = scratch + PLANES * GRADIENT_BLOCK * c
    cdef real *db = sums + PLANES * c * filters
    memset(db, 0, filters * sizeof(real))
    for block in range(blocks):
        begin = first + block * (last - first) // blocks
        count = first + (block + 1) * (last - first) // blocks - begin
        _transform_tiles(x, dy, window, filters, zeros, inputs, errors, db, begin, count)
        for p in range(PLANES):
            _multiply_plane(inputs + p * count * c, 1, c, errors + p * count * filters, sums + p * c * filters, c, count, filters,
                            TILE_ACCUMULATE if block else 0)


cdef inline void _transform_tiles(const real *x, const real *dy, const Window *window, Py_ssize_t filters, const real *zeros,
                                  real *inputs, real *errors, real *db, Py_ssize_t first, Py_ssize_t count) noexcept nogil:
    """Write the planes of inputs and errors of `count` tiles, from `first` on, and add the errors to db."""
    cdef Py_ssize_t c = window.c, tile
    cdef const real *pixels[36]
    cdef real *outputs[16]
    for tile in range(count):
        _input_pixels(x, window, first + tile, zeros, pixels)
        winograd_input(pixels, c, inputs + tile * c, count * c)
        _output_pixels(dy, window, filters, first + tile, zeros, outputs)
        winograd_errors(<const real **>outputs, filters, errors + tile * filters, count * filters)
        # element (1, 1) of A dy A' is the sum of the tile's errors
        _add(errors + (7 * count + tile) * filters, filters, db)


cdef inline void _filter_gradient(real *sums, Py_ssize_t size, Py_ssize_t chunks, Py_ssize_t c, Py_ssize_t filters, Py_ssize_t row,
                                  real *dw) noexcept nogil:
    """Add what the chunks have for one input channel into the first one's sums, and transform it."""
    cdef Py_ssize_t chunk, p
    for chunk in range(1, chunks):
        for p in range(PLANES):
            _add(sums + chunk * size + (p * c + row) * filters, filters, sums + (p * c + row) * filters)
    winograd_filter_gradient(sums + row * filters, c * filters, filters, dw + row * filters, c * filters)


cdef inline void _bias_gradient(const real *sums, Py_ssize_t size, Py_ssize_t chunks, Py_ssize_t filters, real *db) noexcept nogil:
    """Add up what the chunks, whose sums lie `size` elements apart, have for db."""
    cdef Py_ssize_t chunk
    memset(db, 0, filters * sizeof(real))
    for chunk in range(chunks):
        _add(sums + chunk * size, filters, db)


cdef inline void _add(const real *values, Py_ssize_t n, real *total) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        total[i] += values[i]


cdef inline bint winograd_backward(const real *x, const real *dy, const real *w, bint relu, real *dx, real *dw, real *db,
                                   const Window *window, Py_ssize_t n, Py_ssize_t filters, int threads) noexcept nogil:
    """dx, dw and (unless NULL) db, for which the errors are transformed once; False if there is no memory for it or too few images.

    Images are cut into chunks, as many as the shape alone says, of which each has sums of its own for dw: no two share rows of dx.
    """
    cdef Py_ssize_t c = window.c, task
    cdef Py_ssize_t size = (PLANES * c + 1) * filters  # of a chunk's sums: planes, then db
    cdef Py_ssize_t chunks = min(n, min(<Py_ssize_t>MOST_CHUNKS, SUMS_BYTES // (size * <Py_ssize_t>sizeof(real))))
    cdef Py_ssize_t block, scratch
    cdef real *planes
    cdef real *sums
    cdef real *own
    if chunks < BOTH_CHUNKS:
        return False
    block = tiles_within(BOTH_BYTES, 2 * c + filters, x)
    # each thread's planes, a filter's taps in one piece, a line to write where a tile leaves the image, a line of zeros to read there
    scratch = PLANES * block * (2 * c + filters) + 9 * c + c + max(c, filters)
    planes = <real *>malloc((PLANES * c * filters + chunks * size + threads * scratch) * sizeof(real))
    if planes == NULL:
        return False
    sums = planes + PLANES * c * filters
    own = sums + chunks * size
    if threads == 1:
        for task in range(filters):
            _turn_filter(w, c, filters, task, own, planes)
        for task in range(chunks):
            _both_gradients(x, dy, planes, relu, dx, window, filters, own, block, sums + task * size, task * n // chunks,
                            (task + 1) * n // chunks)
        for task in range(c):
            _filter_gradient(sums, size, chunks, c, filters, task, dw)
    else:
        with parallel(num_threads=threads):
            for task in prange(filters, schedule="static"):
                _turn_filter(w, c, filters, task, own + threadid() * scratch, planes)
            for task in prange(chunks, schedule="dynamic"):
                _both_gradients(x, dy, planes, relu, dx, window, filters, own + threadid() * scratch, block, sums + task * size,
                                task * n // chunks, (task + 1) * n // chunks)
            for task in prange(c, schedule="static"):
                _filter_gradient(sums, size, chunks, c, filters, task, dw)
    if db:
        _bias_gradient(sums + PLANES * c * filters, size, chunks, filters, db)
    free(planes)
    return True


cdef inline void _both_gradients(const real *x, const real *dy, const real *filter_planes, bint relu, real *dx, const Window *window,
                                 Py_ssize_t filters, real *scratch, Py_ssize_t block, real *sums, Py_ssize_t image,
                                 Py_ssize_t last_image) noexcept nogil:
    """Write dx of some images, and their sums for dw."""
    cdef Py_ssize_t c = window.c, across = tiles_of(window.ow), down = tiles_of(window.oh), first = image * across * down
    cdef Py_ssize_t size = window.ih * window.iw * c, row, top, p
    cdef Py_ssize_t tiles = last_image * across * down - first, blocks = (tiles + block - 1) // block, part, begin, count, tile
    cdef real *inputs = scratch
    cdef real *errors = inputs + PLANES * block * c
    cdef real *products = errors + PLANES * block * filters
    cdef real *outside = products + PLANES * block * c + 9 * c
    cdef real *zeros = outside + c
    cdef real *db = sums + PLANES * c * filters
    cdef const real *pixels[36]
    memset(outside, 0, (c + max(c, filters)) * sizeof(real))
    memset(db, 0, filters * sizeof(real))
    for part in range(blocks):
        begin = first + part * tiles // blocks
        count = first + (part + 1) * tiles // blocks - begin
        _transform_tiles(x, dy, window, filters, zeros, inputs, errors, db, begin, count)
        for p in range(PLANES):
            _multiply_plane(errors + p * count * filters, filters, 1, filter_planes + p * c * filters, products + p * count * c, count,
                            filters, c, 0)
            _multiply_plane(inputs + p * count * c, 1, c, errors + p * count * filters, sums + p * c * filters, c, count, filters,
                            TILE_ACCUMULATE if part else 0)
        for tile in range(count):
            if (begin + tile) % across == 0:  # zero the rows of pixels to which this row of tiles is the first to add
                row = (begin + tile) // across % down
                top = row * TILE - window.pad_top
                _clear_rows(dx, window, (begin + tile) // (across * down), top + 2 if row else top,
                            window.ih if row == down - 1 else top + 6)
            _input_pixels(dx, window, begin + tile, outside, pixels)
            winograd_input_gradient(products + tile * c, count * c, c, <real **>pixels)
            if relu and (begin + tile + 1) % (across * down) == 0:
                image = (begin + tile) // (across * down)
                relu_gradient(dx + image * size, x + image * size, dx + image * size, size)
