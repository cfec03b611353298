"""Winograd's algorithm for layers of many tiles: filters are transformed once, tiles block by block, each of which a thread makes whole."""

from cython.parallel cimport parallel, prange, threadid
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memset

from activate cimport relu_gradient
from call cimport real
from gemm cimport LINE_BYTES, TILE_ACCUMULATE, TILE_ROWS, first_line
from patches cimport Window
from winograd_tiles cimport (PLANES, SPAN, add, add_errors, add_input_gradient, filter_plane, multiply_filters, multiply_tiles,
                             plane_pitch, planes_size, read_errors, read_inputs, row_pitch, tile_extent, tiles_across, tiles_down, tiles_of,
                             whole_lines, winograd_filter, winograd_filter_gradient, write_outputs)

cdef enum:
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


cdef inline Py_ssize_t tiles_within(Py_ssize_t size, Py_ssize_t channels, const real *tag) noexcept nogil:
    """Tiles of a block whose planes, of so many channels together, have about `size` bytes."""
    cdef Py_ssize_t fitting = size // (PLANES * channels * <Py_ssize_t>sizeof(real))
    return max(min(fitting // TILE_ROWS * TILE_ROWS, <Py_ssize_t>MOST_TILES), <Py_ssize_t>LEAST_TILES)


cdef inline bint many_forward(const real *x, const real *w, const real *b, real *y, const Window *window, Py_ssize_t n,
                              Py_ssize_t filters, Py_ssize_t activation, double alpha, int threads) noexcept nogil:
    """y = activation(x * w + b), with w of shape (kh, kw, c, filters); False if there is no memory for it."""
    cdef Py_ssize_t c = window.c, block = tiles_within(FORWARD_BYTES, c + filters, x), tiles = tiles_of(window, n)
    cdef Py_ssize_t blocks = (tiles + block - 1) // block, task
    # each thread's planes, a line of zeros to read where a tile leaves the image, and a line to write there
    cdef Py_ssize_t zeros = planes_size(block, c, x) + planes_size(block, filters, x), scratch = whole_lines(zeros + c + filters, x)
    cdef void *memory = malloc((PLANES * filter_plane(c, filters, x) + threads * scratch) * sizeof(real) + LINE_BYTES)
    cdef real *planes = first_line(<char *>memory, x)
    cdef real *own = planes + PLANES * filter_plane(c, filters, x)
    if memory == NULL:
        return False
    if threads == 1:
        for task in range(c):
            winograd_filter(window.kh, w + task * filters, c * filters, filters, task, c, planes)
        memset(own + zeros, 0, c * sizeof(real))
        for task in range(blocks):
            _forward_block(x, planes, b, y, window, filters, activation, alpha, own, own + zeros,
                           task * tiles // blocks, (task + 1) * tiles // blocks)
    else:
        with parallel(num_threads=threads):
            memset(own + threadid() * scratch + zeros, 0, c * sizeof(real))
            for task in prange(c, schedule="static"):
                winograd_filter(window.kh, w + task * filters, c * filters, filters, task, c, planes)
            for task in prange(blocks, schedule="static"):
                _forward_block(x, planes, b, y, window, filters, activation, alpha, own + threadid() * scratch,
                               own + threadid() * scratch + zeros, task * tiles // blocks, (task + 1) * tiles // blocks)
    free(memory)
    return True


cdef inline void _forward_block(const real *x, const real *filter_planes, const real *b, real *y, const Window *window,
                                Py_ssize_t filters, Py_ssize_t activation, double alpha, real *scratch, const real *zeros,
                                Py_ssize_t first, Py_ssize_t last) noexcept nogil:
    """Compute tiles [first, last)."""
    cdef Py_ssize_t c = window.c, tiles = last - first
    cdef real *products = scratch + planes_size(tiles, c, x)
    read_inputs(x, window, zeros, scratch, plane_pitch(tiles, c, x), first, tiles)
    multiply_filters(scratch, filter_planes, products, tiles, c, filters)
    write_outputs(products, b, y, window, filters, filters, activation, alpha, zeros + c, first, tiles)


cdef inline bint many_backward_input(const real *dy, const real *w, real *dx, const Window *window, Py_ssize_t n,
                                     Py_ssize_t filters, int threads) noexcept nogil:
    """dx; False if there is no memory for it.

    Neighbouring tiles share rows and columns of dx, where they add up. So tasks are bands of whole rows of tiles, and every other band is
    computed first, then those between: no two threads write the same row, and each pixel is summed in an order that depends on shapes
    alone.
    """
    cdef Py_ssize_t c = window.c, block = tiles_within(FORWARD_BYTES, c + filters, dy), rows = n * tiles_down(window), band, bands, task
    # each thread's planes, a filter's taps in one piece, a line to write where a tile leaves the image, a line of zeros to read there
    cdef Py_ssize_t scratch = whole_lines(planes_size(block, c, dy) + planes_size(block, filters, dy) + window.kh * window.kw * c + c + filters,
                                          dy)
    cdef void *memory = malloc((PLANES * filter_plane(filters, c, dy) + threads * scratch) * sizeof(real) + LINE_BYTES)
    cdef real *planes = first_line(<char *>memory, dy)
    cdef real *own = planes + PLANES * filter_plane(filters, c, dy)
    if memory == NULL:
        return False
    # as high as what two rows of tiles share, at least, so that bands share rows with their neighbours only
    band = max(block // tiles_across(window), (window.kh - 1) // tile_extent(window), <Py_ssize_t>1)
    bands = (rows + band - 1) // band
    if threads == 1:
        for task in range(filters):
            _turn_filter(w, window, filters, task, own, planes)
        for task in range(bands):
            _backward_band(dy, planes, dx, window, n, filters, own, block, band, _other_first(task, bands))
    else:
        with parallel(num_threads=threads):
            for task in prange(filters, schedule="static"):
                _turn_filter(w, window, filters, task, own + threadid() * scratch, planes)
            for task in prange((bands + 1) // 2, schedule="static"):
                _backward_band(dy, planes, dx, window, n, filters, own + threadid() * scratch, block, band, 2 * task)
            for task in prange(bands // 2, schedule="static"):
                _backward_band(dy, planes, dx, window, n, filters, own + threadid() * scratch, block, band, 2 * task + 1)
    free(memory)
    return True


cdef inline Py_ssize_t _other_first(Py_ssize_t task, Py_ssize_t bands) noexcept nogil:
    """Return band number `task` in the order of the even ones, then the odd ones."""
    cdef Py_ssize_t even = (bands + 1) // 2
    return 2 * task if task < even else 2 * (task - even) + 1


cdef inline void _turn_filter(const real *w, const Window *window, Py_ssize_t filters, Py_ssize_t filter, real *taps,
                              real *planes) noexcept nogil:
    """Transform the taps of one filter into its row of the planes [filters, c], see `winograd_filter`."""
    cdef Py_ssize_t c = window.c, tap, i
    for tap in range(window.kh * window.kw):
        for i in range(c):
            taps[tap * c + i] = w[(tap * c + i) * filters + filter]
    winograd_filter(window.kh, taps, c, c, filter, filters, planes)


cdef inline void _backward_band(const real *dy, const real *filter_planes, real *dx, const Window *window, Py_ssize_t n,
                                Py_ssize_t filters, real *scratch, Py_ssize_t block, Py_ssize_t band,
                                Py_ssize_t number) noexcept nogil:
    """Add what the tiles of a band of tile rows give."""
    cdef Py_ssize_t across = tiles_across(window), down = tiles_down(window)
    cdef Py_ssize_t extent = tile_extent(window), shared = window.kh - 1  # rows of pixels of neighbouring rows of tiles
    cdef Py_ssize_t first = number * band, last = min(first + band, n * down), row = first, end, top, bottom, blocks, task
    while row < last:
        end = min(last, (row // down + 1) * down)  # of those of one image
        # zero the rows of pixels that this band is the first to write: an odd one shares some with each of its neighbours, who came before
        top = row % down * extent - window.pad_top
        bottom = (end - 1) % down * extent - window.pad_top + SPAN
        if number % 2 == 1:
            top += shared if row % down else 0
            bottom -= shared
        _clear_rows(dx, window, row // down, top, bottom if end % down else window.ih)
        row = end
    blocks = ((last - first) * across + block - 1) // block
    for task in range(blocks):
        _backward_block(dy, filter_planes, dx, window, filters, scratch, first * across + task * (last - first) * across // blocks,
                        first * across + (task + 1) * (last - first) * across // blocks)


cdef inline void _clear_rows(real *dx, const Window *window, Py_ssize_t image, Py_ssize_t top, Py_ssize_t bottom) noexcept nogil:
    """Zero rows [top, bottom) of pixels, as far as the image has them."""
    top = max(top, <Py_ssize_t>0)
    bottom = min(bottom, window.ih)
    if top < bottom:
        memset(dx + (image * window.ih + top) * window.iw * window.c, 0, (bottom - top) * window.iw * window.c * sizeof(real))


cdef inline void _backward_block(const real *dy, const real *filter_planes, real *dx, const Window *window, Py_ssize_t filters,
                                 real *scratch, Py_ssize_t first, Py_ssize_t last) noexcept nogil:
    """Add what tiles [first, last) give."""
    cdef Py_ssize_t c = window.c, tiles = last - first, tile
    cdef real *products = scratch + planes_size(tiles, filters, dy)
    cdef real *outside = products + planes_size(tiles, c, dy)
    memset(outside, 0, (c + filters) * sizeof(real))
    read_errors(dy, window, filters, outside + c, scratch, plane_pitch(tiles, filters, dy), first, tiles)
    multiply_filters(scratch, filter_planes, products, tiles, filters, c)
    for tile in range(tiles):
        add_input_gradient(products + tile * row_pitch(c, dy), plane_pitch(tiles, c, dy), c, dx, window, outside, first + tile)


cdef inline bint many_backward_weight(const real *x, const real *dy, real *dw, real *db, const Window *window, Py_ssize_t n,
                                      Py_ssize_t filters, int threads) noexcept nogil:
    """dw and (unless NULL) db; False if there is no memory for it.

    The tiles are cut into chunks, as many as the shape alone says, whose sums are added in order.
    """
    cdef Py_ssize_t c = window.c, tiles = tiles_of(window, n), task
    cdef Py_ssize_t size = whole_lines((PLANES * c + 1) * filters, x)  # of a chunk's sums: planes, then db
    cdef Py_ssize_t fitting = SUMS_BYTES // (size * <Py_ssize_t>sizeof(real))
    cdef Py_ssize_t chunks = _power_of_two(
        min(max(min(fitting, <Py_ssize_t>MOST_CHUNKS), <Py_ssize_t>LEAST_CHUNKS),
            max(tiles // GRADIENT_BLOCK, min(tiles // LEAST_TILES, <Py_ssize_t>LEAST_CHUNKS), <Py_ssize_t>1)))
    cdef Py_ssize_t scratch = whole_lines(planes_size(GRADIENT_BLOCK, c, x) + planes_size(GRADIENT_BLOCK, filters, x), x)
    cdef real *zeros = <real *>calloc(max(c, filters), sizeof(real))
    cdef void *memory = malloc((chunks * size + threads * scratch) * sizeof(real) + LINE_BYTES)
    cdef real *sums = first_line(<char *>memory, x)
    cdef real *own = sums + chunks * size
    if zeros == NULL or memory == NULL:
        free(zeros)
        free(memory)
        return False
    if threads == 1:
        for task in range(chunks):
            _gradient_chunk(x, dy, window, filters, zeros, own, sums + task * size, task * tiles // chunks, (task + 1) * tiles // chunks)
        for task in range(c):
            _filter_gradient(sums, size, chunks, window, filters, task, dw)
    else:
        for task in prange(chunks, num_threads=threads, schedule="static"):
            _gradient_chunk(x, dy, window, filters, zeros, own + threadid() * scratch, sums + task * size, task * tiles // chunks,
                            (task + 1) * tiles // chunks)
        for task in prange(c, num_threads=threads, schedule="static"):
            _filter_gradient(sums, size, chunks, window, filters, task, dw)
    if db:
        _bias_gradient(sums + PLANES * c * filters, size, chunks, filters, db)
    free(zeros)
    free(memory)
    return True


cdef inline Py_ssize_t _power_of_two(Py_ssize_t chunks) noexcept nogil:
    """Return the largest power of two up to `chunks`: two, four or eight threads have equally many then."""
    while chunks & (chunks - 1):
        chunks &= chunks - 1
    return chunks


cdef inline void _gradient_chunk(const real *x, const real *dy, const Window *window, Py_ssize_t filters, const real *zeros,
                                 real *scratch, real *sums, Py_ssize_t first, Py_ssize_t last) noexcept nogil:
    """Write the sums over tiles [first, last)."""
    cdef Py_ssize_t c = window.c, blocks = max((last - first + GRADIENT_BLOCK - 1) // GRADIENT_BLOCK, 1), block, begin, count
    cdef real *errors = scratch + planes_size(GRADIENT_BLOCK, c, x)
    memset(sums + PLANES * c * filters, 0, filters * sizeof(real))
    for block in range(blocks):
        begin = first + block * (last - first) // blocks
        count = first + (block + 1) * (last - first) // blocks - begin
        read_inputs(x, window, zeros, scratch, plane_pitch(count, c, x), begin, count)
        read_errors(dy, window, filters, zeros, errors, plane_pitch(count, filters, x), begin, count)
        _add_products(scratch, errors, sums, c, filters, count, block > 0)


cdef inline void _add_products(const real *inputs, const real *errors, real *sums, Py_ssize_t c, Py_ssize_t filters, Py_ssize_t count,
                               bint added) noexcept nogil:
    """Sum over `count` tiles what they give to the filters' planes, added to what these hold or not, and to db behind them."""
    multiply_tiles(inputs, errors, sums, count, c, filters, 0, filters, TILE_ACCUMULATE if added else 0)
    add_errors(errors, filters, count, sums + PLANES * c * filters)


cdef inline void _filter_gradient(real *sums, Py_ssize_t size, Py_ssize_t chunks, const Window *window, Py_ssize_t filters, Py_ssize_t row,
                                  real *dw) noexcept nogil:
    """Add what the chunks have for one input channel into the first one's sums, and transform it."""
    cdef Py_ssize_t c = window.c, chunk, p
    for chunk in range(1, chunks):
        for p in range(PLANES):
            add(sums + chunk * size + (p * c + row) * filters, filters, sums + (p * c + row) * filters)
    winograd_filter_gradient(window.kh, sums + row * filters, c * filters, filters, dw + row * filters, c * filters)


cdef inline void _bias_gradient(const real *sums, Py_ssize_t size, Py_ssize_t chunks, Py_ssize_t filters, real *db) noexcept nogil:
    """Add up what the chunks, whose sums lie `size` elements apart, have for db."""
    cdef Py_ssize_t chunk
    memset(db, 0, filters * sizeof(real))
    for chunk in range(chunks):
        add(sums + chunk * size, filters, db)


cdef inline bint many_backward(const real *x, const real *dy, const real *w, bint relu, real *dx, real *dw, real *db,
                               const Window *window, Py_ssize_t n, Py_ssize_t filters, int threads) noexcept nogil:
    """dx, dw and (unless NULL) db, for which the errors are transformed once; False if there is no memory for it or too few images.

    Images are cut into chunks, as many as the shape alone says, of which each has sums of its own for dw: no two share rows of dx.
    """
    cdef Py_ssize_t c = window.c, task
    cdef Py_ssize_t size = whole_lines((PLANES * c + 1) * filters, x)  # of a chunk's sums: planes, then db
    cdef Py_ssize_t fitting = min(SUMS_BYTES // (size * <Py_ssize_t>sizeof(real)), tiles_of(window, n) // GRADIENT_BLOCK)
    cdef Py_ssize_t chunks = min(n, min(<Py_ssize_t>MOST_CHUNKS, fitting))
    cdef Py_ssize_t block, scratch
    cdef void *memory
    cdef real *planes
    cdef real *sums
    cdef real *own
    if chunks < BOTH_CHUNKS:
        return False
    block = tiles_within(BOTH_BYTES, 2 * c + filters, x)
    # each thread's planes, a filter's taps in one piece, a line to write where a tile leaves the image, a line of zeros to read there
    scratch = whole_lines(2 * planes_size(block, c, x) + planes_size(block, filters, x) + window.kh * window.kw * c + c + max(c, filters), x)
    memory = malloc((PLANES * filter_plane(filters, c, x) + chunks * size + threads * scratch) * sizeof(real) + LINE_BYTES)
    if memory == NULL:
        return False
    planes = first_line(<char *>memory, x)
    sums = planes + PLANES * filter_plane(filters, c, x)
    own = sums + chunks * size
    if threads == 1:
        for task in range(filters):
            _turn_filter(w, window, filters, task, own, planes)
        for task in range(chunks):
            _both_gradients(x, dy, planes, relu, dx, window, filters, own, block, sums + task * size, task * n // chunks,
                            (task + 1) * n // chunks)
        for task in range(c):
            _filter_gradient(sums, size, chunks, window, filters, task, dw)
    else:
        with parallel(num_threads=threads):
            for task in prange(filters, schedule="static"):
                _turn_filter(w, window, filters, task, own + threadid() * scratch, planes)
            for task in prange(chunks, schedule="static"):
                _both_gradients(x, dy, planes, relu, dx, window, filters, own + threadid() * scratch, block, sums + task * size,
                                task * n // chunks, (task + 1) * n // chunks)
            for task in prange(c, schedule="static"):
                _filter_gradient(sums, size, chunks, window, filters, task, dw)
    if db:
        _bias_gradient(sums + PLANES * c * filters, size, chunks, filters, db)
    free(memory)
    return True


cdef inline void _both_gradients(const real *x, const real *dy, const real *filter_planes, bint relu, real *dx, const Window *window,
                                 Py_ssize_t filters, real *scratch, Py_ssize_t block, real *sums, Py_ssize_t image,
                                 Py_ssize_t last_image) noexcept nogil:
    """Write dx of some images, and their sums for dw."""
    cdef Py_ssize_t c = window.c, across = tiles_across(window), down = tiles_down(window), first = image * across * down
    cdef Py_ssize_t extent = tile_extent(window), size = window.ih * window.iw * c, row, top
    cdef Py_ssize_t tiles = last_image * across * down - first, blocks = (tiles + block - 1) // block, part, begin, count, tile
    cdef real *errors = scratch + planes_size(block, c, x)
    cdef real *products = errors + planes_size(block, filters, x)
    cdef real *outside = products + planes_size(block, c, x) + window.kh * window.kw * c
    cdef real *zeros = outside + c
    memset(outside, 0, (c + max(c, filters)) * sizeof(real))
    memset(sums + PLANES * c * filters, 0, filters * sizeof(real))
    for part in range(blocks):
        begin = first + part * tiles // blocks
        count = first + (part + 1) * tiles // blocks - begin
        read_inputs(x, window, zeros, scratch, plane_pitch(count, c, x), begin, count)
        read_errors(dy, window, filters, zeros, errors, plane_pitch(count, filters, x), begin, count)
        multiply_filters(errors, filter_planes, products, count, filters, c)
        _add_products(scratch, errors, sums, c, filters, count, part > 0)
        for tile in range(count):
            if (begin + tile) % across == 0:  # zero the rows of pixels to which this row of tiles is the first to add
                row = (begin + tile) // across % down
                top = row * extent - window.pad_top
                _clear_rows(dx, window, (begin + tile) // (across * down), top + window.kh - 1 if row else top,
                            window.ih if row == down - 1 else top + SPAN)
            add_input_gradient(products + tile * row_pitch(c, x), plane_pitch(count, c, x), c, dx, window, outside, begin + tile)
            if relu and (begin + tile + 1) % (across * down) == 0:
                image = (begin + tile) // (across * down)
                relu_gradient(dx + image * size, x + image * size, dx + image * size, size)
