"""Elementary functions that LLVM vectorizes: the float64 ones of cython_aot/vmath.h, where the formulas are explained.

Kernels compute activations and losses in float64 for both float types and round once, at the end.
"""

import math

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from ..custom import coefficients
from .pointers import from_bits, inline, to_bits

INF, NAN = math.inf, math.nan
LOG2E = 1.4426950408889634074
ROUND = 6755399441055744.0  # 1.5 * 2**52: adding it rounds to an integer, which stands in the low bits of the sum
ROUND_BITS = 0x4338000000000000
LOG2_HIGH, LOG2_LOW = coefficients.LOG2


def _polynomial(numbers):
    """Return the polynomial of these coefficients, the highest power first, by Horner's rule."""

    @intrinsic
    def polynomial(typing_context, x):
        def codegen(context, builder, signature, args):
            total = ir.Constant(ir.DoubleType(), numbers[0])
            for number in numbers[1:]:
                total = builder.fadd(builder.fmul(total, args[0]), ir.Constant(ir.DoubleType(), number))
            return total

        return types.float64(types.float64), codegen

    return polynomial


#: (expm1(r) - r) / r**2 for |r| <= 0.35
_expm1_over_r2 = _polynomial(coefficients.Q)
#: (2 * atanh(s) / s - 2) / z for z = s**2 <= 1/9
_atanh_rest = _polynomial(coefficients.P)
#: the normal distribution function at -a, over exp(-a**2 / 2) * w, for w = 5 / (5 + a)
_tail = _polynomial(coefficients.H)


@inline
def _reduced(x, n):
    return (x - n * LOG2_HIGH) - n * LOG2_LOW


@inline
def exp(x):
    """exp(x), through the denormals to 0, or to inf"""
    x = 710.0 if x > 710.0 else x
    x = -746.0 if x < -746.0 else x
    shifted = x * LOG2E + (ROUND + 2046.0)
    exponents = to_bits(shifted) - ROUND_BITS
    half = exponents >> 1
    r = _reduced(x, shifted - (ROUND + 2046.0))
    y = (r * r) * _expm1_over_r2(r) + r + 1.0
    return y * from_bits(half << 52) * from_bits((exponents - half) << 52)


@inline
def expm1(x):
    """exp(x) - 1 for x <= 0"""
    x = -50.0 if x < -50.0 else x
    shifted = x * LOG2E + (ROUND + 1023.0)
    scale = from_bits((to_bits(shifted) - ROUND_BITS) << 52)
    r = _reduced(x, shifted - (ROUND + 1023.0))
    return scale * ((r * r) * _expm1_over_r2(r) + r) + (scale - 1.0)


@inline
def log1p(x):
    """log(1 + x) for 0 <= x <= 1"""
    s = x / (2.0 + x)
    z = s * s
    return s * (2.0 + z * _atanh_rest(z))


@inline
def log(x):
    """log(x); log(0) = -inf, log(x < 0) = NaN"""
    denormal = x < 2.2250738585072014e-308
    bits = to_bits(x * 18014398509481984.0 if denormal else x)
    exponent = (bits - 0x3FE6A09E667F3BCD + (1023 << 52)) >> 52
    f = from_bits(bits - (exponent << 52) + (1023 << 52)) - 1.0
    k = from_bits(exponent | 0x4330000000000000) - (4503599627370496.0 + 1023.0) - (54.0 if denormal else 0.0)
    s = f / (2.0 + f)
    z = s * s
    half_square = 0.5 * f * f
    y = k * LOG2_HIGH - ((half_square - (s * (half_square + z * _atanh_rest(z)) + k * LOG2_LOW)) - f)
    y = y if x < INF else x
    y = -INF if x == 0.0 else y
    return NAN if x < 0.0 else y


@inline
def normal_tail(a):
    """The normal distribution function at -a, for 0 <= a <= 40"""
    w = 5.0 / (5.0 + a)
    square = a * a
    high = from_bits(to_bits(a) & -0x8000000)
    rest = (high * high - square) + (a - high) * (a + high)
    return exp(-0.5 * square) * ((1.0 - 0.5 * rest) * (w * _tail(w)))
