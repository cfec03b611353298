/* Transposition by blocks of 4 by 4, which stay in registers; the last block of a row or column overlaps the one before it. */
#ifndef FASTNN_TRANSPOSE_H
#define FASTNN_TRANSPOSE_H
#include "tile.h"

#ifdef __has_builtin
#if VECTOR_BYTES && __has_builtin(__builtin_shufflevector)
#define FASTNN_SHUFFLES 1
#endif
#endif

#define REAL float
#define NAMED(name) name##_f32
#include "transpose_real.h"
#undef REAL
#undef NAMED

#define REAL double
#define NAMED(name) name##_f64
#include "transpose_real.h"
#undef REAL
#undef NAMED
#endif
