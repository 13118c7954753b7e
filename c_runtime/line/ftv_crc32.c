#include "ftv_crc32.h"

/* Half a byte at a time: sixteen words of table instead of 256. */
static const uint32_t nibbles[16] = {0x00000000U, 0x1DB71064U, 0x3B6E20C8U, 0x26D930ACU, 0x76DC4190U, 0x6B6B51F4U,
                                     0x4DB26158U, 0x5005713CU, 0xEDB88320U, 0xF00F9344U, 0xD6D6A3E8U, 0xCB61B38CU,
                                     0x9B64C2B0U, 0x86D3D2D4U, 0xA00AE278U, 0xBDBDF21CU};

static uint32_t add_byte(uint32_t crc, uint32_t byte) {
    crc ^= byte;
    crc = (crc >> 4) ^ nibbles[crc & 15U];
    return (crc >> 4) ^ nibbles[crc & 15U];
}

uint32_t ftv_crc32(uint32_t crc, const uint8_t *data, size_t bytes) {
    crc = ~crc;
    for (size_t i = 0; i < bytes; i++) {
        crc = add_byte(crc, data[i]);
    }
    return ~crc;
}

uint32_t ftv_crc32_words(uint32_t crc, const int32_t *words, size_t count) {
    crc = ~crc;
    for (size_t i = 0; i < count; i++) {
        uint32_t word = (uint32_t)words[i];
        for (uint32_t shift = 0; shift < 32U; shift += 8U) {
            crc = add_byte(crc, (word >> shift) & 0xFFU);
        }
    }
    return ~crc;
}
