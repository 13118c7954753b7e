/* Which sets of kernels this CPU can run. The compiler's own test of an x86 CPU asks the operating system, too, whether
 * it keeps the wide registers; on ARM only the system knows. */
#include "ftv_host_kernels.h"

#include "kernels/ftv_targets.h"

#include <stdbool.h>

#if FTV_ARM64 && defined(__linux__)
#include <sys/auxv.h>
#elif FTV_X86
#include <cpuid.h>
#endif

typedef struct candidate {
    const ftv_kernels *kernels;
    bool (*runs)(void);
} candidate;

static bool always(void) {
    return true;
}

#if FTV_X86

extern const ftv_kernels ftv_kernels_avx512pairs, ftv_kernels_avx512vnni, ftv_kernels_avxvnni, ftv_kernels_avx2;

/* CPUID's own bits where compilers' names for them are young. */
static bool has_lzcnt(void) {
    unsigned a = 0, b = 0, c = 0, d = 0;
    return __get_cpuid(0x80000001U, &a, &b, &c, &d) != 0 && (c & 1U << 5) != 0U;
}

static bool has_avx2(void) {
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") &&
           has_lzcnt();
}

static bool has_avxvnni(void) {
    unsigned a = 0, b = 0, c = 0, d = 0;
    return has_avx2() && __get_cpuid_count(7, 1, &a, &b, &c, &d) != 0 && (a & 1U << 4) != 0U;
}

static bool has_avx512vnni(void) {
    return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vbmi") &&
           __builtin_cpu_supports("avx512vbmi2") && __builtin_cpu_supports("avx512vnni");
}

/* Vector pipes that add are twice those that multiply: Zen 4 was the first of AMD's with AVX-512, and all since are so.
 * Intel's wide ones do either. */
static bool adds_fast(void) {
    return has_avx512vnni() && __builtin_cpu_is("amd");
}

static bool adds_slowly(void) {
    return has_avx512vnni() && !adds_fast();
}

#elif FTV_ARM64

extern const ftv_kernels ftv_kernels_neondot, ftv_kernels_neon;

static bool has_dot_product(void) {
#if defined(__ARM_FEATURE_DOTPROD)
    return true;
#elif defined(__linux__)
    return (getauxval(AT_HWCAP) & (1UL << 20)) != 0U; /* HWCAP_ASIMDDP */
#else
    return false;
#endif
}

#endif

static const candidate candidates[] = {
#if FTV_X86
    {&ftv_kernels_avx512pairs, adds_fast},
    {&ftv_kernels_avx512vnni, has_avx512vnni},
    {&ftv_kernels_avx512pairs, adds_slowly},
    {&ftv_kernels_avxvnni, has_avxvnni},
    {&ftv_kernels_avx2, has_avx2},
#elif FTV_ARM64
    {&ftv_kernels_neondot, has_dot_product}, {&ftv_kernels_neon, always},
#endif
    {&ftv_kernels_portable, always},
    {&ftv_kernels_scalar, always},
    {&ftv_kernels_ref, always},
};

const ftv_kernels *ftv_host_kernels(uint32_t index) {
    for (uint32_t i = 0; i < sizeof candidates / sizeof candidates[0]; i++) {
        if (candidates[i].runs() && index-- == 0U) {
            return candidates[i].kernels;
        }
    }
    return NULL;
}
