"""Elementary functions that LLVM vectorizes: the float64 ones of cython_aot/vmath.h, where the formulas are explained.

Kernels compute activations and losses in float64 for both float types and round once, at the end.
"""

import math

from .pointers import from_bits, inline, to_bits

INF, NAN = math.inf, math.nan
LOG2E = 1.4426950408889634074
ROUND = 6755399441055744.0  # 1.5 * 2**52: adding it rounds to an integer, which stands in the low bits of the sum
ROUND_BITS = 0x4338000000000000
LOG2_HIGH, LOG2_LOW = 0.6931471803691238, 1.9082149292705878e-10


@inline
def _reduced(x, n):
    return (x - n * LOG2_HIGH) - n * LOG2_LOW


@inline
def _expm1_over_r2(r):
    """(expm1(r) - r) / r**2 for |r| <= 0.35"""
    q = 2.0875306178414332427e-9
    q = q * r + 2.5110110128761852502e-8
    q = q * r + 2.7557405977957155387e-7
    q = q * r + 2.7557241368298029222e-6
    q = q * r + 0.000024801587164703583265
    q = q * r + 0.00019841269888684222224
    q = q * r + 0.0013888888888968386067
    q = q * r + 0.0083333333333207384185
    q = q * r + 0.041666666666666492441
    q = q * r + 0.16666666666666677524
    return q * r + 0.50000000000000000095


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
def _atanh_rest(z):
    """(2 * atanh(s) / s - 2) / z for z = s**2 <= 1/9"""
    p = 0.1702008288843488447
    p = p * z + 0.083395509014840916083
    p = p * z + 0.12106149104572976228
    p = p * z + 0.13300974036008837395
    p = p * z + 0.15386559216341818532
    p = p * z + 0.18181743991264994632
    p = p * z + 0.22222223966861982477
    p = p * z + 0.2857142854791659775
    p = p * z + 0.40000000000156610485
    return p * z + 0.66666666666666305921


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
    h = -0.00027130766719454174885
    h = h * w + 0.0024057829089877339593
    h = h * w - 0.0079224297939257768511
    h = h * w + 0.0060013833908694647162
    h = h * w + 0.039920373984337093488
    h = h * w - 0.16460700852739669117
    h = h * w + 0.33641692478266742439
    h = h * w - 0.45811461687460055806
    h = h * w + 0.46175930636081692753
    h = h * w - 0.36082383536398237479
    h = h * w + 0.21943805252348433734
    h = h * w - 0.11071042903500586684
    h = h * w + 0.045184350925706740137
    h = h * w - 0.0072430086292326363184
    h = h * w + 0.018814827441337255093
    h = h * w + 0.024855353288611027736
    h = h * w + 0.037713868508934824149
    h = h * w + 0.049770945031383166244
    h = h * w + 0.061023914282686705183
    h = h * w + 0.070213716315407146286
    h = h * w + 0.076596924180889018189
    h = h * w + 0.079788455882065297157
    h = h * w + 0.079788456083154281062
    square = a * a
    high = from_bits(to_bits(a) & -0x8000000)
    rest = (high * high - square) + (a - high) * (a + high)
    return exp(-0.5 * square) * ((1.0 - 0.5 * rest) * (w * h))
