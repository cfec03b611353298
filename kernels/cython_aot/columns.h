/* Copies and sums of many short runs of elements: what im2col and col2im consist of. A run is a few elements that stand side by side both
 * in the image and in the patch, often only three, so what counts is that nothing is decided anew for each.
 */
#ifndef FASTNN_COLUMNS_H
#define FASTNN_COLUMNS_H
#include "fetch.h"
#include "tile.h"

/* The processor does not see by itself that short runs of patches are read one behind the other. */
#define AHEAD 1024 /* bytes */

/* Runs of `run` elements in four nested loops, outermost first; `image` and `patch` are the steps of a loop in each. */
typedef struct {
    ptrdiff_t count[4], image[4], patch[4];
    ptrdiff_t run;
} fastnn_runs;

#define REAL float
#define NAMED(name) name##_f32
#include "columns_real.h"
#undef REAL
#undef NAMED

#define REAL double
#define NAMED(name) name##_f64
#include "columns_real.h"
#undef REAL
#undef NAMED
#endif
