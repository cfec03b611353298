"""Tensors, variables, and the tape that differentiates what the ops do with them.

One mechanism: an op computes its outputs and hands `record` its vector-Jacobian product (VJP). A `GradientTape` keeps the
recorded nodes in order and runs their VJPs backwards. VJPs are made of ops, so a tape around a tape records them as well:
that gives second and higher derivatives.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

import numpy as np
from numpy import ndarray

from . import memory
from .kernels.interop import on_host
from .kernels.table import python_step

__all__ = [
    "GradientTape",
    "Node",
    "Tensor",
    "Variable",
    "as_tensor",
    "constant",
    "first_derivative_only",
    "is_watched",
    "record",
]

#: what else can be done about a function that takes a tensor for one number
COMPILE = "; @fastnn.activation and @fastnn.loss compile functions that are written for one number"


class Tensor:
    """An array whose use by the ops can be recorded: made by `constant` and by every op, never changed.

    Arithmetic broadcasts as in NumPy. Python and NumPy scalars and lists take the dtype of the float tensor they meet, integers
    the dtype of the floats they meet; float32 with float64 gives float64. Comparisons, ``==`` too, give a tensor of bools.

    NumPy's functions take a tensor as an array. ``torch.from_dlpack(x)``, and that of other libraries, gives an array in the same
    memory, which for a `Variable` is what training changes. What an active tape watches neither takes, since no gradient would go
    through: that is a TypeError. `numpy` gives the values there too.

    Attributes
    ----------
    data : ndarray
        The values.
    logits : Tensor or None
        Of what a softmax or sigmoid made: its input, from which a cross-entropy is computed without overflow.
    link : {"softmax", "sigmoid", None}
        Which of the two made it.
    """

    __slots__ = ("__weakref__", "data", "link", "logits")

    #: array * tensor is left to the tensor, so that the tape sees it
    __array_priority__ = 100.0

    data: ndarray
    logits: Tensor | None
    link: str | None

    def __init__(self, data: Any) -> None:
        self.data = data if type(data) is ndarray else np.asarray(data)
        self.logits = None
        self.link = None

    @property
    def shape(self) -> tuple[int, ...]:
        """The extents."""
        return self.data.shape

    @property
    def dtype(self) -> np.dtype:
        """The NumPy dtype."""
        return self.data.dtype

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self.data.ndim

    @property
    def size(self) -> int:
        """The number of elements."""
        return self.data.size

    def numpy(self) -> Any:
        """Return the values as a NumPy array, of a tensor without axes as a NumPy scalar."""
        return self._values()[()]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> ndarray:
        return np.array(self._values_to_leave(), dtype=dtype, copy=copy)

    def __dlpack__(self, **how: Any) -> Any:
        return self._values_to_leave().__dlpack__(**how)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.data.__dlpack_device__()

    def __repr__(self) -> str:
        return f"<Tensor: shape={self.shape}, dtype={self.dtype}, numpy={self._numpy_text()}>"

    def __str__(self) -> str:
        return f"Tensor({self._values()}, shape={self.shape}, dtype={self.dtype})"

    def _numpy_text(self) -> str:
        return repr(self._values()) if self.data.ndim else str(self._values())

    def __format__(self, spec: str) -> str:
        return format(self._values()[()], spec) if spec else str(self)

    def __len__(self) -> int:
        return len(self.data)

    def __bool__(self) -> bool:
        return bool(self._number("`if`, `and` and `or` choose once for all of them, ops.where(condition, a, b) for each" + COMPILE))

    def __float__(self) -> float:
        return float(self._number("fastnn.ops has functions of tensors, such as ops.exp for math.exp" + COMPILE))

    def __int__(self) -> int:
        return int(self._number("ops.cast(x, 'int32') converts each"))

    def __index__(self) -> int:
        return self._values().__index__()

    def _number(self, advice: str) -> Any:
        """Return the value of a single element; advise who takes more of them for one."""
        if self.data.size != 1:
            raise ValueError(f"a {type(self).__name__} of shape {self.shape} is not one number but {self.data.size}: {advice}")
        return self._values().item()

    def _values(self) -> ndarray:
        """Return the values to Python, which may do anything with them: a step that does is not recorded."""
        python_step("a tensor's values read by Python")
        return self.data

    def _values_to_leave(self) -> ndarray:
        """Return the values for another library; an error where a tape watches, since the gradient would get lost there."""
        if is_watched(self):
            raise TypeError(
                f"a {type(self).__name__} of shape {self.shape} that a GradientTape watches would become an array, through which "
                "no gradient goes: use fastnn.ops (ops.exp for np.exp, ops.stack for a list of tensors), "
                "or its .numpy() where the values alone are wanted"
            )
        return self._values()

    def __iter__(self) -> Iterator[Tensor]:
        for i in range(len(self.data)):
            yield ops.getitem(self, i)

    def __getitem__(self, index: Any) -> Tensor:
        return ops.getitem(self, index)

    def __add__(self, other: Any) -> Tensor:
        return ops.add(self, other)

    def __radd__(self, other: Any) -> Tensor:
        return ops.add(other, self)

    def __sub__(self, other: Any) -> Tensor:
        return ops.subtract(self, other)

    def __rsub__(self, other: Any) -> Tensor:
        return ops.subtract(other, self)

    def __mul__(self, other: Any) -> Tensor:
        return ops.multiply(self, other)

    def __rmul__(self, other: Any) -> Tensor:
        return ops.multiply(other, self)

    def __truediv__(self, other: Any) -> Tensor:
        return ops.divide(self, other)

    def __rtruediv__(self, other: Any) -> Tensor:
        return ops.divide(other, self)

    def __pow__(self, other: Any) -> Tensor:
        return ops.power(self, other)

    def __rpow__(self, other: Any) -> Tensor:
        return ops.power(other, self)

    def __matmul__(self, other: Any) -> Tensor:
        return ops.matmul(self, other)

    def __rmatmul__(self, other: Any) -> Tensor:
        return ops.matmul(other, self)

    def __neg__(self) -> Tensor:
        return ops.negative(self)

    def __abs__(self) -> Tensor:
        return ops.abs(self)

    def __eq__(self, other: Any) -> Tensor:  # type: ignore[override]
        return NotImplemented if other is None else ops.equal(self, other)

    def __ne__(self, other: Any) -> Tensor:  # type: ignore[override]
        return NotImplemented if other is None else ops.not_equal(self, other)

    def __lt__(self, other: Any) -> Tensor:
        return ops.less(self, other)

    def __le__(self, other: Any) -> Tensor:
        return ops.less_equal(self, other)

    def __gt__(self, other: Any) -> Tensor:
        return ops.greater(self, other)

    def __ge__(self, other: Any) -> Tensor:
        return ops.greater_equal(self, other)

    __hash__ = object.__hash__  # by identity: tensors and variables may be keys


class Variable(Tensor):
    """A tensor whose values can be replaced: what training changes.

    Parameters
    ----------
    initial_value : array_like
        Copied. Python floats become float32, Python integers int32; arrays keep their dtype.
    trainable : bool, default True
        Whether tapes watch the variable without being told.
    dtype : dtype_like, optional
        The dtype to convert to.
    name : str, optional
        What messages and graphs call it; "variable" by default.

    Attributes
    ----------
    name : str
    trainable : bool
    version : int
        How often the values have been replaced. Code that writes into `data` directly has to count it up: a tape compares it, and
        refuses to differentiate with values that are no longer there.

    Examples
    --------
    >>> import fastnn
    >>> w = fastnn.Variable([3.0, 2.0])
    >>> w.assign_sub([1.0, 0.5])
    <Variable 'variable' shape=(2,) dtype=float32, numpy=array([2. , 1.5], dtype=float32)>
    """

    __slots__ = ("name", "trainable", "version")

    def __init__(self, initial_value: Any, trainable: bool = True, dtype: Any = None, name: str | None = None) -> None:
        super().__init__(memory.copy_of(_array_of(initial_value, dtype)))
        self.trainable = bool(trainable)
        self.name = name or "variable"
        self.version = 0

    def __setstate__(self, state: tuple[None, dict[str, Any]]) -> None:
        """Take over the attributes of a deep copy or a pickle; its array may lie in a file that other processes read as well."""
        for name, value in state[1].items():
            setattr(self, name, value)
        self.data = memory.copy_of(self.data)

    @property
    def value(self) -> Tensor:
        """The present values as a tensor, which later assignments do not change."""
        python_step("value of a variable")
        return record("value", (self,), Tensor(self.data.copy()), lambda dy, needs: (dy,))

    def numpy(self) -> Any:
        """Return a copy of the values."""
        return self._values().copy()[()]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> ndarray:
        return np.array(self._values_to_leave(), dtype=dtype, copy=copy is not False or None)

    def assign(self, value: Any) -> Variable:
        """Replace the values, in the same memory. `value` has the shape of the variable and a dtype of its kind."""
        array = value.data if isinstance(value, Tensor) else np.asarray(value)
        if array.shape != self.data.shape:
            raise ValueError(f"value for variable {self.name!r} has shape {array.shape}; expected {self.data.shape}")
        if not np.can_cast(array.dtype, self.data.dtype, "same_kind"):
            raise TypeError(f"value for variable {self.name!r} has dtype {array.dtype}; expected {self.data.dtype}")
        python_step("assign")
        self.data[...] = array
        self.version += 1
        return self

    def assign_add(self, delta: Any) -> Variable:
        """Add `delta`, an array of the variable's shape."""
        return self.assign(self.data + _array_like(delta, self.data))

    def assign_sub(self, delta: Any) -> Variable:
        """Subtract `delta`, an array of the variable's shape."""
        return self.assign(self.data - _array_like(delta, self.data))

    def __repr__(self) -> str:
        return f"<Variable {self.name!r} shape={self.shape} dtype={self.dtype}, numpy={self._numpy_text()}>"

    __str__ = __repr__


