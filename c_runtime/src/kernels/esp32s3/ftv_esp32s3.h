/* The ESP32-S3's kernels: assembly functions, each with one argument, a struct of 32-bit fields. So the C code beside
 * them compiles on any machine, whose tests hand the structs to a model of the processor. */
#ifndef FTV_ESP32S3_H
#define FTV_ESP32S3_H

#include "ftv.h"

/* A pointer: on the chip itself, in tests below 2^32. */
typedef uint32_t ftv_address;

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

/* Every assembly function with what it takes. */
#define FTV_ESP32S3_FUNCTIONS(X)                                                                                       \
    X(ftv_quantise_row_s32s8_esp32s3, ftv_quantise_row_args)                                                           \
    X(ftv_quantise_narrow_esp32s3, ftv_quantise_narrow_args)                                                           \
    X(ftv_unpack_trits_t2s16_esp32s3, ftv_unpack_trits_args)                                                           \
    X(ftv_norm_s32s8_esp32s3, ftv_norm_rows_args)

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

/* The steps `norm` and `quantise` of ftv_kernels, and what norm needs of scratch. */
void ftv_norm_esp32s3(const ftv_norm_job *job, void *scratch);
size_t ftv_norm_scratch_bytes_esp32s3(uint32_t columns);
void ftv_quantise_esp32s3(const ftv_quantise_job *job, void *scratch);

#endif
