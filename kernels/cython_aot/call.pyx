"""From Python arguments to a call record, and from the record to the kernel.

`Kernel` is the Python face of one compiled op: it checks that the arguments fit the op's spec (number, dtype, contiguity,
rank, extents that agree), so that a wrong call raises instead of reading past a buffer, and runs the kernel without the interpreter lock.
"""

from libc.stdlib cimport free, realloc

from cpython.buffer cimport PyBUF_C_CONTIGUOUS, PyBUF_FORMAT, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer

from call cimport FASTNN_MAX_ARRAYS, FASTNN_MAX_AXES, FASTNN_MAX_INTEGERS, FASTNN_MAX_REALS, fastnn_call

cdef extern from "cpu.h":
    const char *fastnn_cpu_level()

cdef extern from *:
    """
    #ifdef _OPENMP
    #define FASTNN_OPENMP 1
    #else
    #define FASTNN_OPENMP 0
    #endif
    """
    const bint FASTNN_OPENMP

ctypedef void (*kernel_t)(const fastnn_call *) noexcept nogil

cdef int num_threads = 1

cdef enum:
    # Other threads sleep soon after their last work, and to wake them takes as long as one thread does some 10 us of work.
    # Only in a program with a product of so many operations (PARALLEL_FLOPS of gemm.pxd, which wakes them) are they awake anyway.
    WAKING_ELEMENTS = 131072
    WAKING_FLOPS = 1500000


def set_num_threads(int threads):
    """Set the most threads that the kernels may use."""
    global num_threads
    num_threads = threads


def get_num_threads():
    """Return the most threads that the kernels may use."""
    return num_threads


def has_openmp():
    """Say whether the kernels were compiled with OpenMP; without it they use one thread."""
    return bool(FASTNN_OPENMP)


def cpu_level():
    """Return the highest instruction level of this processor, as the name of its folder."""
    return fastnn_cpu_level().decode()


cdef enum ArrayKind:
    REAL, INT32, UINT8, UINT64, FLOAT64

_KIND_CODES = {"real": REAL, "int32": INT32, "uint8": UINT8, "uint64": UINT64, "float64": FLOAT64}


cdef struct Argument:
    ArrayKind kind
    bint writable
    bint optional
    bint flat
    int rank
    int axis[8]  # index of the axis among the extents; a fixed extent e is stored as -e - 1