def constant(value: Any, dtype: Any = None, shape: Sequence[int] | None = None, name: str | None = None) -> Tensor:
    """Return a tensor with a copy of some values.

    Parameters
    ----------
    value : array_like
        Python floats become float32, Python integers int32 (also in lists); NumPy arrays and scalars keep their dtype.
    dtype : dtype_like, optional
        The dtype to convert to.
    shape : sequence of int, optional
        The shape to reshape to; a scalar fills it.
    name : str, optional
        Not used; accepted since code written for TensorFlow gives it.
    """
    python_step("constant")
    array = np.array(_array_of(value, dtype), order="C")
    if shape is not None:
        array = np.full(shape, array) if array.size == 1 else array.reshape(shape)
    return Tensor(array)


def as_tensor(value: Any) -> Tensor:
    """Return `value` itself if it is a tensor, else a tensor of it, with the dtype that `constant` gives; arrays are not copied."""
    if isinstance(value, Tensor):
        return value
    python_step("array that is no tensor")  # it may be another one the next time
    return Tensor(_array(value))


def _array(value: Any, dtype: Any = None) -> ndarray:
    """Return an array of `dtype`; if that is None, NumPy arrays and scalars as they are, else as float32, int32 or bool."""
    array = np.asarray(on_host("value", value), dtype)
    if dtype is None and not isinstance(value, ndarray | np.generic):
        if array.dtype == np.float64:
            array = array.astype(np.float32)
        elif array.dtype == np.int64:
            if array.size and (array.max() >= 2**31 or array.min() < -(2**31)):
                raise ValueError("value has integers that do not fit in int32; give dtype='int64' or a NumPy array")
            array = array.astype(np.int32)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"value must be numbers or bools; got dtype {array.dtype}")
    return array


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple)


