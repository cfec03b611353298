/* A call record: one kernel call with everything it needs, the same struct for every op. */
#ifndef FASTNN_CALL_H
#define FASTNN_CALL_H
#include <stddef.h>

#define FASTNN_MAX_ARRAYS 9
#define FASTNN_MAX_AXES 12
#define FASTNN_MAX_INTEGERS 8
#define FASTNN_MAX_REALS 4

typedef struct fastnn_call {
    void (*kernel)(const struct fastnn_call *);
    void *array[FASTNN_MAX_ARRAYS];            /* inputs, then outputs; NULL for an optional array left out */
    ptrdiff_t extent[FASTNN_MAX_AXES];         /* axes in the order of first appearance in the op's spec */
    ptrdiff_t integer[FASTNN_MAX_INTEGERS];    /* integer parameters, in the spec's order */
    double real[FASTNN_MAX_REALS];             /* float parameters, in the spec's order */
    ptrdiff_t elements;                        /* of the largest array */
    int threads;                               /* most threads the kernel may use */
} fastnn_call;
#endif
