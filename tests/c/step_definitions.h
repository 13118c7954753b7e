/* Whole steps (ftv.h, ftv_kernels) as NUMERICS.md writes them: one value after the other, in 64 bits. */
#ifndef STEP_DEFINITIONS_H
#define STEP_DEFINITIONS_H

#include "ftv.h"

/* y [tokens][stored_rows], Q16, of the job's tiles; before its output. */
void define_linear(int32_t *y, const ftv_linear *layer, ftv_encoding encoding, ftv_rows x, uint32_t tokens,
                   uint32_t first_row, uint32_t rows);

int32_t define_sat30(int64_t v);
int32_t define_gelu(int32_t y);

/* codes [columns] and the token scale of one row; returns a. */
int32_t define_quantise(int8_t *codes, ftv_multiplier *scale, const int32_t *x, uint32_t columns, int32_t levels);

/* One row as narrow values: columns is a multiple of 16. */
void define_narrow(int16_t *values, int32_t *absmax, const int32_t *y, uint32_t columns);

void define_norm(const ftv_norm_job *job, int8_t *codes, ftv_multiplier *scales);

/* One head's Q16 Q, K and V, [tokens][head_dim] each -> y of query rows [queries][head_dim]. */
void define_attention(int32_t *y, const int32_t *q, const int32_t *k, const int32_t *v, uint32_t tokens,
                      uint32_t queries, uint32_t head_dim, ftv_multiplier attention);

#endif
