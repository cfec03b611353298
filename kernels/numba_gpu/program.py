"""From recorded calls on host arrays to launches on the card's memory.

Host arrays have images on the card, one for each stretch of host memory that the calls use, so that views which share memory here
share it there. Before a run what the calls read is copied to the card, after it what they wrote is copied back; between the
steps of a run nothing is. A `DeviceArray` is on the card already.
"""

from __future__ import annotations

import importlib
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from .. import spec
from ..precision import get_precision
from ..spec.activation import FROM_INPUT, FUSED
from .arrays import DeviceArray, Memory
from .device import card
from .joined import joined
from .launch import Array, Launch
from .narrow import narrow_arrays

#: places in the card's memory are multiples of this many bytes
ALIGNMENT = 256
#: what real numbers may be
REALS = ("float32", "float64")
#: gradients that can be multiplied by the derivative of the activation in front of the layer, where that follows from its output
GRADIENTS = ("dense_backward_input", "conv2d_backward_input")
DERIVATIVES = tuple(f"{name}_backward" for name in FUSED if name not in FROM_INPUT)
#: layers that can give mean and variance of what they compute, and what wants them
PRODUCTS = ("dense_forward", "dense_custom_forward", "conv2d_forward", "conv2d_custom_forward")
NORMALIZATIONS = ("batchnorm_forward", "batchnorm_maxpool_forward", "batchnorm_avgpool_forward")


class Use(NamedTuple):
    """How a call uses an array."""

    op: str
    name: str
    role: str
    array: Any


@dataclass
class Stretch:
    """Consecutive bytes of host memory, and their image on the card.

    Attributes
    ----------
    start, end : int
        Addresses on the host.
    uses : list of Use
        In the order of the calls.
    address : int
        On the card.
    """

    start: int
    end: int
    uses: list[Use]
    address: int = 0

    @property
    def nbytes(self) -> int:
        return self.end - self.start

    @property
    def constant(self) -> bool:
        """Whether nobody writes it, here or on the host: its arrays are marked as not writeable."""
        return not any(use.array.flags.writeable for use in self.uses)

    @property
    def read(self) -> bool:
        """Whether the calls depend on what it holds: the first one does not overwrite all of it."""
        first = self.uses[0]
        return first.role != "out" or first.array.nbytes < self.nbytes

    @property
    def written(self) -> bool:
        return any(use.role != "in" for use in self.uses)


class Step(NamedTuple):
    """What becomes of one call, or of several that are one launch.

    Attributes
    ----------
    op : str
    calls : list of tuple
        The arguments of each call, with `Array` in the place of host arrays.
    launches : list of Launch
    """

    op: str
    calls: list[tuple]
    launches: list[Launch]


#: by host address and size, the images that programs share: of data sets that they read, and of their temporaries' memory
_shared: weakref.WeakValueDictionary[tuple[int, int], Memory] = weakref.WeakValueDictionary()


class Program:
    """Calls that are recorded as one CUDA graph when they first run.

    Parameters
    ----------
    temporary : ndarray, optional
        Memory of arrays that nobody reads or writes between runs.
    """

    def __init__(self, temporary: np.ndarray | None = None) -> None:
        self._temporary = temporary
        self._calls: list[tuple[spec.Op, tuple]] = []
        self._graph: Any = None

    def append(self, kernel: Kernel, *args: Any) -> None:
        """Add a call."""
        self._calls.append((kernel.op, args))

    def run(self, times: int) -> None:
        """Run all calls in order, `times` times over, and wait for them."""
        if times < 1:
            return  # what was not computed must not be copied back
        card().make_current()
        if self._graph is None:
            self._images = Images(self._calls, self._temporary)
            self._steps = plan(self._calls, self._images)
            self._kept = place(self._steps)
            self._graph = card().record(joined(launch for step in self._steps for launch in step.launches))
        self._images.upload()
        self._graph.run(times)
        self._images.download()


