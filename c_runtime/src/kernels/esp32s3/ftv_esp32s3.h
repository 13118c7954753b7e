/* ESP32-S3: what the assembly functions of this folder take. Each has one argument, a struct of 32-bit fields, so that
 * the C files beside them also run on a 64-bit host with buffers below 2^32 and a model of the chip behind them.
 *
 * The C files here are empty unless FTV_ESP32S3 is defined, which the ESP-IDF component does for that chip. */
#ifndef FTV_ESP32S3_H
#define FTV_ESP32S3_H

#include "ftv.h"

typedef uint32_t ftv_address; /* of data, 0 .. 2^32 - 1 */

static inline ftv_address ftv_address_of(const void *data) {
    return (ftv_address)(uintptr_t)data;
}

/* ---- attention: each .S says what it needs ---- */

/* Whether a head's codes are laid out for vectors: Q int8 [tokens][head_rows]; K in tiles of sixteen keys, channel by
 * channel; V int16, eight channels of all keys and then the next eight. Else all three are int8 [tokens][head_rows]. */
static inline int ftv_head_in_vectors(uint32_t head_dim) {
    return head_dim % 16U == 0U && head_dim <= 64U;
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
size_t ftv_qkv_scratch_bytes_esp32s3(uint32_t tokens, uint32_t inputs, uint32_t head_rows);
void ftv_attend_esp32s3(const ftv_attend_job *job, void *scratch);
size_t ftv_attend_scratch_bytes_esp32s3(uint32_t tokens, uint32_t head_rows);

/* ---- of other steps, until their sections are here ---- */

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
void ftv_layer_esp32s3(const ftv_layer_job *job, void *scratch);
size_t ftv_layer_scratch_bytes_esp32s3(uint32_t tokens, uint32_t inputs);

#endif
