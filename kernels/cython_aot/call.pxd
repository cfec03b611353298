cdef extern from "call.h" nogil:
    enum:
        FASTNN_MAX_ARRAYS
        FASTNN_MAX_AXES
        FASTNN_MAX_INTEGERS
        FASTNN_MAX_REALS

    ctypedef struct fastnn_call:
        void (*kernel)(const fastnn_call *) noexcept nogil
        void *array[9]
        Py_ssize_t extent[12]
        Py_ssize_t integer[8]
        double real[4]
        Py_ssize_t elements
        int threads

ctypedef fused real:
    float
    double
