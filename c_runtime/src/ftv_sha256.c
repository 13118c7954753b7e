/* SHA-256 (FIPS 180-4; names follow its sections 4.1.2 and 6.2.2). */
#include "ftv_sha256.h"

#define BLOCK_BYTES 64u
#define LENGTH_AT   56u /* of the bit length in the last block */

static const uint32_t round_constants[64] = {
    0x428a2f98u, 0x71374491u, 0xb5c0fbcfu, 0xe9b5dba5u, 0x3956c25bu, 0x59f111f1u, 0x923f82a4u, 0xab1c5ed5u,
    0xd807aa98u, 0x12835b01u, 0x243185beu, 0x550c7dc3u, 0x72be5d74u, 0x80deb1feu, 0x9bdc06a7u, 0xc19bf174u,
    0xe49b69c1u, 0xefbe4786u, 0x0fc19dc6u, 0x240ca1ccu, 0x2de92c6fu, 0x4a7484aau, 0x5cb0a9dcu, 0x76f988dau,
    0x983e5152u, 0xa831c66du, 0xb00327c8u, 0xbf597fc7u, 0xc6e00bf3u, 0xd5a79147u, 0x06ca6351u, 0x14292967u,
    0x27b70a85u, 0x2e1b2138u, 0x4d2c6dfcu, 0x53380d13u, 0x650a7354u, 0x766a0abbu, 0x81c2c92eu, 0x92722c85u,
    0xa2bfe8a1u, 0xa81a664bu, 0xc24b8b70u, 0xc76c51a3u, 0xd192e819u, 0xd6990624u, 0xf40e3585u, 0x106aa070u,
    0x19a4c116u, 0x1e376c08u, 0x2748774cu, 0x34b0bcb5u, 0x391c0cb3u, 0x4ed8aa4au, 0x5b9cca4fu, 0x682e6ff3u,
    0x748f82eeu, 0x78a5636fu, 0x84c87814u, 0x8cc70208u, 0x90befffau, 0xa4506cebu, 0xbef9a3f7u, 0xc67178f2u,
};

static uint32_t rotate(uint32_t x, unsigned n) {
    return (x >> n) | (x << (32u - n));
}

static uint32_t load_big(const uint8_t *p) {
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void store_big(uint8_t *p, uint32_t value) {
    p[0] = (uint8_t)(value >> 24);
    p[1] = (uint8_t)(value >> 16);
    p[2] = (uint8_t)(value >> 8);
    p[3] = (uint8_t)value;
}

static uint32_t next_word(const uint32_t w[16], unsigned t) {
    uint32_t before2 = w[(t - 2u) & 15u], before15 = w[(t - 15u) & 15u];
    uint32_t sigma1 = rotate(before2, 17) ^ rotate(before2, 19) ^ (before2 >> 10);
    uint32_t sigma0 = rotate(before15, 7) ^ rotate(before15, 18) ^ (before15 >> 3);
    return sigma1 + w[(t - 7u) & 15u] + sigma0 + w[t & 15u];
}

static void add_block(uint32_t state[8], const uint8_t *block) {
    uint32_t w[16]; /* the schedule's last 16 words: a quarter of the stack that all 64 would take */
    uint32_t a = state[0], b = state[1], c = state[2], d = state[3];
    uint32_t e = state[4], f = state[5], g = state[6], h = state[7];

    for (unsigned t = 0; t < 64; t++) {
        w[t & 15u] = t < 16 ? load_big(block + 4u * t) : next_word(w, t);
        uint32_t sum1 = rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25);
        uint32_t t1 = h + sum1 + ((e & f) ^ (~e & g)) + round_constants[t] + w[t & 15u];
        uint32_t sum0 = rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22);
        uint32_t t2 = sum0 + ((a & b) ^ (a & c) ^ (b & c));
        h = g;
        g = f;
        f = e;
        e = d + t1;
        d = c;
        c = b;
        b = a;
        a = t1 + t2;
    }
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
    state[4] += e;
    state[5] += f;
    state[6] += g;
    state[7] += h;
}

/* The message's last bytes, a one bit, zeros and the message's length in bits: one block or two. */
static void add_last(uint32_t state[8], const uint8_t *rest, size_t rest_bytes, uint64_t message_bits) {
    uint8_t block[BLOCK_BYTES];

    for (size_t i = 0; i < BLOCK_BYTES; i++)
        block[i] = i < rest_bytes ? rest[i] : 0;
    block[rest_bytes] = 0x80;
    if (rest_bytes >= LENGTH_AT) {
        add_block(state, block);
        for (size_t i = 0; i < BLOCK_BYTES; i++)
            block[i] = 0;
    }
    store_big(block + LENGTH_AT, (uint32_t)(message_bits >> 32));
    store_big(block + LENGTH_AT + 4, (uint32_t)message_bits);
    add_block(state, block);
}

void ftv_sha256(uint8_t digest[FTV_SHA256_BYTES], const uint8_t *data, size_t bytes) {
    uint32_t state[8] = {0x6a09e667u, 0xbb67ae85u, 0x3c6ef372u, 0xa54ff53au,
                         0x510e527fu, 0x9b05688cu, 0x1f83d9abu, 0x5be0cd19u};
    size_t left = bytes;

    for (; left >= BLOCK_BYTES; left -= BLOCK_BYTES, data += BLOCK_BYTES)
        add_block(state, data);
    add_last(state, data, left, (uint64_t)bytes << 3);
    for (unsigned i = 0; i < 8; i++)
        store_big(digest + 4u * i, state[i]);
}