class Kernel:
    """One op called by itself: its arrays are copied to the card and the results back.

    Raises
    ------
    NotImplementedError
        When called, if the op has no kernels for the card.
    """

    def __init__(self, op: spec.Op) -> None:
        self.op = op

    def __call__(self, *args: Any) -> None:
        card().make_current()
        calls = [(self.op, args)]
        images = Images(calls, None)
        steps = plan(calls, images)
        kept = place(steps)
        images.upload()
        card().run(launch for step in steps for launch in step.launches)
        images.download()
        del kept


class Images:
    """The images on the card of all host memory that some calls use."""

    def __init__(self, calls: Sequence[tuple[spec.Op, tuple]], temporary: np.ndarray | None) -> None:
        used = [use for op, args in calls for use in _uses(op, args)]
        uses = [use for use in used if isinstance(use.array, np.ndarray) and use.array.nbytes]
        self.stretches = _stretches(uses)
        self._narrow = narrow_arrays(calls, temporary) if get_precision() == "bf16" else set()
        self._uploads, self._downloads = [], []
        self._kept: list[Memory] = []
        own = []
        nbytes = 0
        for stretch in self.stretches:
            if temporary is not None and _start(temporary) <= stretch.start < _start(temporary) + temporary.nbytes:
                stretch.address = self._shared_address(_start(temporary), temporary.nbytes) + stretch.start - _start(temporary)
            elif stretch.constant:
                stretch.address = self._shared_address(stretch.start, stretch.nbytes)
                card().upload(stretch.address, stretch.start, stretch.nbytes)
            else:
                stretch.address, nbytes = nbytes, _aligned(nbytes + stretch.nbytes)
                own.append(stretch)
        memory = self._memory(nbytes)
        for stretch in own:
            stretch.address += memory.address
            if stretch.read:
                self._uploads.append(stretch)
            if stretch.written:
                self._downloads.append(stretch)

    def _shared_address(self, start: int, nbytes: int) -> int:
        """Return where the image of host memory is that other programs may have too."""
        memory = _shared.get((start, nbytes)) or self._memory(nbytes)
        _shared[start, nbytes] = memory
        self._kept.append(memory)
        return memory.address

    def _memory(self, nbytes: int) -> Memory:
        try:
            memory = Memory(nbytes)
        except MemoryError as error:
            uses = sorted((use for stretch in self.stretches for use in stretch.uses), key=lambda use: -use.array.nbytes)
            largest = list({id(use.array): use for use in uses}.values())[:3]
            names = ", ".join(f"{use.name} of {use.op} ({use.array.nbytes / 2**20:.0f} MiB)" for use in largest)
            raise MemoryError(f"{error}; the largest arrays are {names}. A smaller batch needs less") from error
        self._kept.append(memory)
        return memory

    def of(self, array: np.ndarray | DeviceArray) -> Array:
        """Return the image of a host array; of one on the card, itself."""
        if isinstance(array, DeviceArray):
            return Array(array.shape, array.dtype, array.address)
        if not array.nbytes:
            return Array(array.shape, array.dtype, 0)
        start = _start(array)
        stretch = next(s for s in self.stretches if s.start <= start < s.end)
        place = stretch.address + start - stretch.start
        return Array(array.shape, array.dtype, place, narrow=(start, array.nbytes) in self._narrow)

    def upload(self) -> None:
        """Copy what the calls read to the card."""
        for stretch in self._uploads:
            card().upload(stretch.address, stretch.start, stretch.nbytes)

    def download(self) -> None:
        """Copy what the calls wrote back to the host, and wait for it."""
        for stretch in self._downloads:
            card().download(stretch.start, stretch.address, stretch.nbytes)
        card().synchronize()


