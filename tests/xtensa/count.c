/* Counts the instructions of a transformer block's steps: the emulator (-icount) lets CCOUNT advance by a fixed amount
 * an instruction. Prints lines of two numbers, CCOUNT's advance and a digest of what was computed. The first two lines
 * are loops of two instructions a round, the rounds in place of the digest: they tell what an instruction counts.
 *
 * -DBLOCK_TOKENS, _WIDTH, _HIDDEN, _HEAD_DIM, _T5: the block. -DSET: a set of kernels; without it, the naive product. */
#include "ftv_engine.h"
#include "ftv_fixed.h"
#include "library.h"

enum {
    MOST = BLOCK_HIDDEN > 3 * BLOCK_HEAD_DIM ? BLOCK_HIDDEN : 3 * BLOCK_HEAD_DIM,
    INNER = BLOCK_HIDDEN > BLOCK_WIDTH ? BLOCK_HIDDEN : BLOCK_WIDTH
};

#ifdef BLOCK_T5
#define ENCODING           FTV_T5
#define TILE_BYTES(inputs) (((inputs) + 4U) / 5U * 16U)
#else
#define ENCODING           FTV_T2
#define TILE_BYTES(inputs) (((inputs) + 15U) / 16U * 64U)
#endif

static _Alignas(64) uint8_t tiles[MOST / 16 * TILE_BYTES(INNER)];
static uint16_t mantissas[MOST];
static int16_t biases[MOST];
static _Alignas(FTV_ALIGN) int8_t x[BLOCK_TOKENS * INNER];
static ftv_multiplier scales[BLOCK_TOKENS];
static _Alignas(FTV_ALIGN) int32_t out[BLOCK_TOKENS * MOST];

/* ---- made-up numbers, the same for every set ---- */

static uint32_t seed = 1;

static uint32_t random_below(uint32_t limit) {
    seed = seed * 1664525U + 1013904223U;
    return (seed >> 8) % limit;
}

static uint8_t random_trits(void) {
    uint32_t byte = 0;
    for (uint32_t i = 0; i < (ENCODING == FTV_T2 ? 4U : 5U); i++) {
        byte = (ENCODING == FTV_T2 ? 4U : 3U) * byte + random_below(3);
    }
    return (uint8_t)(ENCODING == FTV_T2 ? byte : (256U * byte + 242U) / 243U);
}

/* Every channel's own multiplier; a layer's outputs are of the order of 1. */
static ftv_linear make_layer(uint32_t rows, uint32_t inputs) {
    ftv_linear layer = {.tiles = tiles,
                        .mantissas = mantissas,
                        .bias = biases,
                        .stored_rows = rows,
                        .rows = rows,
                        .inputs = inputs,
                        .tile_bytes = TILE_BYTES(inputs),
                        .exponent = 18,
                        .per_channel = 1};
    seed = rows + inputs;
    for (uint32_t i = 0; i < rows / 16U * layer.tile_bytes; i++) {
        tiles[i] = random_trits();
    }
    for (uint32_t row = 0; row < rows; row++) {
        mantissas[row] = (uint16_t)(16384U + random_below(16384));
        biases[row] = (int16_t)((int32_t)random_below(65536) - 32768);
    }
    for (uint32_t i = 0; i < BLOCK_TOKENS * inputs; i++) {
        x[i] = (int8_t)((int32_t)random_below(255) - 127);
    }
    for (uint32_t token = 0; token < BLOCK_TOKENS; token++) {
        scales[token] = (ftv_multiplier){(uint16_t)(16384U + random_below(16384)), 5};
    }
    return layer;
}

/* ---- counting ---- */

static uint32_t cycles(void) {
    uint32_t count;
    __asm__ volatile("rsr.ccount %0" : "=a"(count) : : "memory");
    return count;
}

static uint32_t digest(uint32_t so_far, const void *data, uint32_t bytes) {
    for (uint32_t i = 0; i < bytes; i++) {
        so_far = (so_far ^ ((const uint8_t *)data)[i]) * 16777619U;
    }
    return so_far;
}

static void report(uint32_t count, uint32_t of_what) {
    int32_t line[2] = {(int32_t)count, (int32_t)of_what};
    print_line(line, 2);
}

static void count_loop(uint32_t rounds) {
    uint32_t left = rounds, before = cycles();
    __asm__ volatile("1: addi %0, %0, -1\n bnez %0, 1b" : "+a"(left));
    report(cycles() - before, rounds);
}

#ifdef SET
static _Alignas(FTV_ALIGN) int16_t values[BLOCK_TOKENS * MOST];
static int32_t narrow_absmax[BLOCK_TOKENS * MOST / 16];
static _Alignas(FTV_ALIGN) int8_t parts[FTV_PARTS][(BLOCK_TOKENS + 15) / 16 * 16 * BLOCK_HEAD_DIM];
static int32_t part_absmax[FTV_PARTS][BLOCK_TOKENS];
static _Alignas(FTV_ALIGN) uint8_t scratch[1 << 20];

