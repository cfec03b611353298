"""The matrix product under dense layers and convolutions.

Forward both are C[rows, n] = A[rows, k] B[k, n], where a row of A is the patch of the image that one output pixel sees
(`patches.pxd`) and B holds the filters; a dense layer is the case of images of one pixel. The gradient of the filters is A^T B with the
errors as B. Nothing as large as A is ever stored: a block of patches is gathered where it stays in a near cache, multiplied by all
of B, and the next block overwrites it. Columns of B are taken in panels as wide as the register tile of `tile.h`.
"""

from cython.parallel cimport prange
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

from activate cimport activate_inplace
from call cimport real
from patches cimport Window, gather_patches, patches_are_pixels

cdef extern from "tile.h" nogil:
    enum:
        VECTOR_BYTES
        TILE_ROWS
        TILE_VECTORS
        PANEL_BYTES
        SQUARE_BYTES
        TILE_ACCUMULATE
        TILE_RELU
    void tile_f32(Py_ssize_t rows, Py_ssize_t k, const float *a, Py_ssize_t row, Py_ssize_t step, const float *b, Py_ssize_t ldb,
                  float *c, Py_ssize_t ldc, Py_ssize_t n, const float *bias, int flags)
    void tile_f64(Py_ssize_t rows, Py_ssize_t k, const double *a, Py_ssize_t row, Py_ssize_t step, const double *b, Py_ssize_t ldb,
                  double *c, Py_ssize_t ldc, Py_ssize_t n, const double *bias, int flags)

cdef enum:
    LINE_BYTES = 64
    # A block of patches is BLOCK_ROWS (a multiple of every TILE_ROWS) by at most DEPTH_BYTES: 56 KB, which fits the stack of any thread
    # and is read from the second-level cache while a panel of B (DEPTH_BYTES deep: 48 KB with AVX-512) streams past.
    BLOCK_ROWS = 36
    DEPTH_BYTES = 1536
    # For the gradient of the filters the block is turned: this many patches deep, this many bytes of each.
    GRADIENT_DEPTH = 128
    GRADIENT_BYTES = 384
    SMALL_BYTES = 16384  # packed filters up to this size need no malloc
    PARALLEL_FLOPS = 200000  # below, starting a second thread costs more than it brings (about 2 us)
    TASKS = 8  # work is cut into at least this many tasks where it can be


cdef struct Product:
    Window window  # how the rows of A lie in the image
    Py_ssize_t x_size  # elements that may be read at x
    Py_ssize_t rows, k, n
    bint packed  # B is in panels, see pack_rows; otherwise its rows lie ldb apart and b_size elements may be read
    Py_ssize_t ldb, b_size
    Py_ssize_t out_image, out_row, out_pixel  # elements between the images, rows and pixels of C
    Py_ssize_t activation
    double alpha


cdef inline Py_ssize_t lanes(const real *tag) noexcept nogil:
    """Elements in a vector."""
    return VECTOR_BYTES // sizeof(real) if VECTOR_BYTES else 1


