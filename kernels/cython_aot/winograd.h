/* The transforms of Winograd's F(4x4, 3x3) (Lavin & Gray 2016, "Fast algorithms for convolutional neural networks", section 4.3) and
 * F(2x2, 5x5), vectorized over channels. Both evaluate at 0, 1, -1, 2, -2 and infinity, and so have the same B. With the 6x6 input tile
 * d, the filter g of `taps` x `taps` and the output tile y of `tile` x `tile`, where taps + tile = 7:
 *
 *     y = A' [(G g G') * (B' d B)] A
 *
 * and, the same read backwards, the gradients by the filters and by the input
 *
 *     dg = G' [sum over tiles (B' d B) * (A dy A')] G        dd = B [(G g G') * (A dy A')] B'
 *
 * A transformed tile is spread over 36 planes `plane` elements apart, one for each of its elements. Channels are taken in vectors;
 * the last vector overlaps the one before where the channels do not fill it, so there is at least a vector of them.
 */
#ifndef FASTNN_WINOGRAD_H
#define FASTNN_WINOGRAD_H
#include "tile.h"

#define REAL float
#define NAMED(name) name##_f32
#if VECTOR_BYTES
#define VECTOR vector_f32_wide
#define MASK mask_f32_wide
#else
#define VECTOR float
#endif
#include "winograd_real.h"
#undef REAL
#undef NAMED
#undef VECTOR
#undef MASK

#define REAL double
#define NAMED(name) name##_f64
#if VECTOR_BYTES
#define VECTOR vector_f64_wide
#define MASK mask_f64_wide
#else
#define VECTOR double
#endif
#include "winograd_real.h"
#undef REAL
#undef NAMED
#undef VECTOR
#undef MASK
#endif