def _array_of(value: Any, dtype: Any) -> ndarray:
    return _array(value.data if isinstance(value, Tensor) else value, dtype)


def _array_like(value: Any, like: ndarray) -> ndarray:
    if isinstance(value, Tensor):
        return value.data
    return value if isinstance(value, ndarray) else np.asarray(value, like.dtype)


#: for which inputs of an op a gradient is wanted
Needs = tuple[bool, ...]
#: of each input of an op, or None
Gradients = Sequence["Tensor | None"]
VJP = Callable[..., Gradients]


class Node:
    """One op on a tape.

    Attributes
    ----------
    name : str
        The op.
    inputs : tuple of Tensor or None
        What it was computed from; None for an argument left out.
    outputs : tuple of Tensor
        What it computed.
    vjp : callable
        ``vjp(*output_gradients, needs)`` returns the gradient by each input, see `record`.
    versions : tuple of (Variable, int)
        The variables among the inputs, and how often each had been replaced.
    """

    __slots__ = ("inputs", "name", "outputs", "versions", "vjp")

    def __init__(self, name: str, inputs: tuple[Tensor | None, ...], outputs: tuple[Tensor, ...], vjp: VJP) -> None:
        self.name = name
        self.inputs = inputs
        self.outputs = outputs
        self.vjp = vjp
        self.versions = tuple([(i, i.version) for i in inputs if isinstance(i, Variable)])

    def __repr__(self) -> str:
        return f"<Node {self.name}: {len(self.inputs)} -> {len(self.outputs)}>"