def plan(calls: Iterable[tuple[spec.Op, tuple]], images: Images) -> list[Step]:
    """Return what becomes of calls, in order.

    Steps of an optimizer that follow one another become one, and so do the gradient by a layer's input and that of the activation
    in front of it, in the same place. A dense or convolutional layer in front of a batch normalization gives it mean and variance
    of what it computes, at places that may have been the layer's inputs: they are written last.
    """
    moved = [
        (op, [tuple(images.of(a) if isinstance(a, (np.ndarray, DeviceArray)) else a for a in args) for args in together])
        for op, together in _grouped(calls)
    ]
    steps = []
    statistics = None
    done = set()  # calls that an earlier one has taken over
    for number, (op, together) in enumerate(moved):
        if number in done:
            steps.append(Step(op.name, together, []))
            continue
        how: dict[str, Any] = {"known": True} if statistics else {}
        following = moved[number + 1 : number + 2]
        statistics = _statistics_wanted((op, together), following[0] if following else None)
        if statistics:
            how["statistics"] = statistics
        taken = _activation_behind(moved, number) if op.name in GRADIENTS else None
        if taken is not None:
            _, saved, *alpha, _ = moved[taken][1][0]
            how["gate"] = moved[taken][0].name.removesuffix("_backward"), alpha, saved
            done.add(taken)
        args = together[0] if len(together) == 1 else _joined(op, together)
        steps.append(Step(op.name, together, launches_of(op)(*args, **how)))
    return steps


def _activation_behind(calls: list[tuple[spec.Op, list[tuple]]], number: int) -> int | None:
    """Return the number of the call that multiplies the result of this one, in its place, by an activation's derivative.

    It must be the first call that has to do with that memory, and nobody must write before what it reads.
    """
    dx = calls[number][1][0][-1]
    for later, (op, together) in enumerate(calls[number + 1 :], number + 1):
        if not any(dx.overlaps(array) for args in together for array in args):
            continue
        if op.name not in DERIVATIVES:
            return None
        dy, saved, *_, result = together[0]
        if not (dy.address, dy.size) == (result.address, result.size) == (dx.address, dx.size):
            return None
        between = calls[number + 1 : later]
        written = [array for other, calls_of in between for args in calls_of for array in args[-len(other.outputs) :]]
        return None if any(saved.overlaps(array) for array in written) else later
    return None


def _statistics_wanted(here: tuple[spec.Op, list[tuple]], following: tuple[spec.Op, list[tuple]] | None) -> tuple | None:
    """Return mean and variance of the next call's, where it normalizes what this one computes."""
    if following is None or here[0].name not in PRODUCTS or following[0].name not in NORMALIZATIONS:
        return None
    y = here[1][0][here[0].argument_names.index("y")]
    x, *_, mean, var = following[1][0]
    return (mean, var) if (x.address, x.size) == (y.address, y.size) else None


def launches_of(op: spec.Op) -> Callable[..., list[Launch]]:
    """Return the function from an op's arguments on the card to its launches."""
    module = importlib.import_module(f".{spec.FAMILY_OF[op.name]}", __package__)
    if not hasattr(module, op.name):
        raise NotImplementedError(
            f"{op.name} has no kernel for the GPU yet; a model that needs it can be trained by the other backends, on the CPU"
        )
    return getattr(module, op.name)


def place(steps: list[Step]) -> list[Any]:
    """Give scratch arrays and constants of launches their places; return what has to be kept for them to stay."""
    scratch: dict[int, tuple[Array, int]] = {}
    constants: dict[int, tuple[Array, np.ndarray, int]] = {}
    most = fixed = 0
    for step in steps:
        used = 0  # the scratch arrays of a step are free again in the next
        for array in (a for launch in step.launches for a in launch.args if isinstance(a, Array) and a.address is None):
            if array.content is not None and id(array) not in constants:
                constants[id(array)] = array, array.content, fixed
                fixed = _aligned(fixed + array.nbytes)
            elif array.content is None and id(array) not in scratch:
                scratch[id(array)] = array, used
                used = _aligned(used + array.nbytes)
        most = max(most, used)
    memory = Memory(fixed + most)
    for array, content, offset in constants.values():
        array.address = memory.address + offset
        card().upload(array.address, _start(content), array.nbytes)
    for array, offset in scratch.values():
        array.address = memory.address + fixed + offset
    return [memory, *(array for array, _, _ in constants.values())]


