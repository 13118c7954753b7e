/* The scalar set: for chips without a vector unit.
 *
 * A ternary product needs no multiplication: for a few inputs, all signed sums that trits can ask for are computed
 * once, and each byte of weights looks its sum up, for every output channel. Two tokens share a word, 16 bits each,
 * eight tokens an entry of four words: one look-up is a load of the byte, an address, and a load and an addition for
 * each two tokens, for 4 (t2) or 5 (t5) inputs. The first inputs' tables are used by all channels, then those of the
 * next inputs: so a few kilobytes are enough.
 *
 *     word = x0 + 65536 x1, as one sum of all tokens' words: the halves stay apart while |each| < 2^15. */
#ifndef FTV_SCALAR_H
#define FTV_SCALAR_H

#include "ftv.h"
#include "ftv_clones.h"
#include "ftv_fixed.h"

#define FTV_PAIRS  4U                      /* words of an entry */
#define FTV_EIGHT  8U                      /* tokens that go together */
#define FTV_SLOTS  4U                      /* tables whose entries lie side by side */
#define FTV_STRIDE (FTV_PAIRS * FTV_SLOTS) /* words from one entry of a table to its next */

/* Inputs until the halves of a word have to be read: 127 * 256 < 2^15. */
#define FTV_HALF_INPUTS 256U

#define FTV_CHUNK_TILES 24U /* whose words and sums a layer keeps */

/* Up to eight tokens through some tiles of a matrix. */
typedef struct ftv_eight {
    const int8_t *x[FTV_EIGHT]; /* rows; any row stands in for those beyond the last token */
    uint32_t inputs;
    const uint8_t *tiles;
    uint32_t tile_bytes;
    uint32_t tiles_count;
    uint32_t *table; /* see ftv_tiles_*_scalar for its size */
    uint32_t *words; /* [tiles * 16][FTV_PAIRS] */
    int32_t *sums;   /* out: [tiles * 16][FTV_EIGHT] */
} ftv_eight;

/* sums[channel * 8 + token] = sum_k x[token][k] * w[channel][k]. */
void ftv_tiles_s8t2_scalar(const ftv_eight *job);
void ftv_tiles_s8t5_scalar(const ftv_eight *job);
void ftv_tiles_s8t3_scalar(const ftv_eight *job);

/* The words, sums of at most FTV_HALF_INPUTS inputs, are added to the sums, or become them; then they are zero again. */
void ftv_spread_scalar(const ftv_eight *job, int first);

/* ---- outputs ---- */

/* What makes Q16 outputs of some channels' sums: NUMERICS.md, section 2. */
typedef struct ftv_affine {
    const uint16_t *mantissas; /* [channels], or [1] */
    const int32_t *bias;       /* [channels], Q16 */
    int32_t exponent;
    uint32_t inputs;
    int per_channel;
} ftv_affine;

void ftv_requantise_scalar(int32_t *y, const int32_t *sums, uint32_t channels, const ftv_affine *affine,
                           ftv_multiplier scale);

uint32_t ftv_quantise_row_scalar(int8_t *codes, int32_t *x, uint32_t columns, uint32_t stride, int32_t levels);

/* That of `channels` rows of a layer; bias is filled. */
static inline ftv_affine ftv_affine_of(const ftv_linear *layer, uint32_t first_row, int32_t *bias, uint32_t channels) {
    for (uint32_t c = 0; c < channels; c++) {
        bias[c] = layer->bias[first_row + c] * (INT32_C(1) << layer->bias_shift);
    }
    return (ftv_affine){layer->per_channel ? layer->mantissas + first_row : layer->mantissas, bias, layer->exponent,
                        layer->inputs, layer->per_channel};
}

/* ---- chunks ---- */

/* Up to FTV_CHUNK_TILES tiles of a matrix: what a step keeps for all tokens. */
typedef struct ftv_chunk {
    ftv_eight eight;
    ftv_affine affine;
    ftv_encoding encoding;
    int32_t *spare; /* [channels][FTV_PAIRS], where the words were that have become sums */
} ftv_chunk;

