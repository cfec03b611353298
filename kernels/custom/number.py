"""The number that a user's function is compiled for: a value of the kernels' precision, and its slope by the function's argument.

Numba compiles the function's own bytecode for the type `Number`, so branches, loops and local variables work as in Python. What an
operation does to value and slope together (forward-mode differentiation by dual numbers) stands here and in `elementary`, written
with `Real`, whose operators emit machine instructions. These have no calls and no branches, so a loop over an array becomes vector
code; where only the value is used, the compiler drops what computes the slope.

Constants (Python's numbers) take the precision of the numbers that they meet, and have no slope: float32 stays float32.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, NamedTuple

from llvmlite import ir
from numba.core import types
from numba.core.cgutils import create_struct_proxy
from numba.core.extending import lower_builtin, lower_cast, models, register_model
from numba.core.typeconv import Conversion
from numba.core.typing.templates import AbstractTemplate, infer_global, signature

#: a multiplication and an addition may become one instruction
FLAGS = ("contract",)
#: what may meet a number
CONSTANTS = (types.Integer, types.Float, types.Boolean)
#: largest exponent of a power that is computed by multiplications
SMALL_EXPONENT = 8


class Number(types.Type):
    """A value and its slope, both of the float type `real`."""

    def __init__(self, real: types.Float) -> None:
        self.real = real
        super().__init__(name=f"number({real})")

    def unify(self, typingctx: Any, other: types.Type) -> types.Type | None:
        return self if isinstance(other, CONSTANTS) else None

    def can_convert_from(self, typingctx: Any, other: types.Type) -> Conversion | None:
        return Conversion.safe if isinstance(other, CONSTANTS) else None


@register_model(Number)
class _NumberModel(models.StructModel):
    def __init__(self, manager: Any, number: Number) -> None:
        super().__init__(manager, number, [("value", number.real), ("slope", number.real)])


class Real:
    """A machine number in code that is being emitted; operators emit an instruction each."""

    def __init__(self, builder: Any, value: Any) -> None:
        self.builder, self.value = builder, value

    @property
    def is_float32(self) -> bool:
        return isinstance(self.value.type, ir.FloatType)

    @property
    def on_gpu(self) -> bool:
        return self.builder.module.triple.startswith("nvptx")

    def like(self, number: float | Real) -> Real:
        """Return a constant of this one's type; a Real passes through."""
        return number if isinstance(number, Real) else Real(self.builder, ir.Constant(self.value.type, float(number)))

    def __add__(self, other: Any) -> Real:
        return Real(self.builder, self.builder.fadd(self.value, self.like(other).value, flags=FLAGS))

    def __sub__(self, other: Any) -> Real:
        return Real(self.builder, self.builder.fsub(self.value, self.like(other).value, flags=FLAGS))

    def __mul__(self, other: Any) -> Real:
        return Real(self.builder, self.builder.fmul(self.value, self.like(other).value, flags=FLAGS))

    def __truediv__(self, other: Any) -> Real:
        return Real(self.builder, self.builder.fdiv(self.value, self.like(other).value))

    def __rsub__(self, other: Any) -> Real:
        return self.like(other) - self

    def __rtruediv__(self, other: Any) -> Real:
        return self.like(other) / self

    def __neg__(self) -> Real:
        return self.like(-0.0) - self  # the compiler for GPUs has no instruction for it

    __radd__, __rmul__ = __add__, __mul__

    def compare(self, sign: str, other: Any) -> Any:
        """Return a machine bool; as in Python all comparisons with NaN are false but "!="."""
        emit = self.builder.fcmp_unordered if sign == "!=" else self.builder.fcmp_ordered
        return emit(sign, self.value, self.like(other).value)

    def where(self, condition: Any, other: float | Real) -> Real:
        """Return this number where a machine bool is true, else `other`."""
        return Real(self.builder, self.builder.select(condition, self.value, self.like(other).value))

    def at_most(self, limit: float) -> Real:
        return self.like(limit).where(self.compare(">", limit), self)

    def at_least(self, limit: float) -> Real:
        return self.like(limit).where(self.compare("<", limit), self)

    def intrinsic(self, name: str, *others: Any) -> Real:
        """Return the result of an intrinsic function of LLVM; for a GPU they stand in the library."""
        if self.on_gpu:
            return self.library(name, *others)
        arguments, kind = self._call(others)
        function = self.builder.module.declare_intrinsic(f"llvm.{name}", [self.value.type], kind)
        return Real(self.builder, self.builder.call(function, arguments))

    def library(self, name: str, *others: Any) -> Real:
        """Return the result of a function of the C library; for a GPU, of CUDA's."""
        arguments, kind = self._call(others)
        symbol, module = "__nv_" * self.on_gpu + name + "f" * self.is_float32, self.builder.module
        function = module.globals.get(symbol) or ir.Function(module, kind, symbol)
        return Real(self.builder, self.builder.call(function, arguments))

    def _call(self, others: tuple) -> tuple[list, ir.FunctionType]:
        arguments = [self.value, *(self.like(other).value for other in others)]
        return arguments, ir.FunctionType(self.value.type, [self.value.type] * len(arguments))


