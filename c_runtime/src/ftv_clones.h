/* FTV_CLONES before a function's definition: the compiler makes one version of it for each vector unit and the
 * loader picks one. Loops stay plain C; where the mechanism is missing (or would run before a sanitizer is ready) the
 * macro is empty and nothing but speed changes. */
#ifndef FTV_CLONES_H
#define FTV_CLONES_H

#include <stdint.h> /* defines __GLIBC__ where there is one */

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(memory_sanitizer) || __has_feature(thread_sanitizer)
#define FTV_SANITIZED
#endif
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define FTV_SANITIZED
#endif

#if defined(__has_attribute)
#if __has_attribute(target_clones) && defined(__x86_64__) && defined(__ELF__) && defined(__GLIBC__) &&                 \
    !defined(FTV_SANITIZED) && !defined(FTV_NO_CLONES)
#define FTV_CLONES __attribute__((target_clones("default", "avx2")))
#endif
#endif
#ifndef FTV_CLONES
#define FTV_CLONES
#endif

/* Small functions that must become part of every clone of their caller. */
#if defined(__GNUC__)
#define FTV_INLINE static inline __attribute__((always_inline))
#elif defined(_MSC_VER)
#define FTV_INLINE static __forceinline
#else
#define FTV_INLINE static inline
#endif

#endif
