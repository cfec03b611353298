/* Elementary functions that a compiler can vectorize: no branches, no tables, no calls, nothing that needs -ffast-math.

   A loop around one of these becomes vector code at -O3 (conditional expressions become selects). The polynomials are minimax
   (Remez exchange in 50 digits, made for this file) of the relative error that stands beside each. NaN gives NaN.

   Largest errors in units in the last place, measured against double and 80-bit results, float at every seventh of all bit patterns:

           vm_exp  vm_expm1  vm_log1p  vm_log  vm_normal_tail
     f32      1.1       1.1       2.9                       8
     f64      1.0       1.2       2.9     0.9               9  */
#ifndef FASTNN_VMATH_H
#define FASTNN_VMATH_H
#include <math.h>
#include <stdint.h>
#include <string.h>

#if defined(__GNUC__) || defined(__clang__)
#define VM_INLINE static inline __attribute__((always_inline, unused))
#elif defined(_MSC_VER)
#define VM_INLINE static __forceinline
#else
#define VM_INLINE static inline
#endif

VM_INLINE uint32_t vm_bits_f32(float x) { uint32_t u; memcpy(&u, &x, sizeof u); return u; }
VM_INLINE uint64_t vm_bits_f64(double x) { uint64_t u; memcpy(&u, &x, sizeof u); return u; }
VM_INLINE float vm_from_bits_f32(uint32_t u) { float x; memcpy(&x, &u, sizeof x); return x; }
VM_INLINE double vm_from_bits_f64(uint64_t u) { double x; memcpy(&x, &u, sizeof x); return x; }

/* exp(x) = 2**n * exp(r) with n = round(x / log 2) and |r| <= log(2) / 2; exp(r) = 1 + r + r**2 * q(r).
   Adding 1.5 * 2**23 (1.5 * 2**52) rounds to an integer and leaves it in the low bits of the sum. log 2 is subtracted in two parts,
   the first so short that n times it is exact. */
#define VM_LOG2E 1.4426950408889634074
#define VM_ROUND_F32 12582912.0f
#define VM_ROUND_F64 6755399441055744.0

VM_INLINE float vm_reduce_f32(float x, float n) { return (x - n * 0.693359375f) - n * -2.12194440e-4f; }
VM_INLINE double vm_reduce_f64(double x, double n) { return (x - n * 0.6931471803691238) - n * 1.9082149292705878e-10; }

/* q(r), |r| <= 0.35: the error of r + r**2 * q(r) relative to expm1(r) is below 2**-26 */
VM_INLINE float vm_q_f32(float r) {
    float q = 0.00138823924f;
    q = q * r + 0.00836718065f;
    q = q * r + 0.0416672213f;
    q = q * r + 0.166665387f;
    return q * r + 0.49999998f;
}

/* the same, below 2**-61 */
VM_INLINE double vm_q_f64(double r) {
    double q = 2.0875306178414332427e-9;
    q = q * r + 2.5110110128761852502e-8;
    q = q * r + 2.7557405977957155387e-7;
    q = q * r + 2.7557241368298029222e-6;
    q = q * r + 0.000024801587164703583265;
    q = q * r + 0.00019841269888684222224;
    q = q * r + 0.0013888888888968386067;
    q = q * r + 0.0083333333333207384185;
    q = q * r + 0.041666666666666492441;
    q = q * r + 0.16666666666666677524;
    return q * r + 0.50000000000000000095;
}

/* exp(x) for all x; inf above 88.72 (709.78), through the denormals to 0 below -103.97 (-745.13).
   The power of two is multiplied in two halves, since 2**128 and 2**-150 are no floats. */
