/* What a C library would bring, and lines of numbers on standard output. */
#include "library.h"

/* volatile: these loops must not become calls of themselves. */
void *memcpy(void *restrict to, const void *restrict from, size_t bytes) {
    size_t i = 0;
    if (((uintptr_t)to | (uintptr_t)from) % sizeof(uint32_t) == 0U) {
        for (; i + sizeof(uint32_t) <= bytes; i += sizeof(uint32_t)) {
            *(volatile uint32_t *)((uintptr_t)to + i) = *(const uint32_t *)((uintptr_t)from + i);
        }
    }
    for (; i < bytes; i++) {
        ((volatile uint8_t *)to)[i] = ((const uint8_t *)from)[i];
    }
    return to;
}

void *memset(void *to, int value, size_t bytes) {
    size_t i = 0;
    if ((uintptr_t)to % sizeof(uint32_t) == 0U) {
        for (; i + sizeof(uint32_t) <= bytes; i += sizeof(uint32_t)) {
            *(volatile uint32_t *)((uintptr_t)to + i) = 0x01010101U * (uint8_t)value;
        }
    }
    for (; i < bytes; i++) {
        ((volatile uint8_t *)to)[i] = (uint8_t)value;
    }
    return to;
}

int memcmp(const void *a, const void *b, size_t bytes) {
    const uint8_t *x = a, *y = b;
    for (size_t i = 0; i < bytes; i++) {
        if (x[i] != y[i]) {
            return x[i] < y[i] ? -1 : 1;
        }
    }
    return 0;
}

/* The compiler's name for a 32-bit division, which this core lacks. */
uint32_t __udivsi3(uint32_t n, uint32_t d);
uint32_t __udivsi3(uint32_t n, uint32_t d) {
    uint32_t quotient = 0;
    if (n >= d) {
        for (int bit = __builtin_clz(d) - __builtin_clz(n); bit >= 0; bit--) {
            if (n >= d << bit) {
                n -= d << bit;
                quotient |= 1U << bit;
            }
        }
    }
    return quotient;
}

uint32_t __umodsi3(uint32_t n, uint32_t d);
uint32_t __umodsi3(uint32_t n, uint32_t d) {
    return n - __udivsi3(n, d) * d;
}

/* The compiler's name for a 64-bit product, of which this core has the low 32 bits only. */
uint64_t __muldi3(uint64_t a, uint64_t b);
uint64_t __muldi3(uint64_t a, uint64_t b) {
    uint32_t a0 = (uint32_t)a & 0xFFFFU, a1 = (uint32_t)a >> 16, b0 = (uint32_t)b & 0xFFFFU, b1 = (uint32_t)b >> 16;
    uint32_t middle = a1 * b0 + (a0 * b0 >> 16);
    uint32_t other = a0 * b1 + (middle & 0xFFFFU);
    uint32_t high = a1 * b1 + (middle >> 16) + (other >> 16);
    high += (uint32_t)(a >> 32) * (uint32_t)b + (uint32_t)a * (uint32_t)(b >> 32);
    return (uint64_t)high << 32 | (uint32_t)a * (uint32_t)b;
}

void print_line(const int32_t *values, uint32_t count) {
    char text[9];
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t digit = 0; digit < 8U; digit++) {
            text[digit] = "0123456789abcdef"[((uint32_t)values[i] >> (28U - 4U * digit)) & 15U];
        }
        text[8] = i + 1U == count ? '\n' : ' ';
        semihosting_write(text, sizeof text);
    }
}
