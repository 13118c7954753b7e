/* A panel's product with half the multiplications (S. Winograd, 1968): for inputs k and l, side by side in a row,
 *
 *     (x_k + w_l) (x_l + w_k) = x_k w_k + x_l w_l + x_k x_l + w_k w_l
 *
 * and the last two are sums of the token alone and of the channel alone. Two additions of bytes take the place of a
 * multiplication: a gain where a CPU adds in four pipes and multiplies in two (AMD since Zen 4), a loss where it does both
 * in the same two.
 *
 * vpdpbusd wants x_k + w_l + 128 in 0 .. 255 and x_l + w_k in -128 .. 127: x may be -127, but not 127. A token that holds
 * 127 is multiplied with its sign changed. One that holds both holds 126 instead of 127 afterwards, and what that leaves
 * out is added on its own: rows are scaled to their largest value, so that it is rare.
 *
 * k and l are four apart: a row's first four codes meet its next four, and so on, and panels are those of plain products.
 * As these hold w + 1, a row is stored as x_k + 127, x_l - 1. */
#ifndef FTV_PAIRS_AVX512_H
#define FTV_PAIRS_AVX512_H

#include "ftv_avx512.h"

#if FTV_X86

enum {
    FTV_WAY_TOKENS = 5, /* of a block: 5 x 4 accumulators, 8 vectors of codes, 2 of activations and 2 sums */
    FTV_NEGATED = 1,    /* flags of a token */
    FTV_HAS_REST = 2
};

/* Rows as they are multiplied, [tokens][inputs rounded up to 16], and what an operand says of each token; offsets and
 * magnitudes have room for whole fours of tokens. */
typedef struct ftv_pair_rows {
    int8_t *codes;
    int32_t *offsets;
    int32_t *magnitudes;
    uint8_t *flags;
} ftv_pair_rows;

void ftv_pair_rows_avx512pairs(const ftv_pair_rows *out, ftv_rows x, uint32_t tokens, uint32_t inputs);

/* The sums of ftv_product_s8u2_avx512vnni(), of tokens first .. first + tokens - 1 of an operand, at most five. */
void ftv_product_s8u2_avx512pairs(int32_t *sums, const ftv_operand_avx512 *x, uint32_t first, uint32_t tokens,
                                  const uint8_t *panel, uint32_t groups);

/* sums[64] += what row x of a token with FTV_HAS_REST had to leave out. */
void ftv_pair_rest_avx512pairs(int32_t *sums, const int8_t *x, const uint8_t *panel, uint32_t groups);

/* The memory that an operand needs, and an operand in it; again: one that was made there before. */

static inline size_t ftv_way_bytes(uint32_t tokens, uint32_t inputs) {
    return 2U * ftv_words_bytes_avx512(tokens) + ftv_vector_bytes(tokens) +
           ftv_vector_bytes((size_t)tokens * ftv_round16(inputs));
}

static inline ftv_operand_avx512 ftv_way_rows(uint8_t *memory, ftv_rows x, uint32_t tokens, uint32_t inputs,
                                              uint32_t again) {
    uint8_t *more = memory + ftv_words_bytes_avx512(tokens), *flags = more + ftv_words_bytes_avx512(tokens);
    const ftv_pair_rows made = {(int8_t *)flags + ftv_vector_bytes(tokens), (int32_t *)(void *)memory,
                                (int32_t *)(void *)more, flags};
    if (again == 0U) {
        ftv_pair_rows_avx512pairs(&made, x, tokens, inputs);
    }
    return (ftv_operand_avx512){made.codes, ftv_round16(inputs), made.offsets, made.magnitudes, x, flags};
}

static inline void ftv_way_product(int32_t *sums, const ftv_operand_avx512 *x, uint32_t first, uint32_t tokens,
                                   const uint8_t *panel, uint32_t groups) {
    ftv_product_s8u2_avx512pairs(sums, x, first, tokens, panel, groups);
}

#endif
#endif