size_t ftv_chunk_bytes_scalar(uint32_t tiles, ftv_encoding encoding);
/* Tiles `tile` .. `tile` + `tiles` - 1 of the layer; scratch: ftv_chunk_bytes_scalar(). */
void ftv_chunk_scalar(ftv_chunk *chunk, const ftv_linear *layer, ftv_encoding encoding, uint32_t tile, uint32_t tiles,
                      void *scratch);
/* chunk->eight.sums of rows first .. first + count - 1 of x, count 1 .. 8. */
void ftv_chunk_sums_scalar(ftv_chunk *chunk, const ftv_rows *x, uint32_t first, uint32_t count);

/* ---- tables ---- */

/* The rows of `count` tokens, 1 .. 8. */
static inline void ftv_eight_rows(ftv_eight *job, const int8_t *x, uint32_t stride, uint32_t count) {
    for (uint32_t token = 0; token < FTV_EIGHT; token++) {
        job->x[token] = x + (size_t)(token < count ? token : 0U) * stride;
    }
}

#define FTV_TABLE_BYTES_T2 (171U * FTV_STRIDE * sizeof(uint32_t)) /* codes of four trits: 0 .. 0xAA */
#define FTV_TABLE_BYTES_T5 (256U * FTV_STRIDE * sizeof(uint32_t))
#define FTV_TABLE_BYTES_T3 (27U * FTV_PAIRS * FTV_THREES * sizeof(uint32_t))

/* ---- t3: a tile alone ----
 *
 * A table of 81 or 243 sums pays for a hundred channels and more, not for the 16 of a tile. Their weights are recoded
 * once for all tokens: three trits a byte, 27 sums. Eight bytes, 24 inputs, of a channel are neighbours:
 * t3 [ceil(inputs / 24)][channels][8], 8 (w0 + 3 w1 + 9 w2 + 13). */
#define FTV_THREES    8U
#define FTV_T3_INPUTS (3U * FTV_THREES)

static inline size_t ftv_t3_bytes(uint32_t inputs, uint32_t tiles) {
    return (size_t)ftv_ceil_div(inputs, FTV_T3_INPUTS) * tiles * FTV_TILE * FTV_THREES;
}

/* Trits of one channel, and room for whole blocks, bytes of five and eights of threes. */
static inline size_t ftv_codes_bytes(uint32_t inputs) {
    return (size_t)ftv_round16(inputs) + 32U;
}

/* codes: scratch, ftv_codes_bytes(). */
void ftv_recode_t3_scalar(uint8_t *t3, const uint8_t *tiles, uint32_t tile_bytes, uint32_t count, ftv_encoding encoding,
                          uint32_t inputs, uint8_t *codes);
void ftv_linear_s8t3_scalar(int32_t *sums, const int8_t *x, uint32_t tokens, uint32_t stride, const uint8_t *tile,
                            ftv_encoding encoding, uint32_t inputs, void *scratch);

/* ---- the set ---- */

size_t ftv_linear_scratch_bytes_scalar(uint32_t inputs);
size_t ftv_scratch_bytes_scalar(const ftv_model *model); /* of any of the steps */
void ftv_linear_s8t2_scalar(int32_t *sums, const int8_t *x, uint32_t tokens, uint32_t stride, const uint8_t *tile,
                            uint32_t inputs, void *scratch);
void ftv_linear_s8t5_scalar(int32_t *sums, const int8_t *x, uint32_t tokens, uint32_t stride, const uint8_t *tile,
                            uint32_t inputs, void *scratch);
void ftv_scores_s8s8_scalar(int32_t *scores, const int8_t *q, const int8_t *k, uint32_t rows, uint32_t stride,
                            uint32_t head_dim);
void ftv_mix_s16s8_scalar(int32_t *sums, const int16_t *weights, const int8_t *v, uint32_t rows, uint32_t stride,
                          uint32_t head_dim);

void ftv_layer_scalar(const ftv_layer_job *job, void *scratch);
void ftv_parts_scalar(const ftv_qkv_part *parts, uint32_t count, void *scratch);
void ftv_attend_scalar(const ftv_attend_job *job, void *scratch);
size_t ftv_attend_scratch_bytes_scalar(uint32_t tokens, uint32_t head_rows);

