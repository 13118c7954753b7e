/* SHA-256 (FIPS 180-4). */
#ifndef FTV_SHA256_H
#define FTV_SHA256_H

#include <stddef.h>
#include <stdint.h>

#define FTV_SHA256_BYTES 32

/* digest = SHA-256 of `bytes` bytes at `data` (any alignment; may be NULL if bytes is 0). */
void ftv_sha256(uint8_t digest[FTV_SHA256_BYTES], const uint8_t *data, size_t bytes);

#endif