def _grouped(calls: Iterable[tuple[spec.Op, tuple]]) -> Iterator[tuple[spec.Op, list[tuple]]]:
    """Yield runs of optimizer steps that differ in the parameter's arrays only, and all other calls one by one."""
    group: list[tuple] = []
    shared = None
    previous: Any = None
    for op, args in calls:
        own = _own_arrays(op)
        key = (
            None
            if own is None
            else (op.name, *(id(a) if isinstance(a, np.ndarray) else a for i, a in enumerate(args) if i not in own))
        )
        if group and (key is None or key != shared):
            yield previous, group
            group = []
        group.append(args)
        previous, shared = op, key
    if group:
        yield previous, group


def _own_arrays(op: spec.Op) -> set[int] | None:
    """Return the places of the arguments of an optimizer step that belong to one parameter; None for other ops."""
    if spec.FAMILY_OF[op.name] != "optim":
        return None
    names = op.argument_names
    return {names.index(array.name) for array in op.arrays if array.axes == "*"}


def _joined(op: spec.Op, calls: list[tuple]) -> tuple:
    own = _own_arrays(op)
    assert own is not None
    return tuple(tuple(call[i] for call in calls) if i in own else arg for i, arg in enumerate(calls[0]))


def _uses(op: spec.Op, args: tuple) -> Iterator[Use]:
    """Yield the array arguments of a call, checked: on the card a wrong shape would reach into other arrays."""
    if len(args) != len(op.argument_names):
        raise TypeError(f"{op.name} takes {', '.join(op.argument_names)}; got {len(args)} arguments")
    given = dict(zip(op.argument_names, args, strict=True))
    extents: dict[str, int] = {}
    real = None
    for declared in op.arrays:
        array = given[declared.name]
        if array is None and declared.optional:
            continue
        where = f"{op.name}: {declared.name}"
        if isinstance(array, DeviceArray):
            fits = array.writeable or declared.role == "in"
        else:
            fits = isinstance(array, np.ndarray) and array.flags.c_contiguous and (array.flags.writeable or declared.role == "in")
        if not fits:
            raise TypeError(f"{where} must be a C-contiguous array, writeable where it is a result; got {type(array).__name__}")
        if declared.kind == "real":
            real = real or array.dtype
        if array.dtype != (real if declared.kind == "real" else declared.kind) or (real is not None and real.name not in REALS):
            raise TypeError(f"{where} must be {declared.kind}, all real arrays float32 or all float64; got {array.dtype}")
        shape = (array.size,) if declared.axes == "*" else array.shape
        if len(shape) != len(declared.axis_names):
            raise ValueError(f"{where} must have axes ({declared.axes}), got an array of shape {shape}")
        for axis, extent in zip(declared.axis_names, shape, strict=True):
            if extent != (int(axis) if axis.isdigit() else extents.setdefault(axis, extent)):
                raise ValueError(f"{where} has extent {extent} along axis {axis!r}, expected {extents.get(axis, axis)}")
        yield Use(op.name, declared.name, declared.role, array)


def _stretches(uses: list[Use]) -> list[Stretch]:
    """Join the memory of arrays that overlap."""
    stretches: list[Stretch] = []
    for place in sorted(range(len(uses)), key=lambda i: _start(uses[i].array)):
        start = _start(uses[place].array)
        end = start + uses[place].array.nbytes
        if stretches and start < stretches[-1].end:
            stretches[-1].end = max(stretches[-1].end, end)
        else:
            stretches.append(Stretch(start, end, []))
    starts = np.array([stretch.start for stretch in stretches], np.uint64)
    for use in uses:  # in the order of the calls
        stretches[int(np.searchsorted(starts, np.uint64(_start(use.array)), "right")) - 1].uses.append(use)
    return stretches


def _start(array: np.ndarray) -> int:
    return array.ctypes.data


def _aligned(nbytes: int) -> int:
    return -(-nbytes // ALIGNMENT) * ALIGNMENT
