/* CRC-32 as in zlib, PNG and Ethernet: polynomial 0xEDB88320, reflected, all bits inverted at both ends. */
#ifndef FTV_CRC32_H
#define FTV_CRC32_H

#include <stddef.h>
#include <stdint.h>

/* The CRC of what `crc` covers (0: nothing yet) and of `bytes` bytes at `data` after it. */
uint32_t ftv_crc32(uint32_t crc, const uint8_t *data, size_t bytes);

/* The same for 32-bit words, each as four bytes, little-endian, whatever the machine is. */
uint32_t ftv_crc32_words(uint32_t crc, const int32_t *words, size_t count);

#endif
