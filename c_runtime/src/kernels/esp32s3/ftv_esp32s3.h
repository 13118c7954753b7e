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

/* ---- linear layers ---- */

/* ftv_decode_t2s8_esp32s3, ftv_decode_t5s8_esp32s3: one tile's trits as bytes. */
typedef struct ftv_decode_args {
    ftv_address tile;
    ftv_address weights; /* int8 [16 or 5 times count][16]; t2: the 16 bytes before are overwritten */
    uint32_t count;      /* t2: blocks of 16 inputs; t5: groups of 5 */
} ftv_decode_args;

/* A token's part of section 2 of NUMERICS.md. */
typedef struct ftv_token_scale {
    int16_t multiplier; /* M, or m_t where every channel has its own m_n */
    uint8_t low;        /* shifts that give the low and the high half of a product's 32 bits */
    uint8_t high;
} ftv_token_scale;

/* Room for what follows a decoded tile's last row, in vectors of 16 bytes. */
#define FTV_TAIL_VECTORS 28

/* ftv_linear_s8s8_esp32s3: a decoded tile over all tokens, with what happens to the outputs. */
typedef struct ftv_linear_args {
    ftv_address x;        /* int8 [tokens][x_stride] */
    uint32_t x_stride;    /* bytes */
    uint32_t blocks;      /* of 16 inputs */
    uint32_t tokens;      /* at least 1 */
    ftv_address weights;  /* int8 [16 blocks][16] and the tail */
    ftv_address scales;   /* ftv_token_scale [tokens] */
    ftv_address spill;    /* FTV_SPILL_BYTES */
    uint32_t output;      /* ftv_output */
    uint32_t per_channel; /* 0 or 1 */
    ftv_address out;      /* int32 [tokens][out_stride]; ACTIVATE: int16 */
    uint32_t out_stride;  /* bytes */
    ftv_address absmax;   /* ACTIVATE: int32, one a token */
    uint32_t absmax_stride; /* bytes */
    uint32_t tail_vectors;  /* what follows the weights, of 16 bytes */
} ftv_linear_args;

#define FTV_SPILL_BYTES 64U

/* ftv_energy_s8_esp32s3: sums of squares of rows. */
typedef struct ftv_energy_args {
    ftv_address x; /* int8 [tokens][x_stride], zero beyond the row's own values */
    uint32_t x_stride;
    uint32_t blocks;
    uint32_t tokens;
    ftv_address energies; /* uint32 [tokens] */
} ftv_energy_args;

void ftv_decode_t2s8_esp32s3(const ftv_decode_args *args);
void ftv_decode_t5s8_esp32s3(const ftv_decode_args *args);
void ftv_linear_s8s8_esp32s3(const ftv_linear_args *args);
void ftv_energy_s8_esp32s3(const ftv_energy_args *args);

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

#endif
