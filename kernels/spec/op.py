"""What an op is: its arguments with axes and kinds, its parameters, and what it costs.

This package imports nothing but the standard library: the build reads it before NumPy is there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

#: dtype of an array argument; "real" is float32 or float64, the same for every "real" array of a call
KINDS = ("real", "int32", "uint8", "uint64", "float64")


@dataclass(frozen=True)
class Array:
    """One array argument.

    Parameters
    ----------
    name : str
        Argument name, the same word in every backend.
    axes : str
        Axis names separated by blanks, outermost first ("n ih iw c"). An axis name that stands in several
        arguments has one extent in a call. ``"*"`` is an array of any shape: its number of elements is the axis `size`.
        An extent that is a number ("2") is fixed.
    kind : str
        One of `KINDS`.
    role : {"in", "out", "inout"}
        "out" arrays are written with ``=`` and may hold anything before; "inout" arrays are updated.
    optional : bool
        Whether None may stand for the array.
    below : str
        Of indices: the axis whose extent all elements are below; "" where there is none.
    """

    name: str
    axes: str
    kind: str = "real"
    role: str = "in"
    optional: bool = False
    below: str = field(default="", repr=False)  # not in `contract`: no kernel reads it

    @property
    def axis_names(self) -> tuple[str, ...]:
        return ("size",) if self.axes == "*" else tuple(self.axes.split())


@dataclass(frozen=True)
class Param:
    """One scalar parameter, an "int" of at least `low` or a "float" (always float64 on its way to a kernel)."""

    name: str
    kind: str = "int"
    low: int = 1


@dataclass(frozen=True)
class Op:
    """The contract of one kernel: ``op(*inputs, *params, *outputs)``, nothing allocated, nothing returned.

    Parameters
    ----------
    name : str
        ``noun_pass``, the word used for it everywhere.
    summary : str
        One line: what it computes.
    inputs, outputs : tuple of Array
        Arrays read, arrays written ("out" and "inout").
    params : tuple of Param
        Scalars, between the inputs and the outputs.
    tolerance : dict
        Largest error accepted against the float64 reference, relative to the largest magnitude of the
        reference result, by dtype name.
    product : (str, str, str), optional
        ``(axis, factor, parameter)``: an axis whose extent is the product of another's and an int parameter.
    flops : callable, optional
        Floating-point operations of a call from its extents and parameters (a dict by name); None where it is memory that counts.
    source : str
        Where the formula comes from.
    """

    name: str
    summary: str
    inputs: tuple[Array, ...]
    outputs: tuple[Array, ...]
    params: tuple[Param, ...] = ()
    tolerance: Mapping[str, float] | None = None
    product: tuple[str, str, str] | None = None
    flops: Callable[[Mapping[str, int]], int] | None = None
    source: str = ""

    @property
    def arrays(self) -> tuple[Array, ...]:
        """Array arguments in the order of a call record: inputs, then outputs."""
        return self.inputs + self.outputs

    @property
    def axes(self) -> tuple[str, ...]:
        """Axis names in order of first appearance: the order of the extents in a call record."""
        seen: dict[str, None] = {}
        for array in self.arrays:
            for axis in array.axis_names:
                if not axis.isdigit():
                    seen.setdefault(axis)
        return tuple(seen)

    @property
    def argument_names(self) -> tuple[str, ...]:
        """The argument names in calling order."""
        return tuple(argument.name for group in (self.inputs, self.params, self.outputs) for argument in group)

    @property
    def elementwise(self) -> bool:
        """Whether the output follows element by element from the inputs of any shape, so that it may be one of them."""
        return [array.role for array in self.outputs if array.axes == "*"] == ["out"]

    def tolerance_for(self, dtype_name: str) -> float:
        """Return the tolerance for "float32" or "float64"."""
        return (self.tolerance or DEFAULT_TOLERANCE)[dtype_name]


#: elementwise results: a few units in the last place of the largest element
DEFAULT_TOLERANCE = {"float32": 4e-6, "float64": 1e-13}
#: results that are sums of products: rounding grows with the number of terms
SUM_TOLERANCE = {"float32": 2e-5, "float64": 1e-12}


def reals(*names_and_axes: tuple[str, str], role: str = "in") -> tuple[Array, ...]:
    """Return "real" arrays of one role from (name, axes) pairs."""
    return tuple(Array(name, axes, role=role) for name, axes in names_and_axes)


def floats(*names: str) -> tuple[Param, ...]:
    """Return float parameters."""
    return tuple(Param(name, "float") for name in names)


def ints(*names: str, low: int = 1) -> tuple[Param, ...]:
    """Return integer parameters of at least `low`."""
    return tuple(Param(name, low=low) for name in names)
