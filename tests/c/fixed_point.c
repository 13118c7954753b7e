/* Square roots and quotients of ftv_fixed.h against 128-bit arithmetic, next to squares and multiples above all. */
#include "ftv_fixed.h"

#include <inttypes.h>
#include <stdio.h>

__extension__ typedef unsigned __int128 wide;

static uint64_t state = UINT64_C(88172645463325252);

static uint64_t noise(void) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static bool is_root(uint64_t v) {
    wide root = ftv_isqrt(v);
    bool right = root * root <= v && v < (root + 1U) * (root + 1U);
    if (!right) {
        printf("root of %" PRIu64 "\n", v);
    }
    return right;
}

static bool is_quotient(uint64_t n, uint32_t d) {
    uint32_t quotient = ftv_divide(n, d);
    if (quotient != n / d) {
        printf("%" PRIu64 " / %" PRIu32 "\n", n, d);
    }
    return quotient == n / d;
}

static bool roots_near(uint32_t root) {
    uint64_t square = (uint64_t)root * root;
    bool right = is_root(square) && is_root(square + root) && is_root(square + 2U * (uint64_t)root);
    return right && (root == UINT32_C(1) << 31 || is_root(square - 1U));
}

static bool quotients_near(uint32_t d, uint32_t quotient) {
    uint64_t product = (uint64_t)d * quotient;
    return is_quotient(product, d) && is_quotient(product + d - 1U, d) &&
           (product == 0U || is_quotient(product - 1U, d));
}

/* Numbers with long runs of ones or zeros, which break estimates. */
static uint32_t jagged(void) {
    uint32_t v = (uint32_t)noise();
    uint32_t mask = UINT32_MAX >> (noise() % 32U);
    return noise() % 2U == 0U ? v | mask : v & ~mask;
}

int main(void) {
    bool right = is_root(UINT64_C(1) << 62) && is_root(UINT64_MAX);
    for (uint32_t v = 1U << 30; right && v >= 1U << 30; v += 4093U) {
        uint64_t root = ftv_isqrt32(v);
        right = root * root <= v && v < (root + 1U) * (root + 1U);
    }
    for (uint32_t i = 0; right && i < 2000000U; i++) {
        right = roots_near(jagged() | UINT32_C(1) << 31) && is_root(noise() | UINT64_C(1) << 62) &&
                quotients_near(jagged() | 1U, jagged()) && quotients_near(jagged() >> (noise() % 31U) | 1U, jagged());
    }
    return right ? 0 : 1;
}
