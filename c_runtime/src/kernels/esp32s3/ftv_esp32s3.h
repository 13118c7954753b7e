/* ESP32-S3: what the assembly functions of this folder take. Each has one argument, a struct of 32-bit fields, so that
 * the C files beside them also run on a computer, with a model of the processor behind them.
 *
 * The C files here are empty unless FTV_ESP32S3 is defined, which the ESP-IDF component does for that chip. */
#ifndef FTV_ESP32S3_H
#define FTV_ESP32S3_H

#include "ftv.h"

typedef uint32_t ftv_address; /* of data, 0 .. 2^32 - 1 */

#ifdef FTV_ESP32S3_WINDOW /* on a computer whose pointers are longer: the chip's memory is a piece of its own */
extern uintptr_t ftv_esp32s3_window; /* what to subtract from a pointer */

static inline ftv_address ftv_address_of(const void *pointer) {
    return (ftv_address)((uintptr_t)pointer - ftv_esp32s3_window);
}
#else
static inline ftv_address ftv_address_of(const void *pointer) {
    return (ftv_address)(uintptr_t)pointer;
}
#endif

/* The set. */
FTV_API extern const ftv_kernels ftv_kernels_esp32s3;
size_t ftv_scratch_bytes_esp32s3(const ftv_model *model); /* ftv_kernels.scratch_bytes */

/* ---- linear layers ---- */

/* ftv_decode_t2s8_esp32s3, ftv_decode_t5s8_esp32s3: one tile's trits as bytes, with the sign changed. */
typedef struct ftv_decode_args {
    ftv_address tile;
    ftv_address weights; /* int8 [16 or 5 times count][16] */
    uint32_t count;      /* t2: blocks of 16 inputs; t5: groups of 5 */
} ftv_decode_args;

/* A token's part of section 2 of NUMERICS.md. */
typedef struct ftv_token_scale {
    int16_t multiplier; /* -M, or -m_t where every channel has its own m_n */
    uint8_t low;        /* shifts that give the low and the high half of a product's 32 bits */
    uint8_t high;
} ftv_token_scale;

/* Room for what follows a decoded tile's last row, in vectors of 16 bytes. */
#define FTV_TAIL_VECTORS 28

/* ftv_linear_s8s8_esp32s3: a decoded tile over all tokens, with what happens to the outputs. */
typedef struct ftv_linear_args {
    ftv_address x;          /* int8 [tokens][x_stride] */
    uint32_t x_stride;      /* bytes */
    uint32_t blocks;        /* of 16 inputs */
    uint32_t tokens;        /* at least 1 */
    ftv_address weights;    /* int8 [16 blocks][16] and the tail */
    ftv_address scales;     /* ftv_token_scale [tokens] */
    ftv_address spill;      /* 64 bytes; ACTIVATE: and 64 before them */
    uint32_t output;        /* ftv_output */
    uint32_t per_channel;   /* 0 or 1 */
    ftv_address out;        /* int32 [tokens][out_stride]; ACTIVATE: int16 */
    uint32_t out_stride;    /* bytes */
    ftv_address absmax;     /* ACTIVATE: int32, one a token */
    uint32_t absmax_stride; /* bytes */
    uint32_t tail_vectors;  /* what follows the weights, of 16 bytes */
    ftv_address records;    /* of each token: int8 [16]; ADD: and int32 [16] */
} ftv_linear_args;

#define FTV_SPILL_BYTES 128U

/* ftv_token_scales_esp32s3: all of a layer's. */
typedef struct ftv_token_scales_args {
    ftv_address tokens; /* ftv_multiplier [count] */
    ftv_address scales; /* ftv_token_scale [count] */
    uint32_t count;     /* at least 1 */
    uint32_t mantissa;  /* 2^15 where every channel has its own */
    int32_t exponent;   /* what to add to a token's to get the shift */
    int32_t least;      /* smallest shift that the product takes; a smaller one gives low = 255 */
} ftv_token_scales_args;

/* ftv_clamped_s8_esp32s3: whether any byte of some records is 127 or -128. */
typedef struct ftv_clamped_args {
    ftv_address records; /* int8 [16] each */
    uint32_t step;       /* bytes from one to the next */
    uint32_t tokens;     /* at least 1 */
    ftv_address found;   /* uint32, 0 if none is */
} ftv_clamped_args;

