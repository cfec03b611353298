"""What becomes of recorded calls: launches, some of them for several calls, and places for the arrays that only these need."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from .. import spec
from ..spec.activation import FROM_INPUT, FUSED
from .arrays import DeviceArray, Memory
from .device import card
from .images import Images
from .launch import Array, Launch, aligned

#: gradients that can be multiplied by the derivative of the activation in front of the layer, where that follows from its output
GRADIENTS = ("dense_backward_input", "conv2d_backward_input")
DERIVATIVES = tuple(f"{name}_backward" for name in FUSED if name not in FROM_INPUT)
#: layers that can give mean and variance of what they compute, and what wants them
PRODUCTS = ("dense_forward", "dense_custom_forward", "conv2d_forward", "conv2d_custom_forward")
NORMALIZATIONS = ("batchnorm_forward", "batchnorm_maxpool_forward", "batchnorm_avgpool_forward")


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
                fixed = aligned(fixed + array.nbytes)
            elif array.content is None and id(array) not in scratch:
                scratch[id(array)] = array, used
                used = aligned(used + array.nbytes)
        most = max(most, used)
    memory = Memory(fixed + most)
    for array, content, offset in constants.values():
        array.address = memory.address + offset
        card().upload(array.address, content.ctypes.data, array.nbytes)
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
