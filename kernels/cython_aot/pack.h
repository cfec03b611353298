/* Packing of a panel of B, the strip of columns that a tile reads: its rows one behind the other, zero past the last column. */
#ifndef FASTNN_PACK_H
#define FASTNN_PACK_H
#include "tile.h"

#ifdef __has_builtin
#if VECTOR_BYTES && __has_builtin(__builtin_shufflevector)
#define FASTNN_SHUFFLES 1
#endif
#endif

#define REAL float
#define VECTOR vector_f32_wide
#define NAMED(name) name##_f32
#include "pack_real.h"
#undef REAL
#undef VECTOR
#undef NAMED

#define REAL double
#define VECTOR vector_f64_wide
#define NAMED(name) name##_f64
#include "pack_real.h"
#undef REAL
#undef VECTOR
#undef NAMED
#endif