void ftv_decode_t2s8_esp32s3(const ftv_decode_args *args);
void ftv_decode_t5s8_esp32s3(const ftv_decode_args *args);
void ftv_linear_s8s8_esp32s3(const ftv_linear_args *args);
void ftv_token_scales_esp32s3(const ftv_token_scales_args *args);
void ftv_clamped_s8_esp32s3(const ftv_clamped_args *args);

/* Told before a tile is multiplied which bytes come next, so that they can be on their way into the cache. Does
 * nothing unless the port has one of its own. */
void ftv_prefetch_esp32s3(const void *data, uint32_t bytes);

/* ftv_kernels' own. */
size_t ftv_linear_scratch_bytes_esp32s3(uint32_t inputs);
void ftv_linear_s8t2_esp32s3(int32_t *sums, const int8_t *x, uint32_t tokens, uint32_t stride, const uint8_t *tile,
                             uint32_t inputs, void *scratch);
void ftv_linear_s8t5_esp32s3(int32_t *sums, const int8_t *x, uint32_t tokens, uint32_t stride, const uint8_t *tile,
                             uint32_t inputs, void *scratch);
void ftv_layer_esp32s3(const ftv_layer_job *job, void *scratch);
size_t ftv_layer_scratch_bytes_esp32s3(uint32_t tokens, uint32_t inputs);

/* A layer in two parts: its tiles are decoded once, then multiplied with some tokens after others. Both take a job that
 * differs in its tokens alone. tiles: ftv_tiles_bytes_esp32s3() bytes, 16-byte aligned; scratch:
 * ftv_layer_scratch_bytes_esp32s3(tokens, 0) */
size_t ftv_tiles_bytes_esp32s3(uint32_t inputs, uint32_t tiles);
void ftv_decode_tiles_esp32s3(const ftv_layer_job *job, void *tiles);
void ftv_multiply_tiles_esp32s3(const ftv_layer_job *job, void *tiles, void *scratch);

/* ---- rows: each .S says what it needs of them ---- */

typedef struct ftv_quantise_row_args {
    ftv_address x;       /* int32 [rows][16 groups] */
    uint32_t x_row;      /* bytes from a row to the next */
    uint32_t x_group;    /* bytes from sixteen columns to the next */
    uint32_t rows;       /* at least 1 */
    uint32_t groups;     /* sixteens of columns, at least 1 */
    uint32_t levels_q21; /* levels << 21 */
    ftv_address codes;   /* int8 */
    uint32_t codes_row;
    uint32_t codes_group;
    ftv_address absmax; /* int32 [rows] */
} ftv_quantise_row_args;

void ftv_quantise_row_s32s8_esp32s3(const ftv_quantise_row_args *args);

typedef struct ftv_quantise_narrow_args {
    ftv_address values;  /* int16 [rows][16 groups] */
    uint32_t values_row; /* bytes from a row to the next */
    ftv_address absmax;  /* int32 [rows][groups] */
    uint32_t absmax_row;
    uint32_t rows;     /* at least 1 */
    uint32_t groups;   /* sixteens of columns, at least 1 */
    ftv_address codes; /* int8 */
    uint32_t codes_row;
    ftv_address scales; /* ftv_multiplier [rows] */
} ftv_quantise_narrow_args;

void ftv_quantise_narrow_esp32s3(const ftv_quantise_narrow_args *args);

typedef struct ftv_unpack_trits_args {
    ftv_address codes;
    ftv_address trits; /* int16 [16 sixteens] */
    uint32_t sixteens; /* at least 1 */
} ftv_unpack_trits_args;

void ftv_unpack_trits_t2s16_esp32s3(const ftv_unpack_trits_args *args);

typedef struct ftv_norm_rows_args {
    ftv_address x;  /* int32 [rows][columns] */
    uint32_t x_row; /* bytes from a row to the next */
    uint32_t rows;  /* at least 1 */
    uint32_t columns;
    int32_t limit;      /* of max|x|: (2^31 - 1) / (columns / 8) */
    uint32_t inverse;   /* ceil(2^32 / columns) */
    uint32_t inverse16; /* ceil(2^32 / (columns / 16)) */
    uint32_t eps_low;   /* columns * eps_q32, two words */
    uint32_t eps_high;
    uint32_t beta_mantissa;
    int32_t beta_exponent;
    ftv_address gamma; /* int16 [columns + 8] */
    ftv_address beta;  /* int16 [columns + 8] */
    ftv_address row;   /* int32 [columns + 8], scratch */
    ftv_address codes; /* int8 */
    uint32_t codes_row;
    ftv_address scales; /* ftv_multiplier [rows] */
    ftv_address done;   /* uint32_t: rows that are ready, the next is not for this function */
} ftv_norm_rows_args;

