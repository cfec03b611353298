/* Random words by counter: Philox4x32 with 7 rounds (Salmon, Moraes, Dror & Shaw 2011, section 3.3 and table 2). */
#ifndef FASTNN_PHILOX_H
#define FASTNN_PHILOX_H
#include <stdint.h>

/* Counters that share their upper half are a loop without branches, which compilers vectorize; so the rounds are written out. */
#define PHILOX_ROUND(r)                                                                                        \
    do {                                                                                                       \
        uint64_t p0 = (uint64_t)0xD2511F53u * c0, p1 = (uint64_t)0xCD9E8D57u * c2;                             \
        c0 = (uint32_t)(p1 >> 32) ^ c1 ^ (key0 + (r) * 0x9E3779B9u);                                           \
        c2 = (uint32_t)(p0 >> 32) ^ c3 ^ (key1 + (r) * 0xBB67AE85u);                                           \
        c1 = (uint32_t)p1;                                                                                     \
        c3 = (uint32_t)p0;                                                                                     \
    } while (0)

/* words[4 * i + w] = word w of counter (first + i, step), for i < count; the lower half of first + i must not overflow. */
static inline void philox_words(uint64_t first, uint64_t step, uint64_t seed, uint32_t *words, int count) {
    const uint32_t first_low = (uint32_t)first, first_high = (uint32_t)(first >> 32);
    const uint32_t step_low = (uint32_t)step, step_high = (uint32_t)(step >> 32);
    const uint32_t key0 = (uint32_t)seed, key1 = (uint32_t)(seed >> 32);
    for (int i = 0; i < count; i++) {
        uint32_t c0 = first_low + (uint32_t)i, c1 = first_high, c2 = step_low, c3 = step_high;
        PHILOX_ROUND(0);
        PHILOX_ROUND(1);
        PHILOX_ROUND(2);
        PHILOX_ROUND(3);
        PHILOX_ROUND(4);
        PHILOX_ROUND(5);
        PHILOX_ROUND(6);
        words[4 * i] = c0;
        words[4 * i + 1] = c1;
        words[4 * i + 2] = c2;
        words[4 * i + 3] = c3;
    }
}
#endif
