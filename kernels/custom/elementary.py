"""Elementary functions of numbers: value and derivative of what `math` has.

Those that activations are made of are polynomials without branches, tables or calls, so that loops over them vectorize: the forms
and coefficients of kernels/cython_aot/vmath.h, where their errors stand. The others are the C library's, one element at a time.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from llvmlite import ir
from numba.core import types

from . import coefficients
from .number import BINARY, UNARY, Dual, Real, define

LOG2E = 1.4426950408889634


@dataclass(frozen=True)
class Format:
    """What a polynomial has to know about a float type; coefficients stand highest power first."""

    bits: int
    fraction_bits: int
    bias: int
    #: adding it rounds to a whole number and leaves that in the low bits
    round: float
    #: log 2 in two parts, the first so short that a small whole number times it is exact
    log2: tuple[float, float]
    #: expm1(r) = r + r**2 * q(r) for |r| <= log(2) / 2
    q: tuple[float, ...]
    #: log((1 + s) / (1 - s)) = s * (2 + z * p(z)) with z = s**2 <= 1/9
    p: tuple[float, ...]
    #: the normal distribution function at -a, over exp(-a**2 / 2) * w, for w = k / (k + a); then k, and the bits of a number whose
    #: square is exact
    h: tuple[float, ...]
    tail: tuple[float, int]
    #: exp is infinite from the first number up, and 0 from the second down; expm1 is -1 from the third down
    exp_range: tuple[float, float, float]
    #: the bits of sqrt(1/2)
    sqrt_half: int

    def integer(self, number: int) -> Any:
        return ir.Constant(ir.IntType(self.bits), number)


FLOAT32 = Format(
    bits=32,
    fraction_bits=23,
    bias=127,
    round=1.5 * 2**23,
    log2=(0.693359375, -2.12194440e-4),
    q=(0.00138823924, 0.00836718065, 0.0416672213, 0.166665387, 0.49999998),
    p=(0.280187672, 0.280005372, 0.400215974, 0.666664152),
    h=(
        *(0.01689240875, -0.06453718724, 0.05587951921, 0.02261084273, 0.01773475772),
        *(0.08385120768, 0.07301280944, 0.09528785822, 0.09952145824, 0.09974632957),
    ),
    tail=(4.0, 0xFFFFF000),
    exp_range=(89.0, -104.0, -30.0),
    sqrt_half=0x3F3504F3,
)
FLOAT64 = Format(
    bits=64,
    fraction_bits=52,
    bias=1023,
    round=1.5 * 2**52,
    log2=coefficients.LOG2,
    q=coefficients.Q,
    p=coefficients.P,
    h=coefficients.H,
    tail=(5.0, 0xFFFFFFFFF8000000),
    exp_range=(710.0, -746.0, -50.0),
    sqrt_half=0x3FE6A09E667F3BCD,
)


def _format(x: Real) -> Format:
    return FLOAT32 if x.is_float32 else FLOAT64


def _polynomial(x: Real, coefficients: Sequence[float]) -> Real:
    total = x.like(coefficients[0])
    for coefficient in coefficients[1:]:
        total = total * x + coefficient
    return total


def _bits(x: Real) -> Any:
    return x.builder.bitcast(x.value, ir.IntType(_format(x).bits))


def _from_bits(x: Real, bits: Any) -> Real:
    return Real(x.builder, x.builder.bitcast(bits, x.value.type))


def _power_of_two(x: Real, exponent: Any) -> Real:
    """Return 2**(exponent - bias)."""
    form = _format(x)
    return _from_bits(x, x.builder.shl(exponent, form.integer(form.fraction_bits)))


def _reduced(x: Real, bias: int) -> tuple[Any, Real]:
    """Return n + bias as an integer, and r, with x = n * log 2 + r and |r| <= log(2) / 2."""
    form = _format(x)
    shifted = x * LOG2E + (form.round + bias)
    n = shifted - (form.round + bias)
    return x.builder.sub(_bits(shifted), _bits(x.like(form.round))), (x - n * form.log2[0]) - n * form.log2[1]


def exp(x: Real) -> Real:
    form = _format(x)
    x = x.at_most(form.exp_range[0]).at_least(form.exp_range[1])
    exponents, r = _reduced(x, 2 * form.bias)
    half = x.builder.lshr(exponents, form.integer(1))  # 2**128 and 2**-150 are no floats: two factors
    y = (r * r) * _polynomial(r, form.q) + r + 1.0
    return y * _power_of_two(x, half) * _power_of_two(x, x.builder.sub(exponents, half))


def expm1_of_negative(x: Real) -> Real:
    """Return exp(x) - 1 for x <= 0."""
    form = _format(x)
    exponents, r = _reduced(x.at_least(form.exp_range[2]), form.bias)
    scale = _power_of_two(x, exponents)
    return scale * ((r * r) * _polynomial(r, form.q) + r) + (scale - 1.0)


def expm1(x: Real) -> Real:
    negative = expm1_of_negative(-x.intrinsic("fabs"))
    return (-negative * exp(x)).where(x.compare(">", 0.0), negative)


def log(x: Real) -> Real:
    """x = 2**k * (1 + f) with 1 + f in [sqrt(1/2), sqrt(2)); the arrangement of the last sum is fdlibm's."""
    form, integer = _format(x), x.builder
    denormal = x.compare("<", 2.0 ** (1 - form.bias))
    bits = _bits((x * 2.0 ** (form.fraction_bits + 2)).where(denormal, x))
    one, places = form.integer(form.bias << form.fraction_bits), form.integer(form.fraction_bits)
    exponent = integer.ashr(integer.add(integer.sub(bits, form.integer(form.sqrt_half)), one), places)
    f = _from_bits(x, integer.add(integer.sub(bits, integer.shl(exponent, places)), one)) - 1.0
    k = Real(x.builder, integer.sitofp(exponent, x.value.type))
    k = k - x.like(float(form.bias + form.fraction_bits + 2)).where(denormal, float(form.bias))
    s, half_square = f / (f + 2.0), f * f * 0.5
    z = s * s
    y = k * form.log2[0] - ((half_square - (s * (half_square + z * _polynomial(z, form.p)) + k * form.log2[1])) - f)
    y = y.where(x.compare("<", math.inf), x)  # infinity and NaN
    y = x.like(-math.inf).where(x.compare("==", 0.0), y)
    return x.like(math.nan).where(x.compare("<", 0.0), y)


