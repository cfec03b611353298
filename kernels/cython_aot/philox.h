/* Random words by counter: Philox4x32 with 7 rounds (Salmon, Moraes, Dror & Shaw 2011, section 3.3 and table 2). */
#ifndef FASTNN_PHILOX_H
#define FASTNN_PHILOX_H
#include <stddef.h>
#include <stdint.h>

/* What one word is kept in. Where vectors can multiply 64-bit numbers, words in 64 bits need no shuffling around each product (1.6 times
   as fast); the upper halves then hold what is left of products and are cut off by the conversions below. */
#ifdef __AVX512DQ__
typedef uint64_t philox_lane;
#else
typedef uint32_t philox_lane;
#endif

/* Counters that share their upper half are a loop without branches, which compilers vectorize; so the rounds are written out. */
#define PHILOX_ROUND(r)                                                                                        \
    do {                                                                                                       \
        uint64_t p0 = (uint64_t)0xD2511F53u * (uint32_t)c0, p1 = (uint64_t)0xCD9E8D57u * (uint32_t)c2;         \
        c0 = (philox_lane)(p1 >> 32) ^ c1 ^ (uint32_t)(key0 + (r) * 0x9E3779B9u);                              \
        c2 = (philox_lane)(p0 >> 32) ^ c3 ^ (uint32_t)(key1 + (r) * 0xBB67AE85u);                              \
        c1 = (philox_lane)p1;                                                                                  \
        c3 = (philox_lane)p0;                                                                                  \
    } while (0)

/* words[4 * i + w] = word w of counter (first + i, step), for i < count; the lower half of first + i must not overflow. */
static inline void philox_words(uint64_t first, uint64_t step, uint64_t seed, uint32_t *words, ptrdiff_t count) {
    const uint32_t first_low = (uint32_t)first, first_high = (uint32_t)(first >> 32);
    const uint32_t step_low = (uint32_t)step, step_high = (uint32_t)(step >> 32);
    const uint32_t key0 = (uint32_t)seed, key1 = (uint32_t)(seed >> 32);
    for (ptrdiff_t i = 0; i < count; i++) {
        philox_lane c0 = (uint32_t)(first_low + (uint32_t)i), c1 = first_high, c2 = step_low, c3 = step_high;
        PHILOX_ROUND(0);
        PHILOX_ROUND(1);
        PHILOX_ROUND(2);
        PHILOX_ROUND(3);
        PHILOX_ROUND(4);
        PHILOX_ROUND(5);
        PHILOX_ROUND(6);
        words[4 * i] = (uint32_t)c0;
        words[4 * i + 1] = (uint32_t)c1;
        words[4 * i + 2] = (uint32_t)c2;
        words[4 * i + 3] = (uint32_t)c3;
    }
}
#endif
