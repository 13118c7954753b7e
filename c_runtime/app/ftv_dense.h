/* Products of other arithmetic, which BENCH and `ftervit bench` time beside ternary ones. Nothing else uses them. */
#ifndef FTV_DENSE_H
#define FTV_DENSE_H

#include "ftv.h"

typedef enum ftv_dense { FTV_DENSE_S8 = 0, FTV_DENSE_F32 = 1 } ftv_dense;

/* sums[tile][token][channel] = sum_k x[token][k] * w[tile][channel][k], sixteen channels a tile. Everything is 16-byte
 * aligned, nothing overlaps.
 * S8: int8 x and weights [tiles][16][ftv_dense_row(inputs)], zero beyond `inputs`; int32 sums.
 * F32: float x, weights [tiles][inputs][16] and sums. */
typedef struct ftv_dense_job {
    ftv_dense kind;
    uint32_t tokens;
    uint32_t inputs;
    uint32_t stride; /* values of a row of x, a multiple of 16, zero beyond `inputs` */
    const void *x;
    const void *weights;
    void *sums;
    void *scratch; /* [workers] of ftv_dense_bytes() */
} ftv_dense_job;

/* Values from a channel's int8 weights to the next one's. */
FTV_API uint32_t ftv_dense_row(uint32_t inputs);

/* Bytes of scratch of one worker, a multiple of 16. */
FTV_API size_t ftv_dense_bytes(uint32_t inputs);

/* One tile; an ftv_task_fn. job: const ftv_dense_job *. */
FTV_API void ftv_dense_tile(void *job, uint32_t tile, uint32_t worker);

/* ---- for BENCH (ftv_dense_numbers.c) ---- */

/* The numbers of LINE_PROTOCOL.md, section 5, for one tile, in the job's kind. */
void ftv_dense_fill(const ftv_dense_job *job, void *x, void *weights);

/* The sums of one tile as integers, which they are: [tokens][16]. */
void ftv_dense_results(const ftv_dense_job *job, int32_t *results);

#endif