cdef class Kernel:
    """One op of a compiled backend, called as ``kernel(*inputs, *params, *outputs)``.

    Parameters
    ----------
    op : fastnn.kernels.spec.Op
        The contract.
    addresses : tuple of int
        The compiled functions for float32 and for float64.
    """

    cdef readonly object op
    cdef kernel_t functions[2]
    cdef Argument arguments[9]
    cdef int n_inputs, n_params, n_outputs
    cdef bint is_product
    cdef bint param_is_integer[12]
    cdef Py_ssize_t param_low[12]
    cdef int product[3]  # an axis, its factor among the axes, its factor among the integer parameters; -1 where there is no product

    def __init__(self, op, addresses):
        cdef int i, j
        axes = op.axes
        integers = sum(p.kind == "int" for p in op.params)
        if (len(op.arrays) > FASTNN_MAX_ARRAYS or len(axes) > FASTNN_MAX_AXES or integers > FASTNN_MAX_INTEGERS
                or len(op.params) - integers > FASTNN_MAX_REALS):
            raise ValueError(f"{op.name} does not fit a call record; enlarge it in call.h")
        self.op = op
        self.functions[0] = <kernel_t><size_t>addresses[0]
        self.functions[1] = <kernel_t><size_t>addresses[1]
        self.is_product = op.flops is not None
        self.n_inputs, self.n_params, self.n_outputs = len(op.inputs), len(op.params), len(op.outputs)
        for i, array in enumerate(op.arrays):
            self.arguments[i].kind = _KIND_CODES[array.kind]
            self.arguments[i].writable = array.role != "in"
            self.arguments[i].optional = array.optional
            self.arguments[i].flat = array.axes == "*"
            self.arguments[i].rank = len(array.axis_names)
            for j, axis in enumerate(array.axis_names):
                self.arguments[i].axis[j] = -int(axis) - 1 if axis.isdigit() else axes.index(axis)
        for i, param in enumerate(op.params):
            self.param_is_integer[i] = param.kind == "int"
            self.param_low[i] = param.low
        self.product[0] = -1
        if op.product:
            axis, factor, param = op.product
            names = [p.name for p in op.params if p.kind == "int"]
            self.product[0], self.product[1], self.product[2] = axes.index(axis), axes.index(factor), names.index(param)

    @property
    def __name__(self):
        return self.op.name

    def __repr__(self):
        return f"<compiled kernel {self.op.name}({', '.join(self.op.argument_names)})>"

    def __call__(self, *args):
        cdef fastnn_call call
        self.pack(args, &call)
        call.threads = self.threads(&call, False)
        with nogil:
            call.kernel(&call)

    cdef int pack(self, tuple args, fastnn_call *call) except -1:
        """Fill the call record; raise TypeError or ValueError where an argument does not fit the spec."""
        cdef int i, place, n_integers = 0, n_reals = 0, dtype = -1
        if len(args) != self.n_inputs + self.n_params + self.n_outputs:
            raise TypeError(f"{self.op.name} takes {', '.join(self.op.argument_names)}; got {len(args)} arguments")
        for i in range(FASTNN_MAX_AXES):
            call.extent[i] = -1
        call.elements = 0
        for i in range(self.n_inputs + self.n_outputs):
            place = i if i < self.n_inputs else i + self.n_params
            self.pack_array(i, args[place], call, &dtype)
        for i in range(self.n_params):
            if self.param_is_integer[i]:
                call.integer[n_integers] = self.integer(i, args[self.n_inputs + i])
                n_integers += 1
            else:
                call.real[n_reals] = self.real(i, args[self.n_inputs + i])
                n_reals += 1
        if self.product[0] >= 0:
            self.check_product(call)
        call.kernel = self.functions[dtype == 1]
        return 0

    cdef int threads(self, const fastnn_call *call, bint awake) noexcept:
        """Return the most threads that the kernel may use; of elementwise work it decides by `awake` whether the others are."""
        return num_threads if awake or self.is_product or call.elements >= WAKING_ELEMENTS else 1

    cdef double flops(self, const fastnn_call *call) except -1:
        """Return the floating-point operations of a product, 0 for other kernels."""
        if not self.is_product:
            return 0
        integers = [p.name for p in self.op.params if p.kind == "int"]
        dims = {axis: call.extent[i] for i, axis in enumerate(self.op.axes)}
        return self.op.flops(dims | {name: call.integer[i] for i, name in enumerate(integers)})

    cdef int pack_array(self, int i, object array, fastnn_call *call, int *dtype) except -1:
        cdef Argument *argument = &self.arguments[i]
        cdef Py_buffer view
        cdef int j
        cdef Py_ssize_t size = 1
        if array is None:
            if not argument.optional:
                raise TypeError(f"{self.op.name}: {self.op.arrays[i].name} must be an array, got None")
            call.array[i] = NULL
            return 0
        flags = PyBUF_FORMAT | PyBUF_C_CONTIGUOUS | (PyBUF_WRITABLE if argument.writable else 0)
        try:
            PyObject_GetBuffer(array, &view, flags)
        except (TypeError, ValueError, BufferError) as error:
            kind = TypeError if isinstance(error, TypeError) else ValueError
            raise kind(f"{self.op.name}: {self.op.arrays[i].name} must be a C-contiguous array{', writable' * argument.writable}; "
                       f"got {type(array).__name__}: {error}") from None
        try:
            self.check_dtype(i, &view, dtype)
            call.array[i] = view.buf
            call.elements = max(call.elements, view.len // view.itemsize)
            if argument.flat:
                for j in range(view.ndim):
                    size *= view.shape[j]
                self.set_extent(i, argument.axis[0], size, call)
                return 0
            if view.ndim != argument.rank:
                raise ValueError(f"{self.op.name}: {self.op.arrays[i].name} must have axes ({self.op.arrays[i].axes}), "
                                 f"got an array of rank {view.ndim}")
            for j in range(view.ndim):
                self.set_extent(i, argument.axis[j], view.shape[j], call)
        finally:
            PyBuffer_Release(&view)
        return 0

    cdef Py_ssize_t integer(self, int i, object value) except? -1:
        cdef Py_ssize_t number
        try:
            number = value
        except (TypeError, OverflowError) as error:
            kind = TypeError if isinstance(error, TypeError) else ValueError
            raise kind(f"{self.op.name}: {self.op.params[i].name} must be an integer; got {value!r:.60}") from None
        if number < self.param_low[i]:
            raise ValueError(f"{self.op.name}: {self.op.params[i].name} must be at least {self.param_low[i]}; got {number}")
        return number

    cdef double real(self, int i, object value) except? -1:
        try:
            return value
        except TypeError:
            raise TypeError(f"{self.op.name}: {self.op.params[i].name} must be a number; got {value!r:.60}") from None

    cdef int check_product(self, fastnn_call *call) except -1:
        cdef Py_ssize_t extent = call.extent[self.product[0]]
        cdef Py_ssize_t factor = call.extent[self.product[1]], parameter = call.integer[self.product[2]]
        if factor * parameter != extent:
            axis, other, name = self.op.product
            raise ValueError(f"{self.op.name}: axis {axis!r} has extent {extent}, expected {factor} * {parameter}, "
                             f"axis {other!r} times {name}")
        return 0

    cdef int check_dtype(self, int i, Py_buffer *view, int *dtype) except -1:
        cdef char code = view.format[0]
        cdef ArrayKind kind = self.arguments[i].kind
        cdef int given
        if kind == REAL:
            given = 0 if code == b"f" else 1 if code == b"d" else -1
            if given >= 0 and (dtype[0] < 0 or dtype[0] == given):
                dtype[0] = given
                return 0
        elif kind == INT32 and view.itemsize == 4 and code in b"il":
            return 0
        elif kind == UINT8 and code == b"B":
            return 0
        elif kind == UINT64 and view.itemsize == 8 and code in b"LQ":
            return 0
        elif kind == FLOAT64 and code == b"d":
            return 0
        wanted = "float32 or float64, the same for all real arrays" if kind == REAL else self.op.arrays[i].kind
        raise TypeError(f"{self.op.name}: {self.op.arrays[i].name} must be {wanted}; got format {view.format.decode()!r}")

    cdef int set_extent(self, int i, int axis, Py_ssize_t extent, fastnn_call *call) except -1:
        if axis >= 0 and call.extent[axis] < 0:
            call.extent[axis] = extent
            return 0
        expected = call.extent[axis] if axis >= 0 else -axis - 1
        if extent != expected:
            name = f"axis {self.op.axes[axis]!r}" if axis >= 0 else "an axis"
            raise ValueError(f"{self.op.name}: {name} of {self.op.arrays[i].name} has extent {extent}, expected {expected}")
        return 0


cdef class Program:
    """A list of call records, run in order without the interpreter lock.

    The arrays of each record are kept alive as long as the program is.
    """

    cdef fastnn_call *calls
    cdef Py_ssize_t length, capacity
    cdef bint awake
    cdef int planned_for  # number of threads
    cdef list kept

    def __cinit__(self):
        self.calls = NULL
        self.length = self.capacity = 0
        self.awake = False
        self.planned_for = 0
        self.kept = []

    def __dealloc__(self):
        free(self.calls)

    def __len__(self):
        return self.length

    def append(self, Kernel kernel, *args):
        """Add a call of `kernel` with `args`, checked now and run later."""
        cdef fastnn_call *grown
        if self.length == self.capacity:
            self.capacity = 2 * self.capacity + 16
            grown = <fastnn_call *>realloc(self.calls, self.capacity * sizeof(fastnn_call))
            if grown == NULL:
                raise MemoryError(f"no memory for {self.capacity} call records")
            self.calls = grown
        kernel.pack(args, &self.calls[self.length])
        self.awake = self.awake or kernel.flops(&self.calls[self.length]) >= WAKING_FLOPS
        self.length += 1
        self.planned_for = 0
        self.kept.append((kernel, args))

    def run(self, Py_ssize_t times=1):
        """Run all calls in order, `times` times over."""
        cdef Py_ssize_t _, i
        if self.planned_for != num_threads:
            for i in range(self.length):
                self.calls[i].threads = (<Kernel>self.kept[i][0]).threads(&self.calls[i], self.awake)
            self.planned_for = num_threads
        with nogil:
            for _ in range(times):
                for i in range(self.length):
                    self.calls[i].kernel(&self.calls[i])
