/* Which of the instruction levels this processor has. Compiled without any level's flags, so asking cannot crash. */
#ifndef FASTNN_CPU_H
#define FASTNN_CPU_H
#if (defined(__x86_64__) || defined(_M_X64)) && (defined(__GNUC__) || defined(__clang__))
static const char *fastnn_cpu_level(void) {
    __builtin_cpu_init();
    if (!(__builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("popcnt"))) return "baseline";
    if (!(__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2")))
        return "x86_64_v2";
    if (!(__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512cd") &&
          __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")))
        return "x86_64_v3";
    return "x86_64_v4";
}
#else
static const char *fastnn_cpu_level(void) { return "baseline"; }
#endif
#endif