VM_INLINE float vm_exp_f32(float x) {
    x = x > 89.0f ? 89.0f : x;
    x = x < -104.0f ? -104.0f : x;
    float shifted = x * (float)VM_LOG2E + (VM_ROUND_F32 + 254.0f);
    uint32_t exponents = vm_bits_f32(shifted) - vm_bits_f32(VM_ROUND_F32), half = exponents >> 1; /* n + twice the bias */
    float r = vm_reduce_f32(x, shifted - (VM_ROUND_F32 + 254.0f));
    float y = (r * r) * vm_q_f32(r) + r + 1.0f;
    return y * vm_from_bits_f32(half << 23) * vm_from_bits_f32((exponents - half) << 23);
}

VM_INLINE double vm_exp_f64(double x) {
    x = x > 710.0 ? 710.0 : x;
    x = x < -746.0 ? -746.0 : x;
    double shifted = x * VM_LOG2E + (VM_ROUND_F64 + 2046.0);
    uint64_t exponents = vm_bits_f64(shifted) - vm_bits_f64(VM_ROUND_F64), half = exponents >> 1;
    double r = vm_reduce_f64(x, shifted - (VM_ROUND_F64 + 2046.0));
    double y = (r * r) * vm_q_f64(r) + r + 1.0;
    return y * vm_from_bits_f64(half << 52) * vm_from_bits_f64((exponents - half) << 52);
}

/* exp(x) - 1 for x <= 0: 2**n * expm1(r) + (2**n - 1), which loses nothing at small x, where n = 0 */
VM_INLINE float vm_expm1_f32(float x) {
    x = x < -30.0f ? -30.0f : x; /* from here down it is -1 */
    float shifted = x * (float)VM_LOG2E + (VM_ROUND_F32 + 127.0f);
    float scale = vm_from_bits_f32((vm_bits_f32(shifted) - vm_bits_f32(VM_ROUND_F32)) << 23);
    float r = vm_reduce_f32(x, shifted - (VM_ROUND_F32 + 127.0f));
    return scale * ((r * r) * vm_q_f32(r) + r) + (scale - 1.0f);
}

VM_INLINE double vm_expm1_f64(double x) {
    x = x < -50.0 ? -50.0 : x;
    double shifted = x * VM_LOG2E + (VM_ROUND_F64 + 1023.0);
    double scale = vm_from_bits_f64((vm_bits_f64(shifted) - vm_bits_f64(VM_ROUND_F64)) << 52);
    double r = vm_reduce_f64(x, shifted - (VM_ROUND_F64 + 1023.0));
    return scale * ((r * r) * vm_q_f64(r) + r) + (scale - 1.0);
}

/* log((1 + s) / (1 - s)) = 2 * atanh(s) = s * (2 + z * p(z)), z = s**2 <= 1/9: error below 2**-27 */
VM_INLINE float vm_p_f32(float z) {
    float p = 0.280187672f;
    p = p * z + 0.280005372f;
    p = p * z + 0.400215974f;
    return p * z + 0.666664152f;
}

/* the same, below 2**-59 */
VM_INLINE double vm_p_f64(double z) {
    double p = 0.1702008288843488447;
    p = p * z + 0.083395509014840916083;
    p = p * z + 0.12106149104572976228;
    p = p * z + 0.13300974036008837395;
    p = p * z + 0.15386559216341818532;
    p = p * z + 0.18181743991264994632;
    p = p * z + 0.22222223966861982477;
    p = p * z + 0.2857142854791659775;
    p = p * z + 0.40000000000156610485;
    return p * z + 0.66666666666666305921;
}

/* log(1 + x) for 0 <= x <= 1 */
VM_INLINE float vm_log1p_f32(float x) {
    float s = x / (2.0f + x), z = s * s;
    return s * (2.0f + z * vm_p_f32(z));
}

VM_INLINE double vm_log1p_f64(double x) {
    double s = x / (2.0 + x), z = s * s;
    return s * (2.0 + z * vm_p_f64(z));
}

/* log(x) = k * log 2 + log(m) with m in [sqrt(1/2), sqrt(2)); the arrangement of the last sum is fdlibm's (e_log.c): f - f**2 / 2 is
   taken out, so that its rounding error is not multiplied. log(0) = -inf, log(x < 0) = NaN. */
