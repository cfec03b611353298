/* Packing of a panel of B, the strip of columns that a tile reads: its rows one behind the other, zero past the last column. */
#ifndef FASTNN_PACK_H
#define FASTNN_PACK_H
#include "transpose.h"

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