cdef inline void tile(Py_ssize_t rows, Py_ssize_t k, const real *a, Py_ssize_t row, Py_ssize_t step, const real *b, Py_ssize_t ldb,
                      real *c, Py_ssize_t ldc, Py_ssize_t n, const real *bias, int flags) noexcept nogil:
    if real is float:
        tile_f32(rows, k, a, row, step, b, ldb, c, ldc, n, bias, flags)
    else:
        tile_f64(rows, k, a, row, step, b, ldb, c, ldc, n, bias, flags)


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
    cdef Py_ssize_t width = lanes(a) if n <= lanes(a) else TILE_VECTORS * lanes(a)
    cdef Py_ssize_t inside = k, tiles = (rows + TILE_ROWS - 1) // TILE_ROWS, i, p, first, last
    cdef real *end = <real *>padded
    if (k - 1) * ldb + width > b_size:
        inside = min(k, (b_size - width) // ldb + 1) if b_size >= width else 0
        memset(end, 0, (k - inside) * width * sizeof(real))
        for p in range(inside, k):
            memcpy(end + (p - inside) * width, b + p * ldb, n * sizeof(real))
    for i in range(tiles):
        first = i * rows // tiles
        last = (i + 1) * rows // tiles
        if inside == k:
            tile(last - first, k, a + first * row, row, step, b, ldb, c + first * ldc, ldc, n, bias, flags)
        else:
            tile(last - first, inside, a + first * row, row, step, b, ldb, c + first * ldc, ldc, n, bias, flags & TILE_ACCUMULATE)
            tile(last - first, k - inside, a + first * row + inside * step, row, step, end, width, c + first * ldc, ldc, n, NULL,
                 flags | TILE_ACCUMULATE)


cdef inline void multiply(const real *x, const real *b, const real *bias, real *y, const Product *product, int threads) noexcept nogil:
    """y = activation(patches of x @ b + bias)."""
    cdef Py_ssize_t width = TILE_VECTORS * lanes(x)
    cdef Py_ssize_t row_tasks = (product.rows + BLOCK_ROWS - 1) // BLOCK_ROWS
    cdef Py_ssize_t panels = (product.n + width - 1) // width
    cdef Py_ssize_t column_tasks = min(panels, (TASKS + row_tasks - 1) // row_tasks) if row_tasks else 0
    cdef Py_ssize_t task, tasks = row_tasks * column_tasks
    if threads == 1 or tasks == 1 or 2 * product.rows * product.k * product.n < PARALLEL_FLOPS:
        for task in range(row_tasks):
            _multiply_block(x, b, bias, y, product, task, row_tasks, 0, 1)
    else:
        for task in prange(tasks, num_threads=threads, schedule="static"):
            _multiply_block(x, b, bias, y, product, task // column_tasks, row_tasks, task % column_tasks, column_tasks)


cdef inline void _multiply_block(const real *x, const real *b, const real *bias, real *y, const Product *product, Py_ssize_t row_task,
                                 Py_ssize_t row_tasks, Py_ssize_t column_task, Py_ssize_t column_tasks) noexcept nogil:
    """Compute a block of rows of y, and of its columns the share `column_task` of `column_tasks`."""
    cdef char memory[BLOCK_ROWS * (DEPTH_BYTES + LINE_BYTES) + 2 * LINE_BYTES]
    cdef real *patches = first_line(memory, x)
    cdef Py_ssize_t width = TILE_VECTORS * lanes(x)
    cdef Py_ssize_t panels = (product.n + width - 1) // width
    cdef Py_ssize_t left = column_task * panels // column_tasks * width
    cdef Py_ssize_t right = min((column_task + 1) * panels // column_tasks * width, product.n)
    cdef Py_ssize_t first = row_task * product.rows // row_tasks, last = (row_task + 1) * product.rows // row_tasks
    cdef Py_ssize_t depth = DEPTH_BYTES // sizeof(real), steps = max((product.k + depth - 1) // depth, 1)
    cdef Py_ssize_t step, start, stop, pitch = 0
    cdef const real *a = patches
    cdef int flags
    for step in range(steps):
        start = step * product.k // steps
        stop = (step + 1) * product.k // steps
        if patches_are_pixels(&product.window):
            a = x + first * product.window.pixel + start
            pitch = product.window.pixel
        elif stop > start:
            pitch = line_pitch(stop - start, x)
            gather_patches(x, product.x_size, &product.window, first, last - first, start, stop - start, patches, pitch,
                           (BLOCK_ROWS * (DEPTH_BYTES + LINE_BYTES) + LINE_BYTES) // sizeof(real))
        flags = (TILE_ACCUMULATE if step else 0) | (TILE_RELU if product.activation == 1 and step == steps - 1 else 0)
        _multiply_patches(a, pitch, b, bias, y, product, first, last, start, stop, left, right, flags)
    if product.activation > 1:
        _activate_block(y, product, first, last, left, right)


cdef inline void _multiply_patches(const real *a, Py_ssize_t pitch, const real *b, const real *bias, real *y, const Product *product,
                                   Py_ssize_t first, Py_ssize_t last, Py_ssize_t start, Py_ssize_t stop, Py_ssize_t left,
                                   Py_ssize_t right, int flags) noexcept nogil:
    """Multiply rows [first, last) of A with rows [start, stop) and columns [left, right) of B."""
    cdef Py_ssize_t lane = lanes(a), width = TILE_VECTORS * lane, panel, n, ldb, at, at_b, b_size
    cdef bint scattered = (product.out_row != product.window.ow * product.out_pixel
                           or product.out_image != product.window.oh * product.out_row)
    cdef char memory[BLOCK_ROWS * PANEL_BYTES]
    cdef real *block = <real *>memory
    for panel in range((right - left + width - 1) // width):
        at = left + panel * width
        n = min(width, right - at)
        ldb = product.ldb
        at_b = at + start * ldb
        b_size = product.b_size - at_b
        if product.packed:
            ldb = lane if n <= lane else width
            at_b = at * product.k + start * ldb
            b_size = (stop - start) * ldb
        if scattered:
            if flags & TILE_ACCUMULATE:
                _copy_rows(y + at, block, product, first, last, n, True)
            multiply_panel(a, pitch, 1, b + at_b, ldb, b_size, block, n, last - first, stop - start, n, bias + at if bias else NULL,
                           flags)
            _copy_rows(y + at, block, product, first, last, n, False)
        else:
            multiply_panel(a, pitch, 1, b + at_b, ldb, b_size, y + first * product.out_pixel + at, product.out_pixel, last - first,
                           stop - start, n, bias + at if bias else NULL, flags)


cdef inline void _copy_rows(real *y, real *block, const Product *product, Py_ssize_t first, Py_ssize_t last, Py_ssize_t n,
                            bint load) noexcept nogil:
    """Copy n columns of rows [first, last) of C, wherever they lie in y, to `block`, or back."""
    cdef Py_ssize_t row
    cdef real *pixel
    for row in range(first, last):
        pixel = (y + row // (product.window.oh * product.window.ow) * product.out_image
                 + row // product.window.ow % product.window.oh * product.out_row + row % product.window.ow * product.out_pixel)
        if load:
            memcpy(block, pixel, n * sizeof(real))
        else:
            memcpy(pixel, block, n * sizeof(real))
        block += n


cdef inline void _activate_block(real *y, const Product *product, Py_ssize_t first, Py_ssize_t last, Py_ssize_t left,
                                 Py_ssize_t right) noexcept nogil:
    cdef Py_ssize_t row
    if right - left == product.out_pixel:
        activate_inplace(y + first * product.out_pixel, (last - first) * product.n, product.activation, <real>product.alpha)
    else:
        for row in range(first, last):
            activate_inplace(y + row * product.out_pixel + left, right - left, product.activation, <real>product.alpha)


cdef inline real *allocate_panels(Py_ssize_t k, Py_ssize_t n, char *small, const real *tag) noexcept nogil:
    """Return room for B[k, n] in panels: `small` if that is enough (SMALL_BYTES), else from malloc (NULL when there is none)."""
    cdef Py_ssize_t size = k * ((n + lanes(tag) - 1) // lanes(tag) * lanes(tag)) * sizeof(real) + LINE_BYTES
    return <real *>(small if size <= SMALL_BYTES else malloc(size))


cdef inline void pack_rows(const real *w, Py_ssize_t ldw, Py_ssize_t k, Py_ssize_t n, real *panels) noexcept nogil:
    """Pack B[k, n], whose rows lie ldw apart at `w`, in panels: the rows of a panel follow one another, zero past column n."""
    cdef Py_ssize_t lane = lanes(w), width = TILE_VECTORS * lane, panel, p, left, count, ldb
    for panel in range((n + width - 1) // width):
        left = panel * width
        count = min(width, n - left)
        ldb = lane if count <= lane else width
        for p in range(k):
            memcpy(panels + left * k + p * ldb, w + p * ldw + left, count * sizeof(real))
            if count < ldb:
                memset(panels + left * k + p * ldb + count, 0, (ldb - count) * sizeof(real))


cdef inline void pack_columns(const real *w, Py_ssize_t ldw, Py_ssize_t first, Py_ssize_t rows, Py_ssize_t k, Py_ssize_t n,
                              real *panels) noexcept nogil:
    """Pack rows [first, first + rows) of B[k, n] from its transpose: B[first + p, j] stands at w[j * ldw + p]."""
    cdef Py_ssize_t lane = lanes(w), width = TILE_VECTORS * lane, panel, p, j, left, count, ldb
    cdef real *to
    for panel in range((n + width - 1) // width):
        left = panel * width
        count = min(width, n - left)
        ldb = lane if count <= lane else width
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

    Every task owns a part of dw. Only where dw is too small for that are the pixels cut into chunks as well, whose sums are added in
    order: the cut depends on the shape alone, so the result does not depend on the number of threads.
    """
    cdef Py_ssize_t columns = GRADIENT_BYTES // sizeof(real), size = gradient.k * gradient.n
    cdef Py_ssize_t k_tasks = max((gradient.k + columns - 1) // columns, 1)
    cdef Py_ssize_t chunks = _gradient_chunks(gradient, k_tasks), task, i, j
    cdef real *partial = <real *>malloc((chunks - 1) * (size + gradient.n) * sizeof(real)) if chunks > 1 else NULL
    if partial == NULL:
        chunks = 1
    if threads == 1 or chunks * k_tasks == 1 or 2 * size * gradient.pixels < PARALLEL_FLOPS:
        for task in range(chunks * k_tasks):
            _gradient_task(x, dy, dw, db, partial, gradient, task // k_tasks, chunks, task % k_tasks, k_tasks)
    else:
        for task in prange(chunks * k_tasks, num_threads=threads, schedule="static"):
            _gradient_task(x, dy, dw, db, partial, gradient, task // k_tasks, chunks, task % k_tasks, k_tasks)
    for task in range(chunks - 1):
        for i in range(gradient.k):
            for j in range(gradient.n):
                dw[i * gradient.dw_row + j] += partial[task * (size + gradient.n) + i * gradient.n + j]
        if db:
            for j in range(gradient.n):
                db[j] += partial[task * (size + gradient.n) + size + j]
    free(partial)


cdef inline Py_ssize_t _gradient_chunks(const Gradient *gradient, Py_ssize_t k_tasks) noexcept nogil:
    """Return into how many chunks the pixels are cut: enough for TASKS tasks, none smaller than PARALLEL_FLOPS."""
    cdef Py_ssize_t worth = 2 * gradient.k * gradient.n * gradient.pixels // PARALLEL_FLOPS
    return max(min((TASKS + k_tasks - 1) // k_tasks, worth), 1)


cdef inline void _gradient_task(const real *x, const real *dy, real *dw, real *db, real *partial, const Gradient *gradient,
                                Py_ssize_t chunk, Py_ssize_t chunks, Py_ssize_t k_task, Py_ssize_t k_tasks) noexcept nogil:
    """Sum a chunk of the pixels into a share of the rows of dw, or of the chunk's partial sums."""
    cdef Py_ssize_t first = chunk * gradient.pixels // chunks, last = (chunk + 1) * gradient.pixels // chunks
    cdef Py_ssize_t start = k_task * gradient.k // k_tasks, stop = (k_task + 1) * gradient.k // k_tasks
    cdef Py_ssize_t steps = max((last - first + GRADIENT_DEPTH - 1) // GRADIENT_DEPTH, 1), step, begin, end
    cdef Py_ssize_t ldc = gradient.dw_row
    if chunk > 0:
        dw = partial + (chunk - 1) * (gradient.k + 1) * gradient.n
        db = dw + gradient.k * gradient.n if db else NULL
        ldc = gradient.n
    if db and k_task == 0:
        memset(db, 0, gradient.n * sizeof(real))
    for step in range(steps):
        begin = first + step * (last - first) // steps
        end = first + (step + 1) * (last - first) // steps
        _gradient_block(x, dy, dw + start * ldc, ldc, gradient, begin, end, start, stop, TILE_ACCUMULATE if step else 0)
        if db and k_task == 0:
            _add_rows(dy + begin * gradient.dy_pixel, gradient.dy_pixel, end - begin, gradient.n, db)


cdef inline void _gradient_block(const real *x, const real *dy, real *dw, Py_ssize_t ldc, const Gradient *gradient, Py_ssize_t begin,
                                 Py_ssize_t end, Py_ssize_t start, Py_ssize_t stop, int flags) noexcept nogil:
    """Add pixels [begin, end) to rows [start, stop) of dw, of which `dw` is the first."""
    cdef char memory[GRADIENT_DEPTH * (GRADIENT_BYTES + LINE_BYTES) + 2 * LINE_BYTES]
    cdef real *patches = first_line(memory, x)
    cdef const real *a = patches
    cdef Py_ssize_t width = TILE_VECTORS * lanes(x), pitch = line_pitch(stop - start, x), panel, left, at = begin * gradient.dy_pixel
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


cdef inline void _add_rows(const real *rows, Py_ssize_t pitch, Py_ssize_t count, Py_ssize_t n, real *total) noexcept nogil:
    cdef Py_ssize_t i, j
    for i in range(count):
        for j in range(n):
            total[j] += rows[i * pitch + j]