#: the tapes that are recording in this thread, the outermost first
_tapes: ContextVar[tuple[GradientTape, ...]] = ContextVar("tapes", default=())

Outputs = TypeVar("Outputs", Tensor, "tuple[Tensor, ...]")


def record(name: str, inputs: tuple[Tensor | None, ...], outputs: Outputs, vjp: VJP) -> Outputs:
    """Note an op on every active tape that watches one of its inputs; return its outputs.

    Parameters
    ----------
    name : str
        The op.
    inputs : tuple of Tensor or None
        All that the outputs depend on, None for an argument left out.
    outputs : Tensor or tuple of Tensor
        What was computed.
    vjp : callable
        The vector-Jacobian product: ``vjp(*dys, needs)`` with one gradient for each output (of several outputs, None for those
        that nothing depends on) and ``needs``, a tuple of bools that says for which inputs a gradient is wanted. Returns a
        sequence with a Tensor, or None, for each input. Made of ops, so that it can be differentiated itself.
    """
    tapes = _tapes.get()
    if tapes:
        node = None
        for tape in tapes:
            if tape._watches(inputs):
                if node is None:
                    node = Node(name, inputs, outputs if isinstance(outputs, tuple) else (outputs,), vjp)
                tape._append(node)
    return outputs


def is_watched(*inputs: Tensor | None) -> bool:
    """Say whether an active tape watches one of these tensors, so that it will want a derivative."""
    return any([tape._watches(inputs) for tape in _tapes.get()])


def first_derivative_only(name: str) -> VJP:
    """Return the VJP of a backward op that has none: it raises, and names the op whose second derivative was asked for."""

    def vjp(*_: Any) -> Sequence[Tensor | None]:
        raise NotImplementedError(f"{name} has only a first derivative; a second one was asked for by a tape around a tape")

    return vjp