void ftv_norm_s32s8_esp32s3(const ftv_norm_rows_args *args);

typedef struct ftv_patch_args {
    ftv_address pixels;  /* uint8, RGB */
    uint32_t line_bytes; /* from a line of pixels to the next */
    uint32_t side;       /* a multiple of 4 */
    ftv_address row;     /* int32 [3][side][side] */
    struct {
        int32_t scale;
        int32_t offset; /* and 128 */
    } colours[3];
} ftv_patch_args;

void ftv_patch_u8s32_esp32s3(const ftv_patch_args *args);

typedef struct ftv_embed_args {
    ftv_address x;      /* int32 [rows][8 eights] */
    uint32_t x_row;     /* bytes from a row to the next */
    ftv_address values; /* int16 [rows][8 eights], not 16-byte aligned */
    uint32_t rows;      /* at least 1 */
    uint32_t eights;    /* of columns, at least 1 */
    uint32_t shift;
} ftv_embed_args;

void ftv_embed_s16s32_esp32s3(const ftv_embed_args *args);

/* The steps of ftv_kernels, and what they need of scratch. */
void ftv_norm_esp32s3(const ftv_norm_job *job, void *scratch);
size_t ftv_norm_scratch_bytes_esp32s3(uint32_t columns);
void ftv_quantise_esp32s3(const ftv_quantise_job *job, void *scratch);
void ftv_patches_esp32s3(const ftv_patches_job *job, void *scratch);
size_t ftv_patches_scratch_bytes_esp32s3(uint32_t side);
void ftv_embed_esp32s3(const ftv_embed_job *job, void *scratch);

/* ---- attention: each .S says what it needs ---- */

/* Whether a head's codes are laid out for vectors: Q int8 [tokens][head_rows]; K in tiles of sixteen keys, channel by
 * channel; V int16, eight channels of all keys and then the next eight. Else all three are int8 [tokens][head_rows].
 * Scores, weights and V have the keys of groups of four tiles in an order of their own (ftv_key_place). */
static inline int ftv_head_in_vectors(uint32_t head_dim) {
    return head_dim % 16U == 0U && head_dim <= 64U;
}

/* Tiles whose scores come in groups of four: all but one to four, so that the last tile is not among them. */
static inline uint32_t ftv_grouped_tiles(uint32_t tokens) {
    return tokens == 0U ? 0U : (tokens - 1U) / 64U * 4U;
}

/* The place of key 2 l + h in tile t: within a group, 16 (l mod 4) + 8 (l / 4) + 2 (t mod 4) + h. */
static inline uint32_t ftv_key_place(uint32_t key, uint32_t tokens) {
    if (key / 16U >= ftv_grouped_tiles(tokens)) {
        return key;
    }
    uint32_t l = key / 2U % 8U;
    return key / 64U * 64U + l % 4U * 16U + l / 4U * 8U + key / 16U % 4U * 2U + key % 2U;
}

typedef struct ftv_keys_args {
    ftv_address rows; /* int8 [16 tiles][16 blocks] */
    ftv_address keys; /* int8 [tiles][16 blocks][16] */
    uint32_t tiles;
    uint32_t blocks;
} ftv_keys_args;

typedef struct ftv_values_args {
    ftv_address rows;   /* int8 [count][16 blocks] */
    ftv_address values; /* int16 [2 blocks][...][8] */
    uint32_t group;     /* bytes from eight channels to the next eight */
    uint32_t count;
    uint32_t blocks;
    uint32_t spread; /* 0 or 1 */
} ftv_values_args;

#define FTV_SCORE_ROWS 4U /* queries of one call */

