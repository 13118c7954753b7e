/* Made-up operands for the linear kernels, and where they lie in a piece of memory. */
#ifndef FTV_TILE_H
#define FTV_TILE_H

#include "ftv_app.h"

#define FTV_TILE_CHANNELS 16U

/* Which numbers. */
typedef enum ftv_made_up {
    FTV_MADE_FOR_BENCH, /* section 5 of LINE_PROTOCOL.md */
    FTV_MADE_AT_RANDOM,
    FTV_MADE_HIGHEST, /* 127 and 1: the largest sums */
    FTV_MADE_LOWEST,  /* -127 and 1 */
    FTV_MADE_KINDS
} ftv_made_up;

typedef void (*ftv_linear_fn)(int32_t *sums, const int8_t *x, uint32_t tokens, uint32_t stride, const uint8_t *tile,
                              uint32_t inputs, void *scratch);

/* A call of a linear kernel. */
typedef struct ftv_tile_job {
    ftv_encoding encoding;
    uint32_t tokens;
    uint32_t inputs;
    uint32_t stride;
    int32_t *sums;     /* [tokens][16] */
    int32_t *expected; /* [tokens][16]; only with `twice` */
    int8_t *x;         /* [tokens][stride] */
    uint8_t *tile;
    void *scratch; /* the kernel's own */
} ftv_tile_job;

/* Bytes of memory that a job takes. twice: with room for a second set of sums. */
size_t ftv_tile_bytes(uint32_t tokens, uint32_t inputs, size_t scratch_bytes, bool twice);

/* Puts the job's arrays into `memory`, 16-byte aligned and of ftv_tile_bytes(). */
void ftv_tile_lay_out(ftv_tile_job *job, void *memory, bool twice);

/* Fills x and tile. */
void ftv_tile_fill(const ftv_tile_job *job, ftv_made_up kind);

/* A code of kind FTV_MADE_AT_RANDOM, _HIGHEST or _LOWEST. */
int8_t ftv_made_up_code(ftv_made_up kind, uint32_t a, uint32_t b);

/* A number below 2^15 that looks random and is always the same. */
uint32_t ftv_hash(uint32_t a, uint32_t b);

/* FTV_MADE_FOR_BENCH: section 5 of LINE_PROTOCOL.md. */
static inline int8_t ftv_bench_input(uint32_t token, uint32_t k) {
    return (int8_t)((int32_t)((37U * token + 11U * k) % 255U) - 127);
}

static inline int8_t ftv_bench_weight(uint32_t channel, uint32_t k) {
    return (int8_t)((int32_t)((7U * k + 5U * channel) % 3U) - 1);
}

static inline ftv_linear_fn ftv_linear_of(const ftv_kernels *kernels, ftv_encoding encoding) {
    return encoding == FTV_T5 ? kernels->linear_s8t5 : kernels->linear_s8t2;
}

static inline size_t ftv_round_16(size_t bytes) {
    return (bytes + 15U) & ~(size_t)15U;
}

#endif
