/* The register tile under every matrix product here: a few rows of C, one or two vectors wide, stay in registers while k runs.
 *
 * One source for every instruction level, in the vector types of GCC and clang: VECTOR_BYTES follows the compiler flags. A compiler
 * without them gets vectors of one element, which is the same algorithm in plain C. `tile_f32` and `tile_f64` are made from tile_real.h.
 *
 * Size of the tile: each step of k loads TILE_VECTORS vectors of B and broadcasts TILE_ROWS values of A for TILE_ROWS * TILE_VECTORS
 * multiply-adds, so the tile is as large as the registers allow: accumulators + B vectors + one broadcast <= registers.
 */
#ifndef FASTNN_TILE_H
#define FASTNN_TILE_H
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__GNUC__) || defined(__clang__)
#define FASTNN_INLINE static inline __attribute__((always_inline))
#else
#define FASTNN_INLINE static __forceinline
#endif

#if defined(__AVX512F__) /* 32 registers: 24 + 2 + 1 */
#define VECTOR_BYTES 64
#define TILE_ROWS 12
#define TILE_VECTORS 2
#elif defined(__AVX__) /* 16 registers: 12 + 2 + 1 */
#define VECTOR_BYTES 32
#define TILE_ROWS 6
#define TILE_VECTORS 2
#elif defined(__SSE2__) /* 16 registers: 8 + 2 + 1, and products before they are added: there is no fused multiply-add */
#define VECTOR_BYTES 16
#define TILE_ROWS 4
#define TILE_VECTORS 2
#elif defined(__ARM_NEON) && defined(__aarch64__) /* 32 registers: 24 + 2 + 1 */
#define VECTOR_BYTES 16
#define TILE_ROWS 12
#define TILE_VECTORS 2
#else
#define VECTOR_BYTES 0 /* vectors of one element */
#define TILE_ROWS 4
#define TILE_VECTORS 2
#endif

/* bytes of one row of a panel of B, as wide as a tile (an upper bound where vectors have one element) */
#define PANEL_BYTES (TILE_VECTORS * (VECTOR_BYTES ? VECTOR_BYTES : 8))
/* bytes of a square panel, as many rows as columns, each at least 4 bytes wide */
#define SQUARE_BYTES (PANEL_BYTES * PANEL_BYTES / 4)

/* what `flags` may hold: add to what C holds (else start from `bias`, or from 0 where it is NULL); apply relu at the end */
enum { TILE_ACCUMULATE = 1, TILE_RELU = 2 };

#define REAL float
#define MASK int32_t
#define BYTES VECTOR_BYTES
#define NAMED(name) name##_f32_wide
#include "tile_real.h"
#undef BYTES
#undef NAMED
#define BYTES (VECTOR_BYTES / 2)
#define NAMED(name) name##_f32_half
#include "tile_real.h"
#undef BYTES
#undef NAMED
#undef REAL
#undef MASK

#define REAL double
#define MASK int64_t
#define BYTES VECTOR_BYTES
#define NAMED(name) name##_f64_wide
#include "tile_real.h"
#undef BYTES
#undef NAMED
#define BYTES (VECTOR_BYTES / 2)
#define NAMED(name) name##_f64_half
#include "tile_real.h"
#undef BYTES
#undef NAMED
#undef REAL
#undef MASK

/* Columns of B that a tile of n columns reads: two vectors, one, or with AVX-512 half of one (as fast as a whole one on processors
 * that halve the long ones, where it does half the work). */
#define HALF_LANES (VECTOR_BYTES == 64)
static inline ptrdiff_t tile_width(ptrdiff_t n, ptrdiff_t size) {
    const ptrdiff_t lanes = VECTOR_BYTES ? VECTOR_BYTES / size : 1;
    return n > lanes ? 2 * lanes : HALF_LANES && 2 * n <= lanes ? lanes / 2 : lanes;
}

#define TILE_CASE(r, type)                                                                                                           \
    case r:                                                                                                                          \
        if (width == 2 * lanes) tile_##type##_wide(r, 2, segments, k, a, row, step, segment, b, ldb, c, ldc, n, bias, flags);        \
        else if (width == lanes) tile_##type##_wide(r, 1, segments, k, a, row, step, segment, b, ldb, c, ldc, n, bias, flags);       \
        else tile_##type##_half(r, 1, segments, k, a, row, step, segment, b, ldb, c, ldc, n, bias, flags);                           \
        break;
#if TILE_ROWS == 12
#define TILE_CASES(type)                                                                                                             \
    TILE_CASE(1, type) TILE_CASE(2, type) TILE_CASE(3, type) TILE_CASE(4, type) TILE_CASE(5, type) TILE_CASE(6, type)                \
    TILE_CASE(7, type) TILE_CASE(8, type) TILE_CASE(9, type) TILE_CASE(10, type) TILE_CASE(11, type) TILE_CASE(12, type)
#elif TILE_ROWS == 6
#define TILE_CASES(type)                                                                                                             \
    TILE_CASE(1, type) TILE_CASE(2, type) TILE_CASE(3, type) TILE_CASE(4, type) TILE_CASE(5, type) TILE_CASE(6, type)
#else
#define TILE_CASES(type) TILE_CASE(1, type) TILE_CASE(2, type) TILE_CASE(3, type) TILE_CASE(4, type)
#endif

/* C[rows, n] = A[rows, segments * k] B[segments * k, n] for at most TILE_ROWS rows and PANEL_BYTES of columns.
 *
 * Element (i, s * k + p) of A is a[i * row + s * segment + p * step]: row-major, column-major, or runs of a larger image. Rows of B
 * are ldb apart and are read tile_width(n) wide, those of C are ldc apart.
 */
#define DEFINE_TILE(type, real)                                                                                                      \
    static void tile_##type(ptrdiff_t rows, ptrdiff_t segments, ptrdiff_t k, const real *a, ptrdiff_t row, ptrdiff_t step,           \
                            ptrdiff_t segment, const real *b, ptrdiff_t ldb, real *c, ptrdiff_t ldc, ptrdiff_t n, const real *bias,  \
                            int flags) {                                                                                             \
        const ptrdiff_t lanes = VECTOR_BYTES ? VECTOR_BYTES / sizeof(real) : 1, width = tile_width(n, sizeof(real));                 \
        switch (rows) { TILE_CASES(type) }                                                                                           \
    }
DEFINE_TILE(f32, float)
DEFINE_TILE(f64, double)
#endif