typedef struct ftv_scores_args {
    ftv_address queries; /* int8 [rows][16 blocks] */
    ftv_address keys;    /* int8 [tiles][16 blocks][16] */
    ftv_address scales;  /* uint16 [16 tiles] */
    ftv_address scores;  /* int32 [FTV_SCORE_ROWS][16 tiles] */
    uint32_t score_row;  /* bytes from a row of scores to the next */
    uint32_t rows;
    uint32_t tiles;
    uint32_t blocks;
} ftv_scores_args;

#define FTV_SOFTMAX_CONSTANTS 12U /* vectors of eight int16 */

typedef struct ftv_softmax_args {
    ftv_address scores;    /* int32 [16 tiles] */
    ftv_address weights;   /* int16 [16 tiles] */
    ftv_address values;    /* int16 [16 tiles]: the values' scales */
    ftv_address padding;   /* int16 [16] */
    ftv_address constants; /* int16 [FTV_SOFTMAX_CONSTANTS][8] */
    uint32_t multiplier;
    uint32_t right; /* the distance's shift less 16, at most 39 */
    uint32_t tiles;
    ftv_address sum; /* uint32 */
} ftv_softmax_args;

typedef struct ftv_mix_args {
    ftv_address weights; /* int16 [8 eights] */
    ftv_address values;  /* int16 [groups][...][8] */
    uint32_t group;      /* bytes from eight channels to the next eight */
    ftv_address sums;    /* int32 [8 groups] */
    uint32_t eights;     /* of keys */
    uint32_t groups;     /* eights of channels */
} ftv_mix_args;

typedef struct ftv_divide_args {
    ftv_address sums;   /* int32 [16 tiles] */
    ftv_address values; /* int16 [16 tiles] */
    ftv_address absmax; /* int32 [tiles] */
    uint32_t factor;
    uint32_t shift;
    uint32_t tiles;
} ftv_divide_args;

void ftv_keys_s8_esp32s3(const ftv_keys_args *args);
void ftv_values_s8s16_esp32s3(const ftv_values_args *args);
void ftv_scores_s8s8_esp32s3(const ftv_scores_args *args);
void ftv_softmax_s32s16_esp32s3(const ftv_softmax_args *args);
void ftv_mix_s16s16_esp32s3(const ftv_mix_args *args);
void ftv_divide_s32s16_esp32s3(const ftv_divide_args *args);

/* ftv_kernels' own. value_bytes is 2. */
void ftv_qkv_esp32s3(const ftv_qkv_part *part, void *scratch);
size_t ftv_qkv_scratch_bytes_esp32s3(uint32_t inputs, uint32_t head_rows);
void ftv_attend_esp32s3(const ftv_attend_job *job, void *scratch);
size_t ftv_attend_scratch_bytes_esp32s3(uint32_t tokens, uint32_t head_rows);

/* Every assembly function with what it takes. */
#define FTV_ESP32S3_FUNCTIONS(X)                                                                                       \
    X(ftv_decode_t2s8_esp32s3, ftv_decode_args)                                                                        \
    X(ftv_decode_t5s8_esp32s3, ftv_decode_args)                                                                        \
    X(ftv_linear_s8s8_esp32s3, ftv_linear_args)                                                                        \
    X(ftv_token_scales_esp32s3, ftv_token_scales_args)                                                                 \
    X(ftv_clamped_s8_esp32s3, ftv_clamped_args)                                                                        \
    X(ftv_quantise_row_s32s8_esp32s3, ftv_quantise_row_args)                                                           \
    X(ftv_quantise_narrow_esp32s3, ftv_quantise_narrow_args)                                                           \
    X(ftv_unpack_trits_t2s16_esp32s3, ftv_unpack_trits_args)                                                           \
    X(ftv_norm_s32s8_esp32s3, ftv_norm_rows_args)                                                                      \
    X(ftv_patch_u8s32_esp32s3, ftv_patch_args)                                                                         \
    X(ftv_embed_s16s32_esp32s3, ftv_embed_args)                                                                        \
    X(ftv_keys_s8_esp32s3, ftv_keys_args)                                                                              \
    X(ftv_values_s8s16_esp32s3, ftv_values_args)                                                                       \
    X(ftv_scores_s8s8_esp32s3, ftv_scores_args)                                                                        \
    X(ftv_softmax_s32s16_esp32s3, ftv_softmax_args)                                                                    \
    X(ftv_mix_s16s16_esp32s3, ftv_mix_args)                                                                            \
    X(ftv_divide_s32s16_esp32s3, ftv_divide_args)

#endif