class GradientTape:
    """Record ops and differentiate them, backwards (reverse mode).

    A tape records the ops that depend on what it watches: trainable variables of floats as soon as an op uses them, other
    tensors after `watch`. What is computed outside the ``with`` block is not recorded.

    Parameters
    ----------
    persistent : bool, default False
        Whether gradients can be taken more than once. Otherwise the record is released after the first time.
    watch_accessed_variables : bool, default True
        Whether trainable variables are watched without `watch`.

    Notes
    -----
    Integers and bools have no derivative: watching them warns, and gradients by them, or of them, are None.

    The tape keeps the variables themselves, not copies: take gradients before assigning new values. (Taking one afterwards
    raises an error.)

    Asking a tape for gradients inside its own ``with`` block is fine; what a persistent tape computes for it is recorded on it too.

    See Also
    --------
    fastnn.graph : What a tape recorded, as a drawing.
    fastnn.testing.gradcheck : Compares the gradients of a function with central differences.

    Examples
    --------
    >>> import fastnn
    >>> x = fastnn.Variable(3.0)
    >>> with fastnn.GradientTape() as tape:
    ...     y = x**2
    >>> tape.gradient(y, x)
    <Tensor: shape=(), dtype=float32, numpy=6.0>

    A tape around a tape gives the second derivative:

    >>> with fastnn.GradientTape() as outer:
    ...     with fastnn.GradientTape() as inner:
    ...         y = x**3
    ...     slope = inner.gradient(y, x)
    >>> float(outer.gradient(slope, x))
    18.0

    A training loop of one's own, which fits a line to three points:

    >>> import numpy as np
    >>> x, y = np.array([0.0, 1.0, 2.0]), np.array([1.0, 3.0, 5.0])
    >>> w, b = fastnn.Variable(0.0), fastnn.Variable(0.0)
    >>> optimizer = fastnn.optimizers.SGD(0.1)
    >>> for _ in range(200):
    ...     with fastnn.GradientTape() as tape:
    ...         loss = fastnn.ops.mean((w * x + b - y) ** 2)
    ...     optimizer.apply(tape.gradient(loss, [w, b]), [w, b])
    >>> print(f"{float(w):.2f} x + {float(b):.2f}")
    2.00 x + 1.00
    """

    def __init__(self, persistent: bool = False, watch_accessed_variables: bool = True) -> None:
        self._persistent = persistent
        self._watch_accessed = watch_accessed_variables
        self._recording = False
        self.reset()

    def reset(self) -> None:
        """Forget everything recorded and watched."""
        self._nodes: list[Node] = []
        self._sources: dict[int, Tensor] = {}
        self._watched: set[int] = set()
        self._released = False

    @property
    def nodes(self) -> tuple[Node, ...]:
        """What is recorded, in order."""
        return tuple(self._nodes)

    def __enter__(self) -> GradientTape:
        if self in _tapes.get():
            raise ValueError("this tape is recording already; leave its with block before entering it again")
        if self._released:
            self.reset()
        self._recording = True
        _tapes.set((*_tapes.get(), self))
        return self

    def __exit__(self, *exception: Any) -> None:
        self._recording = False
        _tapes.set(tuple([tape for tape in _tapes.get() if tape is not self]))

    @contextmanager
    def stop_recording(self) -> Iterator[None]:
        """Record nothing during a ``with`` block."""
        before, self._recording = self._recording, False
        try:
            yield
        finally:
            self._recording = before

    def watch(self, tensor: Any) -> None:
        """Watch a tensor, or all in a nested list, tuple or dict: ops that use it are recorded from now on."""
        for leaf in _leaves(tensor, "tensor"):
            if leaf.data.dtype.kind != "f":
                warnings.warn(f"a tensor of {leaf.dtype} is watched; only floats have derivatives (3.0 instead of 3)", stacklevel=2)
            else:
                self._watched.add(id(leaf))
                self._sources[id(leaf)] = leaf  # keeps it alive, so that no other tensor gets its id

    def watched_variables(self) -> tuple[Variable, ...]:
        """Return the variables watched, in the order of their first use."""
        return tuple([source for source in self._sources.values() if isinstance(source, Variable)])

    def _watches(self, inputs: tuple[Tensor | None, ...]) -> bool:
        if not self._recording:
            return False
        watched = self._watched
        found = False
        for tensor in inputs:
            if id(tensor) in watched:
                found = True
            elif isinstance(tensor, Variable) and tensor.trainable and self._watch_accessed and tensor.data.dtype.kind == "f":
                watched.add(id(tensor))
                self._sources[id(tensor)] = tensor
                found = True
        return found

    def _append(self, node: Node) -> None:
        self._nodes.append(node)
        for output in node.outputs:
            self._watched.add(id(output))

    def gradient(self, target: Any, sources: Any, output_gradients: Any = None, unconnected_gradients: str = "none") -> Any:
        """Return the gradient of a target by each source.

        Parameters
        ----------
        target : Tensor, or nested list, tuple or dict of them
            What to differentiate; the sum of all elements if it is more than one.
        sources : Tensor, or nested list, tuple or dict of them
            The variables and watched tensors to differentiate by.
        output_gradients : like `target`, optional
            The gradient to start from at each target; 1 everywhere if left out.
        unconnected_gradients : {"none", "zero"}, default "none"
            What stands for the gradient by a source that the target does not depend on.

        Returns
        -------
        Tensor or None, in the structure of `sources`
        """
        _check_unconnected(unconnected_gradients)
        by_source = list(_leaves(sources, "sources"))
        gradients: dict[int, Tensor] = {}
        for tensor, start in _with_starts(target, output_gradients):
            _start(gradients, tensor, start)
        found = _backpropagate(*self._use(), gradients, by_source)
        if unconnected_gradients == "zero":
            found = [ops.zeros_like(x) if dx is None else dx for x, dx in zip(by_source, found, strict=True)]
        return _like(sources, iter(found))

    def jacobian(self, target: Tensor, sources: Any, unconnected_gradients: str = "none") -> Any:
        """Return the derivative of each element of a target by each element of each source.

        Parameters
        ----------
        target : Tensor
            What to differentiate.
        sources : Tensor, or nested list, tuple or dict of them
            The variables and watched tensors to differentiate by.
        unconnected_gradients : {"none", "zero"}, default "none"
            What stands for the Jacobian by a source that the target does not depend on.

        Returns
        -------
        Tensor of shape ``target.shape + source.shape`` or None, in the structure of `sources`
        """
        _check_unconnected(unconnected_gradients)
        _check_tensor(target, "target")
        by_source = list(_leaves(sources, "sources"))
        directions = np.eye(target.size, dtype=target.dtype).reshape(target.size, *target.shape)
        found: list[Tensor | None] = []
        for source, rows in zip(by_source, self._pull_back(target, directions, by_source), strict=True):
            shape = target.shape + source.shape
            if rows is not None:
                found.append(ops.reshape(ops.stack(rows), shape))
            else:
                found.append(None if unconnected_gradients == "none" else ops.zeros(shape, source.dtype))
        return _like(sources, iter(found))

    def batch_jacobian(self, target: Tensor, source: Tensor) -> Tensor | None:
        """Return the Jacobian of each sample, for a target whose sample i depends on sample i of the source only.

        Parameters
        ----------
        target, source : Tensor
            Samples along the first axis.

        Returns
        -------
        Tensor of shape ``(samples,) + target.shape[1:] + source.shape[1:]`` or None

        Raises
        ------
        TypeError, ValueError
            If they are no tensors, or do not have as many samples.
        """
        _check_tensor(target, "target")
        _check_tensor(source, "source")
        if target.ndim == 0 or source.ndim == 0 or len(target) != len(source):
            raise ValueError(
                f"target and source must have the same number of samples; got shapes {target.shape} and {source.shape}"
            )
        outputs = int(np.prod(target.shape[1:], dtype=np.int64))
        directions = np.zeros((outputs, len(target), outputs), target.dtype)
        directions[np.arange(outputs), :, np.arange(outputs)] = 1
        (rows,) = self._pull_back(target, directions.reshape(outputs, *target.shape), [source])
        return None if rows is None else ops.reshape(ops.stack(rows, axis=1), target.shape + source.shape[1:])

    def _pull_back(self, target: Tensor, directions: ndarray, sources: list[Tensor]) -> list[list[Tensor] | None]:
        """Return, for each source, the gradients by it of the target times each direction; None if it is not connected."""
        nodes, watched = self._use()
        by_direction = []
        for direction in directions:
            gradients: dict[int, Tensor] = {}
            _start(gradients, target, Tensor(np.asarray(direction)))
            by_direction.append(_backpropagate(nodes, watched, gradients, sources))
        by_source = [[dx for dx in rows if dx is not None] for rows in zip(*by_direction, strict=True)]
        return [rows or None for rows in by_source] if by_source else [None for _ in sources]

    def _use(self) -> tuple[list[Node], set[int]]:
        """Return the nodes to run backwards and the ids of what is watched; a tape that is not persistent gives them once."""
        if self._released:
            raise RuntimeError(
                "this tape has been used: a GradientTape that is not persistent computes one set of gradients; "
                "make it with GradientTape(persistent=True) to take more"
            )
        nodes, watched = self._nodes, self._watched
        if not self._persistent:
            if self._recording:
                self.__exit__()
            self.reset()
            self._released = True
        return nodes, watched


