"""From Python arguments to a call record, and from the record to the kernel.

`Kernel` is the Python face of one compiled op: it checks that the arguments fit the op's spec (number, dtype, contiguity,
rank, extents that agree), so that a wrong call raises instead of reading past a buffer, and runs the kernel without the interpreter lock.
"""

cimport numpy as cnp
from libc.stdlib cimport free, realloc

from cpython.buffer cimport (
    PyBUF_C_CONTIGUOUS, PyBUF_FORMAT, PyBUF_STRIDES, PyBUF_WRITABLE, PyBuffer_IsContiguous, PyBuffer_Release, PyObject_GetBuffer
)

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize

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

cnp.import_array()

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


cdef enum:
    MAX_RANK = 8  # of the arrays of a spec, of which those of any shape are none

cdef enum Fit:
    FITS, NO_BUFFER, OTHER_DTYPE, OTHER_RANK, OTHER_EXTENT

cdef struct Argument:
    ArrayKind kind
    bint writable
    bint optional
    bint flat
    bint one_float64  # for which a number may stand
    int rank
    int axis[MAX_RANK]  # index of the axis among the extents; a fixed extent e is stored as -e - 1
    int below  # index of the axis whose extent the elements are below; -1 where there is none

cdef struct View:  # of an array: what the spec speaks of
    void *data
    const Py_ssize_t *shape
    int rank
    Py_ssize_t size, itemsize
    char code  # of its dtype, as in the module struct; 0 where elements are not aligned, or their bytes swapped
    bint contiguous, writable

cdef struct Shape:
    int rank  # -1: of no array yet
    const Py_ssize_t *extent