static void count_layer(uint32_t rows, uint32_t inputs, ftv_output output) {
    ftv_linear layer = make_layer(rows, inputs);
    ftv_layer_job job = {.layer = &layer,
                         .encoding = ENCODING,
                         .tiles = rows / FTV_TILE,
                         .x = {x, scales, inputs},
                         .tokens = BLOCK_TOKENS,
                         .output = output,
                         .out = out,
                         .out_stride = rows,
                         .narrow = {values, narrow_absmax, rows}};
    memset(out, 0, sizeof out);
    memset(values, 0, sizeof values);
    uint32_t before = cycles();
    ftv_layer(&SET, &job, scratch);
    uint32_t count = cycles() - before;
    report(count, digest(digest(1, out, sizeof out), values, sizeof values));
}

/* A head's Q, K and V, then its attention. */
static void count_head(void) {
    ftv_linear layer = make_layer(3U * BLOCK_HEAD_DIM, BLOCK_WIDTH);
    ftv_qkv_part made[FTV_PARTS];
    ftv_attend_job job = {.tokens = BLOCK_TOKENS,
                          .count = BLOCK_TOKENS,
                          .head_dim = BLOCK_HEAD_DIM,
                          .head_rows = BLOCK_HEAD_DIM,
                          .attention = {24000, 30},
                          .out = {values, narrow_absmax, BLOCK_HEAD_DIM}};
    for (uint32_t i = 0; i < FTV_PARTS; i++) {
        made[i] = (ftv_qkv_part){.part = (ftv_part)i,
                                 .layer = &layer,
                                 .encoding = ENCODING,
                                 .first_row = i * BLOCK_HEAD_DIM,
                                 .x = {x, scales, BLOCK_WIDTH},
                                 .tokens = BLOCK_TOKENS,
                                 .count = BLOCK_TOKENS,
                                 .head_dim = BLOCK_HEAD_DIM,
                                 .head_rows = BLOCK_HEAD_DIM,
                                 .levels = i == FTV_Q ? FTV_QUERY_MAX : FTV_CODE_MAX,
                                 .codes = parts[i],
                                 .absmax = part_absmax[i]};
        job.codes[i] = parts[i];
        job.absmax[i] = part_absmax[i];
    }
    uint32_t before = cycles();
    ftv_parts(&SET, made, FTV_PARTS, scratch);
    report(cycles() - before, digest(1, part_absmax, sizeof part_absmax));
    memset(values, 0, sizeof values);
    before = cycles();
    ftv_attend(&SET, &job, scratch);
    uint32_t count = cycles() - before;
    report(count, digest(digest(1, values, sizeof values), narrow_absmax, sizeof narrow_absmax));
}

int main(void) {
    count_loop(1000);
    count_loop(1000000);
    count_head();
    count_layer(BLOCK_WIDTH, BLOCK_WIDTH, FTV_ADD);
    count_layer(BLOCK_HIDDEN, BLOCK_WIDTH, FTV_STORE);
    count_layer(BLOCK_HIDDEN, BLOCK_WIDTH, FTV_ACTIVATE);
    count_layer(BLOCK_WIDTH, BLOCK_HIDDEN, FTV_ADD);
    return 0;
}
#else
/* What plain C does with four weights a byte, row by row: unpack, multiply, add. */
static void naive(int32_t *restrict sums, const uint8_t *restrict weights, uint32_t rows, uint32_t inputs) {
    for (uint32_t token = 0; token < BLOCK_TOKENS; token++) {
        const uint8_t *packed = weights;
        for (uint32_t row = 0; row < rows; row++) {
            const int8_t *input = x + (size_t)token * inputs;
            int32_t sum = 0;
            for (uint32_t k = 0; k < inputs; k += 4U) {
                uint32_t four = *packed++;
                sum += input[k] * ((int32_t)(four & 3U) - 1);
                sum += input[k + 1U] * ((int32_t)(four >> 2 & 3U) - 1);
                sum += input[k + 2U] * ((int32_t)(four >> 4 & 3U) - 1);
                sum += input[k + 3U] * ((int32_t)(four >> 6) - 1);
            }
            sums[token * rows + row] = sum;
        }
    }
}

static void count_naive(uint32_t rows, uint32_t inputs) {
    make_layer(rows, inputs);
    uint32_t before = cycles();
    naive(out, tiles, rows, inputs);
    report(cycles() - before, digest(1, out, sizeof out));
}

int main(void) {
    count_loop(1000);
    count_loop(1000000);
    count_naive(BLOCK_WIDTH, BLOCK_WIDTH);
    count_naive(BLOCK_HIDDEN, BLOCK_WIDTH);
    count_naive(BLOCK_WIDTH, BLOCK_HIDDEN);
    return 0;
}
#endif