def log1p_of_fraction(x: Real) -> Real:
    """Return log(1 + x) for 0 <= x <= 1."""
    s = x / (x + 2.0)
    z = s * s
    return s * (z * _polynomial(z, _format(x).p) + 2.0)


def normal_tail(a: Real) -> Real:
    """Return the normal distribution function at -a for a >= 0, up to 14.5 (float32) or 40, where it is 0."""
    form = _format(a)
    k, mask = form.tail
    w = k / (a + k)
    square, high = a * a, _from_bits(a, a.builder.and_(_bits(a), form.integer(mask)))
    rest = (high * high - square) + (a - high) * (a + high)  # what rounding took from the square
    return exp(square * -0.5) * ((1.0 - rest * 0.5) * (w * _polynomial(w, form.h)))


def log1p(x: Real) -> Real:
    u = x + 1.0
    y = log(u)
    lost = (x - (u - 1.0)) / u  # what rounding took from 1 + x
    return (y + lost).where(x.builder.and_(u.compare("<", math.inf), u.compare(">", 0.0)), y)


def _tanh(x: Real) -> Real:
    e = expm1_of_negative(x.intrinsic("fabs") * -2.0)
    return (-e / (e + 2.0)).intrinsic("copysign", x)


def _sinh(x: Real) -> Real:
    e = expm1(x.intrinsic("fabs"))
    return ((e + e / (e + 1.0)) * 0.5).where(e.compare("<", math.inf), e).intrinsic("copysign", x)


def _cosh(x: Real) -> Real:
    e = exp(x.intrinsic("fabs"))
    return (e + 1.0 / e) * 0.5