VM_INLINE double vm_log_f64(double x) {
    const uint64_t sqrt_half = 0x3fe6a09e667f3bcdULL, two_52 = 0x4330000000000000ULL;
    int denormal = x < 2.2250738585072014e-308;
    uint64_t bits = vm_bits_f64(denormal ? x * 18014398509481984.0 : x);         /* 2**54 */
    uint64_t exponent = (bits - sqrt_half + (1023ULL << 52)) >> 52;              /* k + 1023 */
    double f = vm_from_bits_f64(bits - (exponent << 52) + (1023ULL << 52)) - 1.0;
    double k = vm_from_bits_f64(exponent | two_52) - (4503599627370496.0 + 1023.0) - (denormal ? 54.0 : 0.0);
    double s = f / (2.0 + f), z = s * s, half_square = 0.5 * f * f;
    double y = k * 0.6931471803691238 - ((half_square - (s * (half_square + z * vm_p_f64(z)) + k * 1.9082149292705878e-10)) - f);
    y = x < (double)INFINITY ? y : x; /* inf and NaN */
    y = x == 0.0 ? -(double)INFINITY : y;
    return x < 0.0 ? (double)NAN : y;
}

/* The normal distribution function at -a, a >= 0: Phi(-a) = exp(-a**2 / 2) * w * h(w) with w = k / (k + a), after the scaled erfc of
   Shepherd & Laframboise, Math. Comp. 36 (1981). Relative error of w * h(w) below 2**-26 for a <= 14.5 (2**-57 for a <= 40), beyond
   which Phi(-a) is 0; larger a must not come. `rest` is what rounding took from a**2: the upper half of a has an exact square. */
VM_INLINE float vm_normal_tail_f32(float a) {
    float w = 4.0f / (4.0f + a), h = 0.01689240875f;
    h = h * w - 0.06453718724f;
    h = h * w + 0.05587951921f;
    h = h * w + 0.02261084273f;
    h = h * w + 0.01773475772f;
    h = h * w + 0.08385120768f;
    h = h * w + 0.07301280944f;
    h = h * w + 0.09528785822f;
    h = h * w + 0.09952145824f;
    h = h * w + 0.09974632957f;
    float square = a * a, high = vm_from_bits_f32(vm_bits_f32(a) & 0xfffff000u);
    float rest = (high * high - square) + (a - high) * (a + high);
    return vm_exp_f32(-0.5f * square) * ((1.0f - 0.5f * rest) * (w * h));
}

VM_INLINE double vm_normal_tail_f64(double a) {
    double w = 5.0 / (5.0 + a), h = -0.00027130766719454174885;
    h = h * w + 0.0024057829089877339593;
    h = h * w - 0.0079224297939257768511;
    h = h * w + 0.0060013833908694647162;
    h = h * w + 0.039920373984337093488;
    h = h * w - 0.16460700852739669117;
    h = h * w + 0.33641692478266742439;
    h = h * w - 0.45811461687460055806;
    h = h * w + 0.46175930636081692753;
    h = h * w - 0.36082383536398237479;
    h = h * w + 0.21943805252348433734;
    h = h * w - 0.11071042903500586684;
    h = h * w + 0.045184350925706740137;
    h = h * w - 0.0072430086292326363184;
    h = h * w + 0.018814827441337255093;
    h = h * w + 0.024855353288611027736;
    h = h * w + 0.037713868508934824149;
    h = h * w + 0.049770945031383166244;
    h = h * w + 0.061023914282686705183;
    h = h * w + 0.070213716315407146286;
    h = h * w + 0.076596924180889018189;
    h = h * w + 0.079788455882065297157;
    h = h * w + 0.079788456083154281062;
    double square = a * a, high = vm_from_bits_f64(vm_bits_f64(a) & 0xfffffffff8000000ULL);
    double rest = (high * high - square) + (a - high) * (a + high);
    return vm_exp_f64(-0.5 * square) * ((1.0 - 0.5 * rest) * (w * h));
}
#endif
