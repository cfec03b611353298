/* Lines of the cache that are asked for before they are read, where the processor does not see by itself which come next. */
#ifndef FASTNN_FETCH_H
#define FASTNN_FETCH_H

#if defined(__GNUC__) || defined(__clang__)
#define FASTNN_PREFETCH(address) __builtin_prefetch(address)
#else
#define FASTNN_PREFETCH(address) ((void)(address))
#endif
#endif