/* ---- order ----
 *
 * Compilers like to load many entries ahead of their use, and then run out of a small core's sixteen registers. These
 * change no value: they are what the next statement depends on. */
#if defined(__GNUC__)
#define FTV_SETTLE(entry, a, b, c, d) __asm__("" : "+r"(entry), "+r"(a), "+r"(b), "+r"(c), "+r"(d))
#define FTV_STORED(value)             __asm__ volatile("" : "+r"(value) : : "memory")
#define FTV_NOW(value)                __asm__ volatile("" : "+r"(value))
#define FTV_BOTH_NOW(a, b)            __asm__ volatile("" : "+r"(a), "+r"(b))
#else
#define FTV_SETTLE(entry, a, b, c, d) ((void)0)
#define FTV_STORED(value)             ((void)0)
#define FTV_NOW(value)                ((void)0)
#define FTV_BOTH_NOW(a, b)            ((void)0)
#endif

/* sum0 += x * y0 and sum1 += x * y1, all uint32_t; x is used up. Where sums take all registers, GCC for Xtensa carries
 * them from one to the next; here they stay. Both products come before both sums, because a product is ready a cycle
 * late. */
#if defined(__GNUC__) && defined(__XTENSA__)
#define FTV_ADD_PRODUCTS(sum0, sum1, x, y0, y1)                                                                        \
    do {                                                                                                               \
        uint32_t product;                                                                                              \
        __asm__ volatile("mull %2, %3, %4\n\tmull %3, %3, %5\n\tadd %0, %0, %2\n\tadd %1, %1, %3"                      \
                         : "+r"(sum0), "+r"(sum1), "=&r"(product), "+r"(x)                                             \
                         : "r"(y0), "r"(y1));                                                                          \
    } while (0)
#else
#define FTV_ADD_PRODUCTS(sum0, sum1, x, y0, y1)                                                                        \
    do {                                                                                                               \
        (sum0) += (x) * (y0);                                                                                          \
        (sum1) += (x) * (y1);                                                                                          \
    } while (0)
#endif

/* ---- words ---- */

FTV_INLINE uint32_t ftv_pair(int8_t low, int8_t high) {
    uint32_t word = (uint32_t)low + ((uint32_t)high << 16);
    FTV_NOW(word);
    return word;
}

/* Inputs first .. first + count - 1 of the eight tokens. Beyond the matrix, where a row may have ended, they are zero:
 * then they are in `padded`, which has room for 8 * count. */
typedef struct ftv_inputs {
    const int8_t *x[FTV_EIGHT];
} ftv_inputs;

static inline void ftv_take_inputs(ftv_inputs *in, const ftv_eight *job, uint32_t first, uint32_t count,
                                   int8_t *padded) {
    for (uint32_t token = 0; token < FTV_EIGHT; token++, padded += count) {
        in->x[token] = job->x[token] + first;
        if (first + count > job->inputs) {
            for (uint32_t i = 0; i < count; i++) {
                padded[i] = first + i < job->inputs ? in->x[token][i] : 0;
            }
            in->x[token] = padded;
        }
    }
}

FTV_INLINE void ftv_clear_words(const ftv_eight *job) {
    uint32_t *word = job->words;
    const uint32_t *end = word + job->tiles_count * FTV_TILE * FTV_PAIRS;
    for (; word != end; word++) {
        *word = 0;
    }
}

/* Four words of an entry, added to sums s0 .. s3. */
#define FTV_LOOK_UP(entry_at, slot)                                                                                    \
    do {                                                                                                               \
        const uint32_t *entry = (entry_at);                                                                            \
        FTV_SETTLE(entry, s0, s1, s2, s3);                                                                             \
        s0 += entry[(slot) * FTV_PAIRS];                                                                               \
        s1 += entry[(slot) * FTV_PAIRS + 1U];                                                                          \
        s2 += entry[(slot) * FTV_PAIRS + 2U];                                                                          \
        s3 += entry[(slot) * FTV_PAIRS + 3U];                                                                          \
    } while (0)

#endif