def _start(gradients: dict[int, Tensor], target: Tensor, start: Tensor | None) -> None:
    """Put the gradient to start from at a target."""
    if target.data.dtype.kind != "f":
        warnings.warn(f"the target of a gradient has dtype {target.dtype}; only floats have derivatives", stacklevel=3)
        return
    if start is None:
        start = Tensor(np.ones(target.shape, target.dtype))
    elif start.shape != target.shape:
        raise ValueError(f"output_gradients has shape {start.shape}; expected the target's, {target.shape}")
    _accumulate(gradients, target, start)


def _backpropagate(
    nodes: list[Node], watched: set[int], gradients: dict[int, Tensor], sources: list[Tensor]
) -> list[Tensor | None]:
    """Run the VJPs backwards, on the paths from the sources to the targets only; return the gradient by each source.

    `gradients` maps the id of a tensor to the gradient by it; it comes with those of the targets and is used up.
    """
    kept = {i for i in map(id, sources) if i in watched or i in gradients}
    connected = set(kept)
    path = []
    for node in nodes:
        needs = tuple([id(tensor) in connected for tensor in node.inputs])
        if True in needs:
            connected.update([id(output) for output in node.outputs])
            path.append((node, needs))
    for node, needs in reversed(path):
        dys = [gradients.get(i) if i in kept else gradients.pop(i, None) for i in map(id, node.outputs)]
        if all([dy is None for dy in dys]):
            continue
        for variable, version in node.versions:
            if variable.version != version:
                raise RuntimeError(
                    f"variable {variable.name!r} got new values after the tape recorded {node.name!r} with the old ones; "
                    "take gradients before assigning"
                )
        for tensor, needed, dx in zip(node.inputs, needs, node.vjp(*dys, needs), strict=True):
            if needed and tensor is not None and dx is not None:
                _accumulate(gradients, tensor, dx)
    return [gradients.get(id(source)) for source in sources]


