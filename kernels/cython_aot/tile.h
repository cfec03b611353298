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

/* what `flags` of a tile may hold */
enum { TILE_ACCUMULATE = 1, TILE_RELU = 2 };

#define REAL float
#define MASK int32_t
#define NAMED(name) name##_f32
#include "tile_real.h"
#undef REAL
#undef MASK
#undef NAMED

#define REAL double
#define MASK int64_t
#define NAMED(name) name##_f64
#include "tile_real.h"
#undef REAL
#undef MASK
#undef NAMED
#endif