class Dual(NamedTuple):
    """A number in code that is being emitted: slope None is 0, a constant's."""

    value: Real
    slope: Real | None

    def along(self, derivative: Real | float) -> Real | None:
        """Return the slope times a derivative: the chain rule."""
        return None if self.slope is None else self.slope * derivative


def _sum(a: Real | None, b: Real | None) -> Real | None:
    return b if a is None else a if b is None else a + b


def _negative(a: Real | None) -> Real | None:
    return None if a is None else -a


# ------------------------------------------------------------------------------------------ what the operators do


def _add(a: Dual, b: Dual) -> Dual:
    return Dual(a.value + b.value, _sum(a.slope, b.slope))


def _subtract(a: Dual, b: Dual) -> Dual:
    return Dual(a.value - b.value, _sum(a.slope, _negative(b.slope)))


def _multiply(a: Dual, b: Dual) -> Dual:
    return Dual(a.value * b.value, _sum(a.along(b.value), b.along(a.value)))


def _divide(a: Dual, b: Dual) -> Dual:
    quotient = a.value / b.value
    change = _sum(a.slope, _negative(b.along(quotient)))
    return Dual(quotient, None if change is None else change / b.value)


def _floor_divide(a: Dual, b: Dual) -> Dual:
    return Dual((a.value / b.value).intrinsic("floor"), None)


def _modulo(a: Dual, b: Dual) -> Dual:
    whole = (a.value / b.value).intrinsic("floor")
    return Dual(a.value - whole * b.value, _sum(a.slope, _negative(b.along(whole))))


def _power(a: Dual, b: Dual) -> Dual:
    value = a.value.intrinsic("pow", b.value)
    # x**0 is 1 for all x, so its slope by x is 0, though 0 * 0**-1 is not finite
    by_base = a.along((b.value * a.value.intrinsic("pow", b.value - 1.0)).where(b.value.compare("!=", 0.0), 0.0))
    if b.slope is None:
        return Dual(value, by_base)
    # 0**b is 0 for all b > 0, so its slope by b is, though log(0) is not finite
    by_exponent = (value * a.value.intrinsic("log")).where(value.compare("!=", 0.0), 0.0)
    return Dual(value, _sum(by_base, b.along(by_exponent)))


def whole_power(a: Dual, exponent: int) -> Dual:
    """Return a power with a small exponent."""
    below = a.value.like(1.0)
    for _ in range(exponent - 1):
        below = below * a.value
    return Dual(below * a.value if exponent else below, a.along(below * float(exponent)))


def _absolute(a: Dual) -> Dual:
    slope = a.slope and a.slope.where(a.value.compare(">", 0.0), (-a.slope).where(a.value.compare("<", 0.0), 0.0))
    return Dual(a.value.intrinsic("fabs"), slope)


def pick(condition: Any, a: Dual, b: Dual) -> Dual:
    """Return `a` where a machine bool is true, else `b`."""
    slope = None
    if a.slope is not None or b.slope is not None:
        slope = a.value.like(a.slope or 0.0).where(condition, b.slope or 0.0)
    return Dual(a.value.where(condition, b.value), slope)


def _larger(sign: str) -> Callable[..., Dual]:
    def choose(a: Dual, *others: Dual) -> Dual:
        for b in others:
            takes_b = a.value.builder.or_(b.value.compare(sign, a.value), b.value.compare("!=", b.value))  # NaN stays NaN
            a = pick(takes_b, b, a)
        return a

    return choose


def _comparison(sign: str) -> Callable[[Dual, Dual], Any]:
    return lambda a, b: a.value.compare(sign, b.value)


