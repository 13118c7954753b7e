/* Prints the names of the sets of kernels that this CPU can run, once checked. Every set of kernels equals ref on random shapes, on random operands and on the most extreme ones.
 * Operands lie in allocations of exactly the size that ftv.h promises them. */
#include "ftv.h"
#include "ftv_host_kernels.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROUNDS = 400, INPUTS_MAX = 4128, TOKENS_MAX = 2064, HEAD_DIM_MAX = 256 };

typedef enum operands { RANDOM, ALL_HIGHEST, ALL_LOWEST, KINDS } operands;

static uint32_t seed = 1;

static uint32_t random_below(uint32_t limit) {
    seed = seed * 1664525U + 1013904223U;
    return (seed >> 8) % limit;
}

static void *allocate(size_t size) {
    void *memory = NULL;
    if (posix_memalign(&memory, 64, size) != 0) {
        exit(2);
    }
    return memory;
}

static void compare(const ftv_kernels *kernels, const char *what, const int32_t *got, const int32_t *expected,
                    size_t count, uint32_t shape) {
    for (size_t i = 0; i < count; i++) {
        if (got[i] != expected[i]) {
            fprintf(stderr, "%s %s, size %u: value %zu is %d instead of %d\n", kernels->name, what, shape, i, got[i],
                    expected[i]);
            exit(1);
        }
    }
}

/* A code in -127..127. */
static int8_t code(operands kind) {
    if (kind == RANDOM) {
        return (int8_t)((int)random_below(255) - 127);
    }
    return kind == ALL_HIGHEST ? 127 : -127;
}

/* w + 1. */
static uint32_t trit(operands kind) {
    return kind == RANDOM ? random_below(3) : 2U;
}

/* rows x stride, zero beyond columns. */
static int8_t *make_rows(uint32_t rows, uint32_t columns, uint32_t stride, operands kind) {
    int8_t *x = allocate((size_t)rows * stride);
    memset(x, 0, (size_t)rows * stride);
    for (uint32_t row = 0; row < rows; row++) {
        for (uint32_t k = 0; k < columns; k++) {
            x[(size_t)row * stride + k] = code(kind);
        }
    }
    return x;
}

static uint8_t *make_t2(uint32_t inputs, operands kind) {
    uint32_t blocks = (inputs + 15U) / 16U;
    uint8_t *tile = allocate(blocks * 64U);
    memset(tile, 0x55, blocks * 64U);
    for (uint32_t k = 0; k < inputs; k++) {
        for (uint32_t channel = 0; channel < 16; channel++) {
            uint8_t *byte = tile + k / 16U * 64U + k % 4U * 16U + channel;
            uint32_t at = k % 16U / 4U * 2U;
            *byte = (uint8_t)((*byte & ~(3U << at)) | trit(kind) << at);
        }
    }
    return tile;
}

static uint8_t *make_t5(uint32_t inputs, operands kind) {
    uint32_t groups = (inputs + 4U) / 5U;
    uint8_t *tile = allocate(groups * 16U);
    for (uint32_t i = 0; i < groups * 16U; i++) {
        uint32_t v = 0;
        for (uint32_t digit = 0; digit < 5; digit++) {
            v = v * 3U + (i / 16U * 5U + digit < inputs ? trit(kind) : 1U);
        }
        tile[i] = (uint8_t)((256U * v + 242U) / 243U);
    }
    return tile;
}

static void check_linear(const ftv_kernels *kernels, uint32_t inputs, uint32_t tokens, operands kind) {
    uint32_t stride = (inputs + 15U) / 16U * 16U;
    int8_t *x = make_rows(tokens, inputs, stride, kind);
    uint8_t *t2 = make_t2(inputs, kind);
    uint8_t *t5 = make_t5(inputs, kind);
    void *scratch = allocate(kernels->linear_scratch_bytes(inputs));
    int32_t *expected = allocate(tokens * 64U);
    int32_t *got = allocate(tokens * 64U);
    ftv_kernels_ref.linear_s8t2(expected, x, tokens, stride, t2, inputs, NULL);
    kernels->linear_s8t2(got, x, tokens, stride, t2, inputs, scratch);
    compare(kernels, "linear_s8t2", got, expected, tokens * 16U, inputs);
    ftv_kernels_ref.linear_s8t5(expected, x, tokens, stride, t5, inputs, NULL);
    kernels->linear_s8t5(got, x, tokens, stride, t5, inputs, scratch);
    compare(kernels, "linear_s8t5", got, expected, tokens * 16U, inputs);
    free(x);
    free(t2);
    free(t5);
    free(scratch);
    free(expected);
    free(got);
}

static void check_attention(const ftv_kernels *kernels, uint32_t rows, uint32_t head_dim, operands kind) {
    uint32_t stride = (head_dim + 15U) / 16U * 16U;
    int8_t *q = make_rows(1, head_dim, stride, kind);
    int8_t *k = make_rows(rows, head_dim, stride, kind);
    int16_t *weights = allocate(rows * sizeof *weights);
    int32_t *expected = allocate((rows > stride ? rows : stride) * sizeof *expected);
    int32_t *got = allocate((rows > stride ? rows : stride) * sizeof *got);
    for (uint32_t j = 0; j < rows; j++) {
        weights[j] = (int16_t)(kind == RANDOM ? random_below(8193) : 8192U);
    }
    ftv_kernels_ref.scores_s8s8(expected, q, k, rows, stride, head_dim);
    kernels->scores_s8s8(got, q, k, rows, stride, head_dim);
    compare(kernels, "scores_s8s8", got, expected, rows, head_dim);
    ftv_kernels_ref.mix_s16s8(expected, weights, k, rows, stride, head_dim);
    kernels->mix_s16s8(got, weights, k, rows, stride, head_dim);
    compare(kernels, "mix_s16s8", got, expected, head_dim, rows);
    free(q);
    free(k);
    free(weights);
    free(expected);
    free(got);
}

static void check(const ftv_kernels *kernels) {
    for (operands kind = RANDOM; kind < KINDS; kind++) {
        check_linear(kernels, INPUTS_MAX, 5, kind);
        check_attention(kernels, TOKENS_MAX, HEAD_DIM_MAX, kind);
    }
    for (uint32_t inputs = 1; inputs <= 70; inputs++) {
        check_linear(kernels, inputs, inputs % 9U + 1U, RANDOM);
        check_attention(kernels, inputs, 71U - inputs, RANDOM);
    }
    for (uint32_t round = 0; round < ROUNDS; round++) {
        check_linear(kernels, random_below(300) + 1U, random_below(20) + 1U, (operands)random_below(KINDS));
        check_attention(kernels, random_below(300) + 1U, random_below(HEAD_DIM_MAX) + 1U,
                        (operands)random_below(KINDS));
    }
}

int main(void) {
    for (uint32_t i = 0; ftv_host_kernels(i) != NULL; i++) {
        check(ftv_host_kernels(i));
        puts(ftv_host_kernels(i)->name);
    }
    return 0;
}
