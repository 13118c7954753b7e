/* For which CPU this is compiled. The files of a folder of kernels are empty on every other. */
#ifndef FTV_TARGETS_H
#define FTV_TARGETS_H

/* gcc and clang give single functions what the CPU may or may not have. gcc on Windows does not align its stack for
 * vectors of 32 bytes and more. */
#if defined(__x86_64__) && defined(__GNUC__) && (!defined(_WIN32) || defined(__clang__))
#define FTV_X86 1
#else
#define FTV_X86 0
#endif

#if defined(__aarch64__) && defined(__GNUC__)
#define FTV_ARM64 1
#else
#define FTV_ARM64 0
#endif

#endif