BINARY = {
    operator.add: _add,
    operator.sub: _subtract,
    operator.mul: _multiply,
    operator.truediv: _divide,
    operator.floordiv: _floor_divide,
    operator.mod: _modulo,
    operator.pow: _power,
    operator.iadd: _add,
    operator.isub: _subtract,
    operator.imul: _multiply,
    operator.itruediv: _divide,
    operator.ifloordiv: _floor_divide,
    operator.imod: _modulo,
    operator.ipow: _power,
    pow: _power,
}
COMPARISONS = {
    operator.lt: "<",
    operator.le: "<=",
    operator.gt: ">",
    operator.ge: ">=",
    operator.eq: "==",
    operator.ne: "!=",
}
UNARY = {
    operator.neg: lambda a: Dual(-a.value, _negative(a.slope)),
    operator.pos: lambda a: a,
    abs: _absolute,
    int: lambda a: Dual(a.value.intrinsic("trunc"), None),
    round: lambda a: Dual(a.value.intrinsic("rint"), None),
}


# ------------------------------------------------------------------------------------------ what Numba has to know


def define(key: Any, rule: Callable[..., Any], arguments: int | None, result: types.Type | None = None) -> None:
    """Tell Numba what a function does to numbers.

    Parameters
    ----------
    key : callable
        The function as user code has it: an operator, a builtin, or one of `math`.
    rule : callable
        From a `Dual` for each argument to that of the result, or to a machine bool.
    arguments : int or None
        How many there are; None for any number from two, the first or second of them a number.
    result : numba type, optional
        The type of the result; a number if it is left out.
    """

    @infer_global(key)
    class Template(AbstractTemplate):
        prefer_literal = rule is _power

        def generic(self, args: tuple, kws: dict) -> Any:
            numbers = [a for a in (args if arguments else args[:2]) if isinstance(a, Number)]
            if not numbers or kws or (len(args) != arguments if arguments else len(args) < 2):
                return None
            if not all(a == numbers[0] or isinstance(types.unliteral(a), CONSTANTS) for a in args):
                return None
            return signature(result or numbers[0], *args)

    def lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        number = next(a for a in sig.args if isinstance(a, Number))
        duals = [as_dual(context, builder, number, *pair) for pair in zip(sig.args, args, strict=True)]
        exponent = getattr(sig.args[-1], "literal_value", None)
        if rule is _power and type(exponent) is int and 0 <= exponent <= SMALL_EXPONENT:
            return as_value(context, builder, number, whole_power(duals[0], exponent))
        made = rule(*duals)
        return made if result else as_value(context, builder, number, made)

    if arguments is None:  # any arguments from the third on, but not all: numba-cuda would take this for max and min of its own
        for kinds in _kinds(2):
            lower_builtin(key, *kinds, types.VarArg(types.Any))(lower)
        return
    for kinds in _kinds(arguments):
        lower_builtin(key, *kinds)(lower)


def _kinds(arguments: int) -> list[tuple]:
    """Return the combinations of argument types that have a number among them."""
    others = (types.Integer, types.Float, types.Boolean)
    if arguments == 1:
        return [(Number,)]
    return [(Number, Number), *((Number, other) for other in others), *((other, Number) for other in others)]


def as_dual(context: Any, builder: Any, number: Number, kind: types.Type, value: Any) -> Dual:
    """Return Numba's value of a number or a constant as a `Dual`."""
    if isinstance(kind, Number):
        pair = create_struct_proxy(kind)(context, builder, value)
        return Dual(Real(builder, pair.value), Real(builder, pair.slope))
    plain = types.unliteral(kind)
    return Dual(Real(builder, context.cast(builder, context.cast(builder, value, kind, plain), plain, number.real)), None)


def as_value(context: Any, builder: Any, number: Number, dual: Dual) -> Any:
    """Return a `Dual` as Numba's value of a number."""
    pair = create_struct_proxy(number)(context, builder)
    pair.value = dual.value.value
    pair.slope = dual.value.like(dual.slope or 0.0).value
    return pair._getvalue()


for _key, _rule in UNARY.items():
    define(_key, _rule, 1)
for _key, _binary in BINARY.items():
    define(_key, _binary, 2)
for _key, _sign in COMPARISONS.items():
    define(_key, _comparison(_sign), 2, types.boolean)
define(max, _larger(">"), None)
define(min, _larger("<"), None)
define(bool, lambda a: a.value.compare("!=", 0.0), 1, types.boolean)


@lower_cast(types.Integer, Number)
@lower_cast(types.Float, Number)
@lower_cast(types.Boolean, Number)
def _from_constant(context: Any, builder: Any, fromty: types.Type, toty: Number, value: Any) -> Any:
    return as_value(context, builder, toty, as_dual(context, builder, toty, fromty, value))
