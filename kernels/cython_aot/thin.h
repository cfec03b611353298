/* Products of one to three rows with a matrix. The matrix is read once, in the order of memory, which is all that counts: there are
 * not enough rows to use a value twice from a register, as the tile of tile.h does.
 */
#ifndef FASTNN_THIN_H
#define FASTNN_THIN_H
#include "tile.h"

enum { THIN_ROWS = 3 };

#define REAL float
#if VECTOR_BYTES
#define VECTOR vector_f32_wide
#define MASK mask_f32_wide
#else
#define VECTOR float
#define MASK int
#endif
#define NAMED(name) name##_f32
#include "thin_real.h"
#undef REAL
#undef VECTOR
#undef MASK
#undef NAMED

#define REAL double
#if VECTOR_BYTES
#define VECTOR vector_f64_wide
#define MASK mask_f64_wide
#else
#define VECTOR double
#define MASK int
#endif
#define NAMED(name) name##_f64
#include "thin_real.h"
#undef REAL
#undef VECTOR
#undef MASK
#undef NAMED
#endif