POLYNOMIALS = {"exp": exp, "expm1": expm1, "log": log, "log1p": log1p, "tanh": _tanh, "sinh": _sinh, "cosh": _cosh}
#: functions that LLVM knows, some of them as an instruction
INTRINSICS = ("log2", "log10", "sin", "cos", "sqrt", "floor", "ceil", "trunc")


def call(name: str, x: Real) -> Real:
    """Return what the function of `math` called `name` gives."""
    if name in POLYNOMIALS and not x.on_gpu:
        return POLYNOMIALS[name](x)
    return x.intrinsic(name) if name in INTRINSICS else x.library(name)


#: function of one number -> its derivative, from argument and value
DERIVATIVES: dict[str, Callable[[Real, Real], Real]] = {
    "exp": lambda x, y: y,
    "exp2": lambda x, y: y * math.log(2),
    "expm1": lambda x, y: y + 1.0,
    "log": lambda x, y: 1.0 / x,
    "log1p": lambda x, y: 1.0 / (x + 1.0),
    "log2": lambda x, y: 1.0 / (x * math.log(2)),
    "log10": lambda x, y: 1.0 / (x * math.log(10)),
    "sqrt": lambda x, y: 0.5 / y,
    "cbrt": lambda x, y: 1.0 / (y * y * 3.0),
    "sin": lambda x, y: call("cos", x),
    "cos": lambda x, y: -call("sin", x),
    "tan": lambda x, y: y * y + 1.0,
    "asin": lambda x, y: 1.0 / call("sqrt", (1.0 - x) * (x + 1.0)),
    "acos": lambda x, y: -1.0 / call("sqrt", (1.0 - x) * (x + 1.0)),
    "atan": lambda x, y: 1.0 / (x * x + 1.0),
    "sinh": lambda x, y: call("cosh", x),
    "cosh": lambda x, y: call("sinh", x),
    "tanh": lambda x, y: (1.0 - y) * (y + 1.0),
    "asinh": lambda x, y: 1.0 / call("sqrt", x * x + 1.0),
    "acosh": lambda x, y: 1.0 / call("sqrt", (x - 1.0) * (x + 1.0)),
    "atanh": lambda x, y: 1.0 / ((1.0 - x) * (x + 1.0)),
    "erf": lambda x, y: call("exp", -(x * x)) * (2.0 / math.sqrt(math.pi)),
    "erfc": lambda x, y: call("exp", -(x * x)) * (-2.0 / math.sqrt(math.pi)),
}
#: functions that are constant in pieces
STEPS = ("floor", "ceil", "trunc")
#: functions that say whether
TESTS: dict[str, Callable[[Dual], Any]] = {
    "isnan": lambda a: a.value.compare("!=", a.value),
    "isinf": lambda a: a.value.intrinsic("fabs").compare("==", math.inf),
    "isfinite": lambda a: a.value.intrinsic("fabs").compare("<", math.inf),
}


def _smooth(name: str) -> Callable[[Dual], Dual]:
    def rule(a: Dual) -> Dual:
        y = call(name, a.value)
        return Dual(y, None if a.slope is None else a.along(DERIVATIVES[name](a.value, y)))

    return rule


def _step(name: str) -> Callable[[Dual], Dual]:
    return lambda a: Dual(call(name, a.value), None)


def _copysign(a: Dual, b: Dual) -> Dual:
    value = a.value.intrinsic("copysign", b.value)
    return Dual(value, a.slope and a.slope.where(value.compare("==", a.value), -a.slope))


#: name in `math` -> rule, number of arguments, type of the result if that is no number
FUNCTIONS: dict[str, tuple] = {
    **{name: (_smooth(name), 1) for name in DERIVATIVES if hasattr(math, name)},  # exp2 and cbrt are younger than Python 3.10
    **{name: (_step(name), 1) for name in STEPS},
    **{name: (rule, 1, types.boolean) for name, rule in TESTS.items()},
    "fabs": (UNARY[abs], 1),
    "pow": (BINARY[operator.pow], 2),
    "copysign": (_copysign, 2),
}
for _name, _definition in FUNCTIONS.items():
    define(getattr(math, _name), *_definition)
