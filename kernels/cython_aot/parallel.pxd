"""When to use threads, and how work is cut for them.

A kernel enters an OpenMP region only with more than one thread and enough work: entering one costs more than a small network's
whole layer. Pieces depend on the shapes alone, so results are the same for every number of threads.
"""

cdef enum:
    PARALLEL_ELEMENTS = 32768  # below, a second thread costs more than it brings, even one that is awake (see call.pyx)
    CHUNK = 4096  # elements of one piece, more or less
    GRAIN = 1024  # pieces start at multiples: whole cache lines


cdef inline int team(Py_ssize_t elements, int threads) noexcept nogil:
    """Threads worth using for so many elements."""
    return threads if elements >= PARALLEL_ELEMENTS else 1


cdef inline Py_ssize_t chunks(Py_ssize_t size) noexcept nogil:
    """Number of pieces of `size` elements: as many in the first half as in the second, as matrices are cut (see matrix.pxd)."""
    return 2 * ((size + 2 * CHUNK - 1) // (2 * CHUNK))


cdef inline Py_ssize_t chunk_start(Py_ssize_t k, Py_ssize_t size) noexcept nogil:
    """First element of piece `k`."""
    return size if k == chunks(size) else k * size // chunks(size) // GRAIN * GRAIN


cdef inline Py_ssize_t chunk_length(Py_ssize_t k, Py_ssize_t size) noexcept nogil:
    """Elements of piece `k`."""
    return chunk_start(k + 1, size) - chunk_start(k, size)