def _accumulate(gradients: dict[int, Tensor], tensor: Tensor, gradient: Tensor) -> None:
    if gradient.data.dtype != tensor.data.dtype:
        gradient = ops.cast(gradient, tensor.data.dtype)
    before = gradients.get(id(tensor))
    gradients[id(tensor)] = gradient if before is None else ops.add(before, gradient)


def _check_unconnected(unconnected: str) -> None:
    if unconnected not in ("none", "zero"):
        raise ValueError(f"unconnected_gradients must be 'none' or 'zero'; got {unconnected!r}")


def _check_tensor(value: Any, argument: str) -> None:
    if not isinstance(value, Tensor):
        raise TypeError(f"{argument} must be a Tensor or Variable; got {type(value).__name__}")


def _leaves(structure: Any, argument: str) -> Iterator[Tensor]:
    """Yield the tensors of nested lists, tuples and dicts."""
    if isinstance(structure, Tensor):
        yield structure
    elif isinstance(structure, dict):
        for item in structure.values():
            yield from _leaves(item, argument)
    elif _is_list(structure):
        for item in structure:
            yield from _leaves(item, argument)
    else:
        raise TypeError(
            f"{argument} must be a Tensor or Variable, or a nested list, tuple or dict of them; got {type(structure).__name__}"
            " (what NumPy or Python computes, a tape cannot follow: use fastnn.ops)"
        )


def _with_starts(target: Any, starts: Any) -> Iterator[tuple[Tensor, Tensor | None]]:
    """Yield the tensors of `target`, each with what stands at its place in `starts`."""
    if isinstance(target, Tensor) or starts is None:
        for tensor in _leaves(target, "target"):
            yield tensor, None if starts is None else as_tensor(starts)
    elif isinstance(target, dict) and isinstance(starts, dict) and target.keys() == starts.keys():
        for key in target:
            yield from _with_starts(target[key], starts[key])
    elif _is_list(target) and _is_list(starts) and len(target) == len(starts):
        for item, start in zip(target, starts, strict=True):
            yield from _with_starts(item, start)
    else:
        list(_leaves(target, "target"))
        raise ValueError("output_gradients must have the structure of target, with a tensor or None for each tensor")


def _like(structure: Any, leaves: Iterator[Any]) -> Any:
    """Return the leaves in the structure of nested lists, tuples and dicts."""
    if isinstance(structure, dict):
        return {key: _like(item, leaves) for key, item in structure.items()}
    if isinstance(structure, list):
        return [_like(item, leaves) for item in structure]
    if isinstance(structure, tuple):
        return tuple([_like(item, leaves) for item in structure])
    return next(leaves)


from . import ops  # noqa: E402  the operators of Tensor are ops, and ops are made of tensors: each needs the other