cdef int[5] TYPES = [cnp.NPY_FLOAT32, cnp.NPY_INT32, cnp.NPY_UINT8, cnp.NPY_UINT64, cnp.NPY_FLOAT64]  # by ArrayKind


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
    cdef int n_inputs, n_params, n_outputs, n_axes
    cdef bint is_product
    cdef bint makes_outputs  # whether the outputs are new arrays whose shapes follow from those of the inputs
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
        self.n_inputs, self.n_params, self.n_outputs, self.n_axes = len(op.inputs), len(op.params), len(op.outputs), len(axes)
        for i, array in enumerate(op.arrays):
            self.arguments[i].kind = _KIND_CODES[array.kind]
            self.arguments[i].writable = array.role != "in"
            self.arguments[i].optional = array.optional
            self.arguments[i].flat = array.axes == "*"
            self.arguments[i].one_float64 = array.kind == "float64" and array.axes == "1" and array.role == "in"
            self.arguments[i].rank = len(array.axis_names)
            for j, axis in enumerate(array.axis_names):
                self.arguments[i].axis[j] = -int(axis) - 1 if axis.isdigit() else axes.index(axis)
            self.arguments[i].below = axes.index(array.below) if array.below else -1
        known = {axis for array in op.inputs for axis in array.axis_names}
        self.makes_outputs = all(
            array.role == "out" and (axis in known or axis.isdigit()) for array in op.outputs for axis in array.axis_names
        ) and any(array.kind == "real" for array in op.inputs)
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
        self.run(&call)

    def attempt(self, tuple inputs, tuple params, tuple outputs=None, bint optional=True):
        """Run the kernel if all arrays are such as it takes, which is what calls have in common that need no conversion.

        Parameters
        ----------
        inputs : tuple
            Plain NumPy arrays, or None, fit; so do Python's numbers for arrays of one float64, and int64 for indices.
        params : tuple
            These are known to be right.
        outputs : tuple of ndarray, optional
            What is updated; by default new arrays.
        optional : bool, default True
            Whether to make the output that may be left out.

        Returns
        -------
        tuple of ndarray or None
            The outputs. None if something does not fit; then nothing has been computed. So it is for convolutions, too.
        """
        cdef fastnn_call call
        cdef Shape shape
        cdef double numbers[FASTNN_MAX_ARRAYS]
        cdef int i, n_numbers = 0, dtype = -1
        cdef bytes index  # lives as long as the call
        if len(inputs) != self.n_inputs or len(params) != self.n_params or (outputs is not None and len(outputs) != self.n_outputs):
            raise TypeError(f"{self.op.name} takes {', '.join(self.op.argument_names)}; got {inputs}, {params}, {outputs}")
        if self.product[0] >= 0 or (outputs is None and not self.makes_outputs):
            return None
        begin(&call)
        shape.rank = -1
        for i in range(self.n_inputs):
            value = inputs[i]
            if not cnp.PyArray_CheckExact(value) and value is not None:
                if not self.arguments[i].one_float64 or not isinstance(value, (float, int)) or value != value:
                    return None
                numbers[n_numbers] = value
                call.array[i] = &numbers[n_numbers]
                n_numbers += 1
            elif self.arguments[i].below >= 0 and value is not None:
                index = self.narrowed(i, value, &call)
                if index is None:
                    return None
            elif self.place(i, value, &call, &dtype, &shape) != FITS:
                return None
        for i in range(self.n_axes):
            if call.extent[i] == 0:
                return None
        self.pack_params(params, 0, &call)
        if outputs is None:
            outputs = self.new_outputs(&call, dtype, &shape, optional)
        else:
            for i in range(self.n_outputs):
                value = outputs[i]
                if not cnp.PyArray_CheckExact(value) and value is not None:
                    return None
                if self.place(self.n_inputs + i, value, &call, &dtype, &shape) != FITS:
                    return None
        call.kernel = self.functions[dtype == 1]
        self.run(&call)
        return outputs

    cdef int pack(self, tuple args, fastnn_call *call) except -1:
        """Fill the call record; raise TypeError or ValueError where an argument does not fit the spec."""
        cdef int i, dtype = -1
        cdef Fit fit
        if len(args) != self.n_inputs + self.n_params + self.n_outputs:
            raise TypeError(f"{self.op.name} takes {', '.join(self.op.argument_names)}; got {len(args)} arguments")
        begin(call)
        for i in range(self.n_inputs + self.n_outputs):
            array = args[i if i < self.n_inputs else i + self.n_params]
            fit = self.place(i, array, call, &dtype, NULL)
            if fit != FITS:
                self.refuse(i, array, fit, call)
        self.pack_params(args, self.n_inputs, call)
        call.kernel = self.functions[dtype == 1]
        return 0

    cdef int pack_params(self, tuple values, int first, fastnn_call *call) except -1:
        """Put the parameters, of which the first stands at place `first`, into the call record."""
        cdef int i, n_integers = 0, n_reals = 0
        for i in range(self.n_params):
            if self.param_is_integer[i]:
                call.integer[n_integers] = self.integer(i, values[first + i])
                n_integers += 1
            else:
                call.real[n_reals] = self.real(i, values[first + i])
                n_reals += 1
        if self.product[0] >= 0:
            self.check_product(call)
        return 0

    cdef int run(self, fastnn_call *call) except -1:
        call.threads = self.threads(call, False)
        with nogil:
            call.kernel(call)
        return 0

    cdef tuple new_outputs(self, fastnn_call *call, int dtype, const Shape *shape, bint optional):
        """Return new arrays for the outputs, and put them into the call record; None for one that is left out."""
        cdef Argument *argument
        cdef int i, j, kind
        cdef cnp.npy_intp extents[MAX_RANK]
        cdef list outputs = []
        for i in range(self.n_inputs, self.n_inputs + self.n_outputs):
            argument = &self.arguments[i]
            call.array[i] = NULL
            if argument.optional and not optional:
                outputs.append(None)
                continue
            kind = FLOAT64 if argument.kind == REAL and dtype == 1 else argument.kind
            for j in range(argument.rank):
                extents[j] = call.extent[argument.axis[j]] if argument.axis[j] >= 0 else -argument.axis[j] - 1
            if argument.flat:
                array = cnp.PyArray_EMPTY(shape.rank, <cnp.npy_intp *>shape.extent, TYPES[kind], False)
            else:
                array = cnp.PyArray_EMPTY(argument.rank, extents, TYPES[kind], False)
            call.array[i] = cnp.PyArray_DATA(array)
            call.elements = max(call.elements, cnp.PyArray_SIZE(array))
            outputs.append(array)
        return tuple(outputs)

    cdef bytes narrowed(self, int i, cnp.ndarray index, fastnn_call *call):
        """Return int32 or int64 indices, NumPy's default, as int32, and put these into the call record; None if they do not fit."""
        cdef Argument *argument = &self.arguments[i]
        cdef View view = look(index)
        cdef Py_ssize_t j
        cdef long long value
        cdef bytes result
        cdef int *narrow
        if (view.rank != 1 or not view.contiguous or view.code not in b"ilq"
                or not has_extent(argument.axis[0], view.size, call)):
            return None
        result = PyBytes_FromStringAndSize(NULL, view.size * sizeof(int))
        narrow = <int *>PyBytes_AS_STRING(result)
        for j in range(view.size):
            value = (<const long long *>view.data)[j] if view.itemsize == 8 else (<const int *>view.data)[j]
            if not 0 <= value < call.extent[argument.below]:
                return None
            narrow[j] = <int>value
        call.array[i] = narrow
        return result

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

    cdef Fit place(self, int i, object array, fastnn_call *call, int *dtype, Shape *shape) except *:
        """Put an array into the call record, which is of no use where it does not fit.

        Where `shape` is given, all arrays of any shape must have the same one, not only as many elements.
        """
        cdef Py_buffer buffer
        if array is None:
            call.array[i] = NULL
            return FITS if self.arguments[i].optional else NO_BUFFER
        if cnp.PyArray_CheckExact(array):
            return self.compare(i, look(array), call, dtype, shape)
        try:
            PyObject_GetBuffer(array, &buffer, PyBUF_FORMAT | PyBUF_STRIDES)
        except (TypeError, ValueError, BufferError):
            return NO_BUFFER
        fit = self.compare(i, look_at_buffer(&buffer), call, dtype, shape)
        PyBuffer_Release(&buffer)
        return fit

    cdef Fit compare(self, int i, View view, fastnn_call *call, int *dtype, Shape *shape) noexcept:
        """Compare an array with the spec and with the arrays before it, whose extents are in the call record."""
        cdef Argument *argument = &self.arguments[i]
        cdef int j
        if argument.writable and not view.writable or not view.contiguous:
            return NO_BUFFER
        if not has_dtype(argument.kind, view, dtype):
            return OTHER_DTYPE
        call.array[i] = view.data
        call.elements = max(call.elements, view.size)
        if argument.flat:
            if shape != NULL and not has_shape(view, shape):
                return OTHER_EXTENT
            return FITS if has_extent(argument.axis[0], view.size, call) else OTHER_EXTENT
        if view.rank != argument.rank:
            return OTHER_RANK
        for j in range(view.rank):
            if not has_extent(argument.axis[j], view.shape[j], call):
                return OTHER_EXTENT
        return FITS

    cdef int refuse(self, int i, object array, Fit fit, const fastnn_call *call) except -1:
        """Raise an error that says why an array does not fit."""
        cdef Argument *argument = &self.arguments[i]
        cdef Py_buffer view
        cdef int j, axis
        if array is None:
            raise TypeError(f"{self.op.name}: {self.op.arrays[i].name} must be an array, got None")
        flags = PyBUF_FORMAT | PyBUF_C_CONTIGUOUS | (PyBUF_WRITABLE if argument.writable else 0)
        try:
            PyObject_GetBuffer(array, &view, flags)
        except (TypeError, ValueError, BufferError) as error:
            kind = TypeError if isinstance(error, TypeError) else ValueError
            raise kind(f"{self.op.name}: {self.op.arrays[i].name} must be a C-contiguous array{', writable' * argument.writable}; "
                       f"got {type(array).__name__}: {error}") from None
        try:
            if fit == OTHER_DTYPE:
                wanted = "float32 or float64, the same for all real arrays" if argument.kind == REAL else self.op.arrays[i].kind
                raise TypeError(f"{self.op.name}: {self.op.arrays[i].name} must be {wanted}; got format {view.format.decode()!r}")
            if fit == OTHER_RANK:
                raise ValueError(f"{self.op.name}: {self.op.arrays[i].name} must have axes ({self.op.arrays[i].axes}), "
                                 f"got an array of rank {view.ndim}")
            extents = [view.len // view.itemsize] if argument.flat else [view.shape[j] for j in range(view.ndim)]
        finally:
            PyBuffer_Release(&view)
        for j, extent in enumerate(extents):
            axis = argument.axis[j]
            expected = call.extent[axis] if axis >= 0 else -axis - 1
            if extent != expected:
                name = f"axis {self.op.axes[axis]!r}" if axis >= 0 else "an axis"
                raise ValueError(f"{self.op.name}: {name} of {self.op.arrays[i].name} has extent {extent}, expected {expected}")
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


cdef void begin(fastnn_call *call) noexcept:
    """Forget the extents and the size of an earlier call."""
    cdef int i
    for i in range(FASTNN_MAX_AXES):
        call.extent[i] = -1
    call.elements = 0


cdef View look(cnp.ndarray array) noexcept:
    cdef View view
    view.data = cnp.PyArray_DATA(array)
    view.shape = <const Py_ssize_t *>cnp.PyArray_DIMS(array)
    view.rank = cnp.PyArray_NDIM(array)
    view.size = cnp.PyArray_SIZE(array)
    view.itemsize = cnp.PyArray_ITEMSIZE(array)
    view.code = array.descr.type if cnp.PyArray_ISBEHAVED_RO(array) else 0
    view.contiguous = cnp.PyArray_IS_C_CONTIGUOUS(array)
    view.writable = cnp.PyArray_ISWRITEABLE(array)
    return view


cdef View look_at_buffer(Py_buffer *buffer) noexcept:
    cdef View view
    view.data = buffer.buf
    view.shape = buffer.shape
    view.rank = buffer.ndim
    view.size = buffer.len // buffer.itemsize
    view.itemsize = buffer.itemsize
    view.code = buffer.format[0]
    view.contiguous = PyBuffer_IsContiguous(buffer, b"C")
    view.writable = not buffer.readonly
    return view


cdef bint has_dtype(ArrayKind kind, View view, int *real) noexcept:
    """Say whether an array has elements of this kind; `real` is what all real arrays are: 0 float32, 1 float64, -1 not known yet."""
    cdef int given
    if kind == REAL:
        given = 0 if view.code == b"f" else 1 if view.code == b"d" else -1
        if given < 0 or real[0] == 1 - given:
            return False
        real[0] = given
        return True
    if kind == INT32:
        return view.itemsize == 4 and view.code in b"il"
    if kind == UINT8:
        return view.code == b"B"
    if kind == UINT64:
        return view.itemsize == 8 and view.code in b"LQ"
    return view.code == b"d"


cdef bint has_extent(int axis, Py_ssize_t extent, fastnn_call *call) noexcept:
    """Say whether an axis may have this extent; the first array that has the axis decides."""
    if axis < 0:
        return extent == -axis - 1
    if call.extent[axis] < 0:
        call.extent[axis] = extent
    return call.extent[axis] == extent


cdef bint has_shape(View view, Shape *shape) noexcept:
    """Say whether an array may have its shape; the first one decides."""
    cdef int j
    if shape.rank < 0:
        shape.rank, shape.extent = view.rank, view.shape
    if shape.rank != view.rank:
        return False
    for j in range(view.rank):
        if shape.extent[j] != view.shape[j]:
            return False
    return True


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
